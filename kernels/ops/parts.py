"""Parts of ops, which LLVM inlines: short rows worked on together, and sums along rows."""

import numpy as np

from fastnn.kernels.interface import Array
from fastnn.kernels.ops import functions
from fastnn.kernels.runtime.compiling import inlined
from fastnn.kernels.runtime.intrinsics import add_in_lanes, maximum

# Shorter rows are worked on several at a time, as one of at most this length. It makes enough
# vectors that a sum over rows, which loads and stores each of its elements every time, does not
# wait for what it has just stored.
MAX_ELEMENTS_AT_ONCE = 256


@inlined
def rows_at_once(y: Array) -> int:
    """Return how many rows make one long one: a power of two, and at most a quarter of them."""
    rows = 1
    while 2 * rows * y.shape[1] < MAX_ELEMENTS_AT_ONCE and 8 * rows <= len(y):
        rows *= 2
    return rows


@inlined
def tiled(bias: Array, times: int) -> Array:
    """Return `times` copies of a bias in a row: a loop over one alone is too short for vectors."""
    if times == 1:
        return bias
    tiled = np.empty(times * bias.size, bias.dtype)
    for j in range(bias.size):  # Numba takes seconds to compile a slice
        tiled[j] = bias[j]
    done = bias.size
    while done < tiled.size:  # twice as many each time
        for j in range(done):
            tiled[done + j] = tiled[j]
        done *= 2
    return tiled


@inlined
def largest(row: Array) -> float:
    """Return the largest element of a row; NaN does not count."""
    result: float = row[0]
    for j in range(row.size):
        result = maximum(result, row[j])
    return result


@inlined
def sum_of(row: Array) -> np.floating:
    """Return the sum of a row, in an order that depends on its length alone."""
    total = row.dtype.type(0)
    for j in range(row.size):
        total = add_in_lanes(total, row[j])
    return total


@inlined
def exponentiate(y: Array) -> None:
    """``exp(y)`` in place, of all rows at once: one alone may be shorter than a vector.

    (One array, not a source and a target: LLVM does not vectorize if these may be the same.)
    """
    y = y.reshape(-1)
    for i in range(y.size):
        y[i] = functions.exp(y[i])


@inlined
def subtract_largest(x: Array, y: Array) -> None:
    """Subtract its largest element from each row: a softmax is the same, and no exp overflows.

    Where a row holds NaN, so does what is left of it.
    """
    for i in range(x.shape[0]):
        shift = largest(x[i])
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] - shift
