"""``numba-naive`` and ``numba-blocked``: the two loop nests, compiled.

What changed since ``blocked``: nothing in the loops. Numba translates them to machine code,
in which a product is an instruction and an element of an array an address.

Why that is faster: the interpreter is gone, and what is left shows what the order of the loops
is worth. In ``numba-naive`` the inner loop goes down a column of `b`, a cache line for each
element, and where `b` exceeds a cache each line is fetched anew for the next column; and every
addition waits for the one before it. In ``numba-blocked`` the tile of `b` is already there, and
the additions of the inner loop are to different elements of `out`.

What it costs: the compilation, once for each dtype (kept on disk afterwards); and sums in the
dtype of the operands, where Python had float64. Both stay far below the machine's peak, since
they work on one element at a time where a vector instruction takes many.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import types

from fastnn.kernels.interface import Array, Compute, Kernel
from fastnn.kernels.runtime.compiling import compiled, compiled_for

# Three tiles of float64, one of each matrix, fill three quarters of a 32 KiB L1 cache.
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
                # Views from 0 upwards: indices that start elsewhere could be negative, as far
                # as the compiler knows, and every access would test for that.
                for i in range(a_tile.shape[0]):
                    for p in range(a_tile.shape[1]):
                        factor = a_tile[i, p]
                        for j in range(b_tile.shape[1]):
                            out_tile[i, j] += factor * b_tile[p, j]


@cache  # compiled by the first product of a dtype, not on import
def _compiled(loops: Compute, dtype: np.dtype[np.floating]) -> Compute:
    # Left to itself Numba compiles anew for each combination of layout, alignment and
    # writeability. One version that reads all strides at run time loses nothing here, where no
    # vector instruction depends on them.
    scalar = numba.from_dtype(dtype)
    operand = types.Array(scalar, 2, "A", readonly=True, aligned=False)
    out = types.Array(scalar, 2, "A", aligned=False)
    return compiled_for(types.void(operand, operand, out), loops)


def compute_naive(a: Array, b: Array, out: Array) -> None:
    """Write ``a @ b`` into `out`: the triple loop, compiled."""
    _compiled(_naive, a.dtype)(a, b, out)


def compute_blocked(a: Array, b: Array, out: Array) -> None:
    """Write ``a @ b`` into `out`: the loop over tiles, compiled."""
    _compiled(_blocked, a.dtype)(a, b, out)


# The same for callers that are compiled themselves.
_naive_pass, _blocked_pass = compiled(_naive), compiled(_blocked)

Prepared = tuple[Callable[..., object], tuple[Any, ...]]


def prepare_naive(a: Array, b: Array, out: Array) -> Prepared:
    """Return what compiled code calls for ``out = a @ b``."""
    return _naive_pass, (a, b, out)


def prepare_blocked(a: Array, b: Array, out: Array) -> Prepared:
    """Return what compiled code calls for ``out = a @ b``."""
    return _blocked_pass, (a, b, out)


NUMBA_NAIVE = Kernel(
    "numba-naive",
    "the triple loop, compiled",
    compute_naive,
    max_multiplications=2**29,  # a second or two of work
    prepare=prepare_naive,
)
NUMBA_BLOCKED = Kernel(
    "numba-blocked",
    "the loop over tiles, compiled",
    compute_blocked,
    max_multiplications=2**29,
    prepare=prepare_blocked,
)
