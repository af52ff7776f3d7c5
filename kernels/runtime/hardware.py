"""What the machine offers to compiled code: its vector unit and its caches."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm
from numba import config

KIB = 1024


@dataclass(frozen=True)
class VectorUnit:
    """The vector instructions of a processor.

    Parameters
    ----------
    name : str
    features : frozenset of str
        The processor features that it needs, by LLVM's names.
    width : int
        Bytes in a vector.
    registers : int
        Vectors in the register file.
    masks : bool
        Whether a load or a store can leave out the lanes beyond the end of a row.
    fused : bool
        Whether a multiply-add rounds once. Where the hardware has none, it would be a function
        call for each lane.

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
    # SSE2, which every x86-64 has; LLVM translates it for any other processor.
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
    """Return the sizes that the operating system reports, or those of a modest core."""
    l1 = _cache_size(1) or 32 * KIB
    l2 = _cache_size(2) or 256 * KIB
    return Caches(l1, l2, _cache_size(3) or 4 * l2)


def _cache_size(level: int) -> int:
    """Return the bytes of a cache for data, or 0 where nothing is known of it."""
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            kind = (index / "type").read_text().strip()
            if kind != "Instruction" and int((index / "level").read_text()) == level:
                return int((index / "size").read_text().strip().removesuffix("K")) * KIB
        except (OSError, ValueError):
            continue  # a virtual machine may leave files out
    name = "SC_LEVEL1_DCACHE_SIZE" if level == 1 else f"SC_LEVEL{level}_CACHE_SIZE"
    return max(0, os.sysconf(name)) if name in os.sysconf_names else 0
