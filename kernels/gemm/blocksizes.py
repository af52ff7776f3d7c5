"""The blocksizes MR, NR, KC, MC and NC: how much is worked on at a time, and why so much.

The names are those of BLIS. Each is chosen so that the part of a matrix that it bounds stays
in the cache which feeds the next smaller part:

==========  ===================  =================
size        part                 stays in
==========  ===================  =================
MR × NR     micro-tile of `out`  vector registers
MR × KC     micro-panel of A     L1
KC × NR     micro-panel of B     L1 and L2
MC × KC     block of A           L2
KC × NC     panel of B           L3
==========  ===================  =================

Nothing is searched for on the machine: the registers follow from the instruction set that Numba
compiles for, the rest from the sizes of the caches.
"""

from typing import NamedTuple

from fastnn.kernels.runtime.hardware import caches, vector_unit

# Multiply-adds in a chain, by the bytes of an element: no more than in BLAS, to be as accurate.
# OpenBLAS's kernels for AVX2 have 384 and 256, and halve what exceeds that.
MAX_CHAIN = {4: 320, 8: 256}
VECTORS_IN_NR = 2
REGISTERS_FOR_OPERANDS = VECTORS_IN_NR + 1  # a row of B, and one element of A in all lanes


class Blocksizes(NamedTuple):
    """The blocksizes for one size of element, counted in elements, and the lanes of a vector."""

    itemsize: int
    lanes: int
    MR: int
    NR: int
    KC: int
    MC: int
    NC: int


def blocksizes(itemsize: int) -> Blocksizes:
    """Derive the blocksizes for elements of `itemsize` bytes.

    - NR is two vectors. A step of the k-loop then loads MR + 2 vectors for 2·MR multiply-adds,
      so that loads never limit it, and the 2·MR sums are independent: more than the latency of
      a multiply-add times its throughput, which is 8 on the widest cores.
    - MR takes the registers that are left: all but three, for two sums in each row.
    - KC: a micro-panel of B fills a sixteenth of L2. It streams past a micro-panel of A and is
      used again with the next, from L1 where there is room and from L2 otherwise, which is fast
      enough for two vectors in 2·MR multiply-adds. KC is at most MAX_CHAIN, since rounding
      errors grow with the length of a chain.
    - MC: the block of A fills half of L2.
    - NC: the panel of B fills a quarter of L3, which other cores use too.
    """
    unit, cache_sizes = vector_unit(), caches()
    lanes = unit.width // itemsize
    mr = (unit.registers - REGISTERS_FOR_OPERANDS) // VECTORS_IN_NR
    nr = VECTORS_IN_NR * lanes
    kc = min(MAX_CHAIN[itemsize], _round_down(cache_sizes.l2 // 16 // (nr * itemsize), 32))
    mc = _round_down(cache_sizes.l2 // 2 // (kc * itemsize), mr)
    nc = _round_down(cache_sizes.l3 // 4 // (kc * itemsize), nr)
    return Blocksizes(itemsize, lanes, mr, nr, kc, mc, nc)


def _round_down(value: int, unit: int) -> int:
    """Return the largest multiple of `unit` that is not above `value`, but one unit at least."""
    return max(unit, value // unit * unit)
