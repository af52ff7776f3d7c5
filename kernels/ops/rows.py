"""Ops along the rows of a matrix, or across them: softmax, and the gradient of a bias.

A sum over a row has an order that depends on the row's length alone, so that a row's bits are the
same in every batch.
"""

from fastnn.kernels.interface import Array
from fastnn.kernels.ops.parts import exponentiate, rows_at_once, subtract_largest, sum_of
from fastnn.kernels.runtime.compiling import compiled
from fastnn.kernels.runtime.intrinsics import add_in_lanes


@compiled
def sum_rows(dy: Array, d_bias: Array) -> None:
    """Gradient of a bias: ``d_bias[j]`` is the sum of ``dy[:, j]``.

    Short rows are added several at a time, as one long row, which is folded at the end.
    """
    rows, n = rows_at_once(dy), dy.shape[1]
    flat = dy.reshape(-1)
    sums = flat[: rows * n].copy() if rows > 1 else d_bias
    for j in range(sums.size):
        sums[j] = flat[j]
    for start in range(sums.size, flat.size, sums.size):
        part = flat[start : start + sums.size]
        for j in range(part.size):
            sums[j] += part[j]
    if rows > 1:
        half = sums.size // 2
        while half >= n:
            for j in range(half):
                sums[j] += sums[half + j]
            half //= 2
        for j in range(n):
            d_bias[j] = sums[j]


@compiled
def softmax(x: Array, y: Array) -> None:
    """``exp(x) / sum(exp(x))`` along each row."""
    subtract_largest(x, y)
    exponentiate(y)
    for i in range(x.shape[0]):
        total = sum_of(y[i])
        for j in range(x.shape[1]):
            y[i, j] /= total


@compiled
def softmax_gradient(y: Array, dy: Array) -> None:
    """``y * (dy - sum(y * dy))`` along each row: the softmax's Jacobian times ``dy``."""
    for i in range(y.shape[0]):
        inner = y.dtype.type(0)
        for j in range(y.shape[1]):
            inner = add_in_lanes(inner, y[i, j] * dy[i, j])
        for j in range(y.shape[1]):
            dy[i, j] = y[i, j] * (dy[i, j] - inner)
