"""``numba``: a loop order in which the compiler finds vectors, and rows shared by threads.

What changed since ``numba-blocked``: the inner loop runs along n, where rows of `b` and `out`
are contiguous, and does four steps of k at once. Blocks of rows go to threads.

Why that is faster: the additions of an inner loop are independent of each other, so a vector
instruction does many; multiplication and addition fuse into one instruction; four of them
share one load and one store of `out`. Four rows of `b` stay in L1 while they are added to a
block of rows of `out`.

What it costs: a copy of `b` where its rows are not contiguous, for instance a transpose, and
one of `out` likewise; and sums that go through memory at all, which a register tile spares.

Each element is summed upwards in k by one thread, so its bits depend neither on the number of
threads nor on the other rows of `a`.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import njit, prange, types

from kernels.interface import Array
from kernels.threads import get_num_threads

ROWS = 16  # of `out` at a time: with 512 columns of float32 they fill a 32 KiB L1 cache

# Below this many multiplications waking threads takes longer than they save.
PARALLEL_FROM = 2**18

# `contract` fuses a multiplication with the addition it feeds; nothing is reordered.
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": {"contract"}}


def _multiply_rows(a: Array, b: Array, out: Array, start: int, stop: int) -> None:
    k, n = b.shape
    k4 = k - k % 4
    out[start:stop] = 0
    for i0 in range(start, stop, ROWS):
        i1 = min(i0 + ROWS, stop)
        for p in range(0, k4, 4):
            for i in range(i0, i1):
                a0, a1, a2, a3 = a[i, p], a[i, p + 1], a[i, p + 2], a[i, p + 3]
                for j in range(n):
                    out[i, j] = (
                        out[i, j]
                        + a0 * b[p, j]
                        + a1 * b[p + 1, j]
                        + a2 * b[p + 2, j]
                        + a3 * b[p + 3, j]
                    )
        for p in range(k4, k):
            for i in range(i0, i1):
                for j in range(n):
                    out[i, j] += a[i, p] * b[p, j]


_rows = njit(**_OPTIONS)(_multiply_rows)


def _multiply(a: Array, b: Array, out: Array, threads: int) -> None:
    m = a.shape[0]
    if threads == 1:
        _rows(a, b, out, 0, m)
    else:
        for t in prange(threads):
            _rows(a, b, out, m * t // threads, m * (t + 1) // threads)


@cache  # compiled by the first product of a dtype, not on import
def _compiled(dtype: np.dtype[np.floating]) -> Callable[[Array, Array, Array, int], None]:
    scalar = numba.from_dtype(dtype)
    # One version for all operands: elements of `a` are read singly, whatever its strides.
    a = types.Array(scalar, 2, "A", readonly=True, aligned=False)
    b = types.Array(scalar, 2, "C", readonly=True, aligned=False)
    out = types.Array(scalar, 2, "C", aligned=False)
    signature = types.void(a, b, out, types.intp)
    multiply: Callable[[Array, Array, Array, int], None]
    multiply = njit([signature], parallel=True, **_OPTIONS)(_multiply)
    return multiply


def compute(a: Array, b: Array, out: Array) -> None:
    """Write ``a @ b`` into `out`."""
    m, k = a.shape
    threads = get_num_threads() if m * k * b.shape[1] >= PARALLEL_FROM else 1
    if threads > 1:
        numba.set_num_threads(threads)  # Numba keeps a number for each Python thread
    rows = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
    _compiled(a.dtype)(a, np.ascontiguousarray(b), rows, min(threads, m))
    if rows is not out:
        out[...] = rows
