"""Every number of the fast kernel, and where it comes from: mr, nr, mc, kc, nc.

The names are those of BLIS. A *tile* of `out`, mr × nr, lives in vector registers while the
whole of a k-loop passes over it; nr is a number of whole vectors. The other three say how
much of the operands is worked on at a time, so that each part stays in the cache that feeds
the next:

==========  =================================  ==========
part        what                               lives in
==========  =================================  ==========
mr × nr     tile of `out`                      registers
mr × kc     rows of `a` under one tile         L1
kc × nr     panel of `b`                       L1 and L2
mc × kc     block of `a`                       L2
kc × nc     block of `b`                       L3
==========  =================================  ==========

Nothing here is searched for on a machine: the registers follow from the instruction set that
Numba compiles for, the rest from the sizes of the caches.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import llvmlite.binding as llvm
from numba import config

KIB = 1024
CHAIN = 320  # the most multiply-adds in one chain: as many as in BLAS, for its accuracy


@dataclass(frozen=True)
class VectorUnit:
    """What an instruction set offers to a matrix product.

    Parameters
    ----------
    name : str
    features : frozenset of str
        LLVM's names of what the processor must have.
    width : int
        Bytes of a vector.
    registers : int
        How many vectors the register file holds.
    masks : bool
        Whether lanes beyond the end of a row can be left out of a load and a store. Without
        masks the last columns are computed one by one.
    fused : bool
        Whether a multiply-add rounds once. Where it does not exist in hardware, it would be
        a function call for each lane.

    """

    name: str
    features: frozenset[str]
    width: int
    registers: int
    masks: bool
    fused: bool


VECTOR_UNITS = (
    VectorUnit("AVX-512", frozenset({"avx512f", "avx512vl"}), 64, 32, masks=True, fused=True),
    VectorUnit("AVX2", frozenset({"avx2", "fma"}), 32, 16, masks=True, fused=True),
    VectorUnit("NEON", frozenset({"neon"}), 16, 32, masks=False, fused=True),
    # SSE2, which every x86-64 has; LLVM translates it for whatever else there may be.
    VectorUnit("128 bit", frozenset(), 16, 16, masks=False, fused=False),
)


@cache
def vector_unit() -> VectorUnit:
    """Return the widest unit among the features that Numba compiles for.

    These are the host's, unless ``NUMBA_CPU_FEATURES`` in the environment says otherwise:
    ``NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx,+avx2,+fma`` makes any x86 an AVX2 one.
    """
    stated = config.CPU_FEATURES  # type: ignore[attr-defined]
    flags = stated if stated is not None else llvm.get_host_cpu_features().flatten()
    features = {flag.removeprefix("+") for flag in flags.split(",") if not flag.startswith("-")}
    return next(unit for unit in VECTOR_UNITS if unit.features <= features)


@dataclass(frozen=True)
class Caches:
    """Sizes in bytes of one core's L1 data and L2 cache, and of the last level, which is shared."""

    l1: int
    l2: int
    l3: int


@cache
def caches() -> Caches:
    """Return what the operating system reports; where it is silent, what a modest core has."""
    l1 = _cache_size(1) or 32 * KIB
    l2 = _cache_size(2) or 256 * KIB
    return Caches(l1, l2, _cache_size(3) or 4 * l2)


def _cache_size(level: int) -> int:
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            kind = (index / "type").read_text().strip()
            if kind != "Instruction" and int((index / "level").read_text()) == level:
                return int((index / "size").read_text().strip().removesuffix("K")) * KIB
        except (OSError, ValueError):
            continue  # a virtual machine may leave files out
    name = "SC_LEVEL1_DCACHE_SIZE" if level == 1 else f"SC_LEVEL{level}_CACHE_SIZE"
    return max(0, os.sysconf(name)) if name in os.sysconf_names else 0


class Tiling(NamedTuple):
    """The five numbers for one size of element, and the lanes of a vector.

    mr, mc, kc and nc count elements; nr = `vectors` · `lanes`.
    """

    itemsize: int
    lanes: int
    vectors: int
    mr: int
    kc: int
    mc: int
    nc: int


def tiling(itemsize: int) -> Tiling:
    """Derive the numbers for elements of `itemsize` bytes.

    - nr is two vectors: a step of the k-loop then loads mr + 2 vectors for 2·mr multiply-adds,
      so that loads never limit it, and the tile's 2·mr sums are independent: more than the
      latency of a multiply-add times its throughput, which is 8 on the widest cores.
    - mr takes all registers but three: two hold a row of `b`, one an element of `a`.
    - kc: a panel of `b` fills a sixteenth of L2. It streams past the rows of `a` under a tile and
      is used again with the next ones, from L1 where there is room and from L2 otherwise, which
      is fast enough for two vectors in 2·mr multiply-adds. It is no more than CHAIN, since
      rounding errors grow with the length of a chain.
    - mc: the block of `a` fills half of L2.
    - nc: the block of `b` fills a quarter of L3, which other cores use too.
    """
    unit, cache_sizes = vector_unit(), caches()
    lanes = unit.width // itemsize
    vectors = 2
    mr = (unit.registers - vectors - 1) // vectors
    nr = vectors * lanes
    kc = min(CHAIN, _multiple(cache_sizes.l2 // 16 // (nr * itemsize), 32))
    mc = _multiple(cache_sizes.l2 // 2 // (kc * itemsize), mr)
    nc = _multiple(cache_sizes.l3 // 4 // (kc * itemsize), nr)
    return Tiling(itemsize, lanes, vectors, mr, kc, mc, nc)


def _multiple(value: int, of: int) -> int:
    """Round down to a multiple, but not to nothing."""
    return max(of, value // of * of)
