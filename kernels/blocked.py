"""``blocked``: the triple loop over tiles. The same sums, in an order that suits caches.

What changed since ``naive``: the three loops run over tiles, and three more run inside a tile.
``naive`` walks through all of `b` for each row of `a`; here one tile of `b` serves ``TILE`` rows
before the next one is read. Inside a tile the innermost loop goes along rows, of `b` and of the
sums, instead of down a column. Every sum still runs upwards in k, so the bits are those of
``naive``.

Why that is faster: a compiled loop nest waits for memory, and a tile that stays in cache is read
from there. In interpreted Python it gains little. An element of a list is a pointer to a float
object, so a tile takes several times its size and lies scattered over the heap; and the interpreter
spends far more time on each multiplication than a cache miss would. The gain comes from looking up
a row once for many products. ``numba-blocked`` is this nest without the interpreter.

What it costs: six loops to read instead of three, and sums that are stored and loaded again in
every step of k.
"""

import numpy as np

from fastnn.kernels.interface import Array, Kernel

# Rows and columns. Three tiles of float objects and the pointers to them take about 100 KiB, which
# an L2 cache holds.
TILE = 32


def compute(a: Array, b: Array, out: Array) -> None:
    """Write ``a @ b`` into `out`."""
    m, k = a.shape
    n = b.shape[1]
    left, right = a.tolist(), b.tolist()
    sums = [[0.0] * n for _ in range(m)]
    for i0 in range(0, m, TILE):
        for j0 in range(0, n, TILE):
            for p0 in range(0, k, TILE):
                _add_tile(
                    left,
                    right,
                    sums,
                    range(i0, min(i0 + TILE, m)),
                    range(j0, min(j0 + TILE, n)),
                    range(p0, min(p0 + TILE, k)),
                )
    with np.errstate(over="ignore"):  # a sum too large for float32 becomes infinity
        out[...] = sums


def _add_tile(
    left: list[list[float]],
    right: list[list[float]],
    sums: list[list[float]],
    rows: range,
    columns: range,
    depth: range,
) -> None:
    """Add the product of a tile of `left` and a tile of `right` to a tile of `sums`."""
    for i in rows:
        left_row, sums_row = left[i], sums[i]
        for p in depth:
            factor, right_row = left_row[p], right[p]
            for j in columns:
                sums_row[j] += factor * right_row[j]


BLOCKED = Kernel(
    "blocked",
    "the same sums in cache-sized tiles, still plain Python",
    compute,
    max_multiplications=2**24,  # a second or two
)
