"""What a network computes besides its matrix products, each as one compiled pass.

The passes are the same under every matmul kernel, so that a comparison between kernels
compares the matrix product and nothing else. Every pass writes its last array arguments and
reads the others. Arrays are C-contiguous and of one dtype, as `fastnn.plan.Plan` allocates
them; nothing is checked here. Scalars come in the dtype of the arrays, since a Python float
would drag float32 arithmetic up to float64.

The inner loops are such that LLVM finds vectors in them. Sums over a row have an order that
depends on the row's length alone, so that a row's bits are the same in every batch. No pass
uses threads by itself: at the size of most batches one is over in about the time that waking a
second takes. Where it is not, a plan cuts it by rows (`ROW_BY_ROW`).

The losses live in `fastnn.kernels.ops.losses`, the optimisers' updates in `fastnn.kernels.ops.updates`.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn.kernels.interface import Array
from fastnn.kernels.ops import functions
from fastnn.kernels.runtime.compiling import compiled, inlined
from fastnn.kernels.runtime.intrinsics import add_in_lanes, fma, maximum

Integers: TypeAlias = npt.NDArray[np.int64]
Function: TypeAlias = Callable[..., float]  # of an element
RandomState: TypeAlias = npt.NDArray[np.uint64]


@compiled
def take_rows(
    source: npt.NDArray[np.generic], order: Integers, start: Integers, out: npt.NDArray[np.generic]
) -> None:
    """Gather one batch: ``out[i] = source[order[start[0] + i]]``, for rows or labels.

    ``start`` is an array of one integer, so that a step moves on by changing a number in it.
    """
    rows, out = source.reshape(len(source), -1), out.reshape(len(out), -1)
    for i in range(out.shape[0]):
        row = rows[order[start[0] + i]]
        for j in range(out.shape[1]):  # several times as fast as ``out[i] = row``
            out[i, j] = row[j]


@compiled
def take_bytes(source: npt.NDArray[np.uint8], order: Integers, start: Integers, out: Array) -> None:
    """Gather one batch of bytes as numbers from 0 to 1: ``source[order[start[0] + i]] / 255``.

    Data kept as bytes (images) take a quarter of the memory of float32, and of the time that
    reading it from there takes. The quotients are those of a division, whose time they do not
    take: the product with ``1 / 255`` is off by a rounding for half of all bytes, and is put
    right by what it leaves of the byte (Markstein, "Computation of elementary functions on the
    IBM RISC System/6000 processor", 1990).
    """
    one, divisor = out.dtype.type(1), out.dtype.type(255)
    reciprocal = one / divisor
    for i in range(out.shape[0]):
        row = source[order[start[0] + i]]
        for j in range(out.shape[1]):
            byte = out.dtype.type(row[j])
            quotient = byte * reciprocal
            out[i, j] = fma(fma(-divisor, quotient, byte), reciprocal, quotient)


@compiled
def next_batch(start: Integers, rows: int) -> None:
    """Move on to the next batch: ``start[0] += rows``."""
    start[0] += rows


# Fewer elements than these are a short row, which is worked on together with others. So many
# make enough vectors that a sum over rows, which loads and stores each of its elements every
# time, does not wait for what it has just stored.
AT_ONCE = 256


@inlined
def _rows_at_once(y: Array) -> int:
    """Return how many rows make one long one: a power of two, and at most a quarter of them."""
    rows = 1
    while 2 * rows * y.shape[1] < AT_ONCE and 8 * rows <= len(y):
        rows *= 2
    return rows


@inlined
def _tiled(bias: Array, times: int) -> Array:
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


# A function handed over is named with its module: Numba keeps no code on disk that refers to
# one in any other way.
@inlined
def _apply(function: Function, x: Array, y: Array, *parameters: float) -> None:
    """``y = function(x)``, element by element."""
    x, y = x.reshape(-1), y.reshape(-1)
    for i in range(x.size):
        y[i] = function(x[i], *parameters)


@inlined
def _apply_after_bias(function: Function, bias: Array, y: Array, *parameters: float) -> None:
    """``y = function(y + bias)``, in place."""
    tiled = _tiled(bias, _rows_at_once(y))
    width, y = tiled.size, y.reshape(-1)
    for start in range(0, y.size, width):
        part = y[start : start + width]
        for j in range(part.size):
            part[j] = function(part[j] + tiled[j], *parameters)


@compiled
def add_bias(bias: Array, y: Array) -> None:
    """Add ``bias[n]`` to every row of ``y[m, n]``, in place."""
    _apply_after_bias(functions.identity, bias, y)


@compiled
def sum_rows(dy: Array, d_bias: Array) -> None:
    """Gradient of a bias: ``d_bias[j]`` is the sum of ``dy[:, j]``.

    Of short rows, several are added as one long one, which is folded in the end.
    """
    rows, n = _rows_at_once(dy), dy.shape[1]
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
def relu(x: Array, y: Array) -> None:
    """``max(x, 0)``; NaN stays NaN."""
    _apply(functions.relu, x, y)


@compiled
def add_bias_relu(bias: Array, y: Array) -> None:
    """`add_bias` and `relu`, in place."""
    _apply_after_bias(functions.relu, bias, y)


@compiled
def relu_backward(y: Array, dy: Array) -> None:
    """``dy`` where the unit was active, 0 elsewhere; in place, as all derivatives are."""
    y, dy = y.reshape(-1), dy.reshape(-1)
    zero = y.dtype.type(0)
    for i in range(y.size):
        dy[i] = dy[i] if y[i] > zero else zero


@compiled
def leaky_relu(x: Array, slope: float, y: Array) -> None:
    """``x`` where it is positive, ``slope * x`` elsewhere."""
    _apply(functions.leaky_relu, x, y, slope)


@compiled
def add_bias_leaky_relu(bias: Array, slope: float, y: Array) -> None:
    """`add_bias` and `leaky_relu`, in place."""
    _apply_after_bias(functions.leaky_relu, bias, y, slope)


@compiled
def leaky_relu_backward(y: Array, slope: float, dy: Array) -> None:
    """``dy`` where the unit was active, ``slope * dy`` elsewhere."""
    y, dy = y.reshape(-1), dy.reshape(-1)
    zero = y.dtype.type(0)
    for i in range(y.size):
        dy[i] = dy[i] if y[i] > zero else slope * dy[i]


@compiled
def sigmoid(x: Array, y: Array) -> None:
    """``1 / (1 + exp(-x))``."""
    _apply(functions.logistic, x, y)


@compiled
def add_bias_sigmoid(bias: Array, y: Array) -> None:
    """`add_bias` and `sigmoid`, in place."""
    _apply_after_bias(functions.logistic, bias, y)


@compiled
def sigmoid_backward(y: Array, dy: Array) -> None:
    """``dy * y * (1 - y)``."""
    y, dy = y.reshape(-1), dy.reshape(-1)
    one = y.dtype.type(1)
    for i in range(y.size):
        dy[i] *= y[i] * (one - y[i])


@compiled
def tanh(x: Array, y: Array) -> None:
    """Hyperbolic tangent."""
    _apply(functions.tanh, x, y)


@compiled
def add_bias_tanh(bias: Array, y: Array) -> None:
    """`add_bias` and `tanh`, in place."""
    _apply_after_bias(functions.tanh, bias, y)


@compiled
def tanh_backward(y: Array, dy: Array) -> None:
    """``dy * (1 - y²)``."""
    y, dy = y.reshape(-1), dy.reshape(-1)
    one = y.dtype.type(1)
    for i in range(y.size):
        dy[i] *= one - y[i] * y[i]


# Passes that may be cut by rows: each row of a matrix depends on that row of the others alone.
ROW_BY_ROW: frozenset[Callable[..., object]] = frozenset(
    {
        add_bias,
        *(relu, add_bias_relu, relu_backward),
        *(leaky_relu, add_bias_leaky_relu, leaky_relu_backward),
        *(sigmoid, add_bias_sigmoid, sigmoid_backward),
        *(tanh, add_bias_tanh, tanh_backward),
    }
)

# One pass for an activation and the bias before it.
AFTER_BIAS: dict[Callable[..., object], Callable[..., object]] = {
    relu: add_bias_relu,
    leaky_relu: add_bias_leaky_relu,
    sigmoid: add_bias_sigmoid,
    tanh: add_bias_tanh,
}


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

    (One array, not a source and a target: where both are the same, vectors are ruled out.)
    """
    y = y.reshape(-1)
    for i in range(y.size):
        y[i] = functions.exp(y[i])


@inlined
def subtract_largest(x: Array, y: Array) -> None:
    """Take the largest element off each row: it cancels in a softmax, whose exp overflows else.

    Where a row holds NaN, so does what is left of it.
    """
    for i in range(x.shape[0]):
        shift = largest(x[i])
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] - shift


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
def softmax_backward(y: Array, dy: Array) -> None:
    """``y * (dy - sum(y * dy))`` along each row: the softmax's Jacobian times ``dy``."""
    for i in range(y.shape[0]):
        inner = y.dtype.type(0)
        for j in range(y.shape[1]):
            inner = add_in_lanes(inner, y[i, j] * dy[i, j])
        for j in range(y.shape[1]):
            dy[i, j] = y[i, j] * (dy[i, j] - inner)


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(40))


