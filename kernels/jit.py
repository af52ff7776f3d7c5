"""``numba-naive`` and ``numba-blocked``: the two loop nests, compiled.

What changed since ``blocked``: nothing in the loops. Numba translates them to machine code, in
which a product is an instruction and an element of an array is an address.

Why that is faster: the interpreter is gone, and the order of the loops begins to matter. In
``numba-naive`` the innermost loop goes down a column of `b`: each element is in another cache line,
which has to be fetched again for the next column where `b` exceeds the cache, and each addition
waits for the one before it. In ``numba-blocked`` the tile of `b` is in cache already, and the
additions of the innermost loop go to different elements of `out`.

What it costs: compiling, once for each dtype (the result is kept on disk), and sums in the dtype of
the operands, where Python had float64. Both rungs stay far below the machine's peak, since they
work on one element at a time where a vector instruction works on many.
"""

from functools import cache

import numba
import numpy as np
from numba import types

from fastnn.kernels.interface import Array, Compute, Kernel, Prepared
from fastnn.kernels.runtime.compiling import compiled, compiled_for

# Rows and columns. Three tiles of float64, one of each matrix, fill three quarters of a 32 KiB L1.
TILE = 32


def _naive(a: Array, b: Array, out: Array) -> None:
    m, k = a.shape
    n = b.shape[1]
    for i in range(m):
        for j in range(n):
            total = out.dtype.type(0)  # a literal 0.0 would make float32 sums float64
            for p in range(k):
                total += a[i, p] * b[p, j]
            out[i, j] = total


def _blocked(a: Array, b: Array, out: Array) -> None:
    m, k = a.shape
    n = b.shape[1]
    out[:, :] = 0
    for i0 in range(0, m, TILE):
        for j0 in range(0, n, TILE):
            out_tile = out[i0 : i0 + TILE, j0 : j0 + TILE]
            for p0 in range(0, k, TILE):
                a_tile = a[i0 : i0 + TILE, p0 : p0 + TILE]
                b_tile = b[p0 : p0 + TILE, j0 : j0 + TILE]
                # Views that start at 0: as far as the compiler knows, other indices could be
                # negative, and it would test each access for that.
                for i in range(a_tile.shape[0]):
                    for p in range(a_tile.shape[1]):
                        factor = a_tile[i, p]
                        for j in range(b_tile.shape[1]):
                            out_tile[i, j] += factor * b_tile[p, j]


@cache  # compiled for the first product of a dtype, not on import
def _compile(loops: Compute, dtype: np.dtype[np.floating]) -> Compute:
    # Left to itself, Numba compiles anew for each combination of layout, alignment and
    # writeability. One version that reads all strides at run time loses nothing here, where no
    # vector instruction depends on them.
    scalar = numba.from_dtype(dtype)
    operand = types.Array(scalar, 2, "A", readonly=True, aligned=False)
    out = types.Array(scalar, 2, "A", aligned=False)
    return compiled_for(types.void(operand, operand, out), loops)


def compute_naive(a: Array, b: Array, out: Array) -> None:
    """Write ``a @ b`` into `out`: the triple loop, compiled."""
    _compile(_naive, a.dtype)(a, b, out)


def compute_blocked(a: Array, b: Array, out: Array) -> None:
    """Write ``a @ b`` into `out`: the loop over tiles, compiled."""
    _compile(_blocked, a.dtype)(a, b, out)


# The same as ops, for compiled programs.
_naive_op, _blocked_op = compiled(_naive), compiled(_blocked)


def prepare_naive(a: Array, b: Array, out: Array) -> Prepared:
    """Return the op for ``out = a @ b``, and its arguments."""
    return _naive_op, (a, b, out)


def prepare_blocked(a: Array, b: Array, out: Array) -> Prepared:
    """Return the op for ``out = a @ b``, and its arguments."""
    return _blocked_op, (a, b, out)


NUMBA_NAIVE = Kernel(
    "numba-naive",
    "the triple loop, compiled",
    compute_naive,
    max_multiplications=2**29,  # a second or two
    prepare=prepare_naive,
)
NUMBA_BLOCKED = Kernel(
    "numba-blocked",
    "the loop over tiles, compiled",
    compute_blocked,
    max_multiplications=2**29,
    prepare=prepare_blocked,
)