@compiled
def random_bits(key: np.uint64, counter: np.uint64) -> np.uint64:
    """64 random bits from a key and a counter (the finaliser of SplitMix64).

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    z = key + (counter + np.uint64(1)) * _GOLDEN
    z = (z ^ (z >> _SHIFTS[0])) * _MIX_1
    z = (z ^ (z >> _SHIFTS[1])) * _MIX_2
    return z ^ (z >> _SHIFTS[2])


@compiled
def dropout(x: Array, drop: float, random_state: RandomState, stream: int, y: Array) -> None:
    """Keep each element with probability ``1 - drop`` and scale it up by ``1 / (1 - drop)``.

    Which elements are kept is a function of ``random_state = [seed, step]``, of the layer's
    ``stream`` and of the element's place. Nothing is stored: the backward pass is this very
    pass over ``dy``, and the mask does not depend on the number of threads.
    """
    key = random_bits(random_bits(random_state[0], random_state[1]), np.uint64(stream))
    x, y = x.reshape(-1), y.reshape(-1)
    zero, one = x.dtype.type(0), x.dtype.type(1)
    scale = one / (one - drop)
    unit = x.dtype.type(2.0**-24)  # 24 bits are exact in float32 too
    for i in range(x.size):
        uniform = x.dtype.type(random_bits(key, np.uint64(i)) >> _SHIFTS[3]) * unit
        y[i] = zero if uniform < drop else x[i] * scale


@compiled
def next_random_state(random_state: RandomState) -> None:
    """Move on to the next step's random numbers: ``random_state[1] += 1``."""
    random_state[1] += np.uint64(1)


def aligned_empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Allocate an array that starts on a cache line (64 bytes), as vector loads prefer.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype-like

    Returns
    -------
    ndarray, C-contiguous, uninitialised

    """
    line = 64
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    buffer = np.empty(size + line, np.uint8)
    first = -buffer.ctypes.data % line
    return buffer[first : first + size].view(dtype).reshape(shape)
