"""What a network computes besides its matrix products, each as one compiled pass.

The passes are the same under every matmul kernel, so that a comparison between kernels
compares the matrix product and nothing else. Every pass writes its last array arguments and
reads the others. Arrays are C-contiguous and of one dtype, as `fastnn.plan.Plan` allocates
them; nothing is checked here. Scalars come in the dtype of the arrays, since a Python float
would drag float32 arithmetic up to float64.

The losses live in `kernels.losses`, the optimisers' updates in `kernels.updates`.
"""

from collections.abc import Callable
from typing import TypeAlias, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from kernels.interface import Array

Integers: TypeAlias = npt.NDArray[np.int64]
RandomState: TypeAlias = npt.NDArray[np.uint64]

Pass = TypeVar("Pass", bound=Callable[..., object])


def compiled(function: Pass) -> Pass:
    """Compile a pass on its first call for a dtype; later processes take it from disk."""
    return cast(Pass, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


@compiled
def take_rows(
    source: npt.NDArray[np.generic], order: Integers, start: Integers, out: npt.NDArray[np.generic]
) -> None:
    """Gather one batch: ``out[i] = source[order[start[0] + i]]``, for rows or labels.

    ``start`` is an array of one integer, so that a step moves on by changing a number in it.
    """
    first = start[0]
    for i in range(len(out)):
        out[i] = source[order[first + i]]


@compiled
def add_bias(bias: Array, y: Array) -> None:
    """Add ``bias[n]`` to every row of ``y[m, n]``, in place."""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] += bias[j]


@compiled
def sum_rows(dy: Array, d_bias: Array) -> None:
    """Gradient of a bias: ``d_bias[j]`` is the sum of ``dy[:, j]``, rows in order."""
    d_bias[:] = dy[0]
    for i in range(1, dy.shape[0]):
        for j in range(dy.shape[1]):
            d_bias[j] += dy[i, j]


@compiled
def relu(x: Array, y: Array) -> None:
    """``max(x, 0)``; NaN stays NaN."""
    x, y = x.reshape(-1), y.reshape(-1)
    zero = x.dtype.type(0)
    for i in range(x.size):
        y[i] = zero if x[i] < zero else x[i]


@compiled
def relu_backward(y: Array, dy: Array, dx: Array) -> None:
    """``dy`` where the unit was active, 0 elsewhere."""
    y, dy, dx = y.reshape(-1), dy.reshape(-1), dx.reshape(-1)
    zero = y.dtype.type(0)
    for i in range(y.size):
        dx[i] = dy[i] if y[i] > zero else zero


@compiled
def leaky_relu(x: Array, slope: float, y: Array) -> None:
    """``x`` where it is positive, ``slope * x`` elsewhere."""
    x, y = x.reshape(-1), y.reshape(-1)
    zero = x.dtype.type(0)
    for i in range(x.size):
        y[i] = slope * x[i] if x[i] < zero else x[i]


@compiled
def leaky_relu_backward(x: Array, slope: float, dy: Array, dx: Array) -> None:
    """``dy`` where ``x`` is positive, ``slope * dy`` elsewhere."""
    x, dy, dx = x.reshape(-1), dy.reshape(-1), dx.reshape(-1)
    zero = x.dtype.type(0)
    for i in range(x.size):
        dx[i] = dy[i] if x[i] > zero else slope * dy[i]


@compiled
def logistic(z: float) -> float:
    """``1 / (1 + exp(-z))`` of one number, without overflow for either sign."""
    one = type(z)(1)
    e = np.exp(-abs(z))  # in (0, 1]
    probability: float = (one if z >= 0 else e) / (one + e)
    return probability


@compiled
def sigmoid(x: Array, y: Array) -> None:
    """``1 / (1 + exp(-x))``."""
    x, y = x.reshape(-1), y.reshape(-1)
    for i in range(x.size):
        y[i] = logistic(x[i])


@compiled
def sigmoid_backward(y: Array, dy: Array, dx: Array) -> None:
    """``dy * y * (1 - y)``."""
    y, dy, dx = y.reshape(-1), dy.reshape(-1), dx.reshape(-1)
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dy[i] * y[i] * (one - y[i])


@compiled
def tanh(x: Array, y: Array) -> None:
    """Hyperbolic tangent."""
    x, y = x.reshape(-1), y.reshape(-1)
    for i in range(x.size):
        y[i] = np.tanh(x[i])


@compiled
def tanh_backward(y: Array, dy: Array, dx: Array) -> None:
    """``dy * (1 - y²)``."""
    y, dy, dx = y.reshape(-1), dy.reshape(-1), dx.reshape(-1)
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dy[i] * (one - y[i] * y[i])


@compiled
def softmax(x: Array, y: Array) -> None:
    """``exp(x) / sum(exp(x))`` along each row; the row's maximum is taken off first.

    The maximum cancels in the quotient, and without it ``exp`` overflows.
    """
    for i in range(x.shape[0]):
        largest = x[i].max()
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            y[i, j] = np.exp(x[i, j] - largest)
            total += y[i, j]
        for j in range(x.shape[1]):
            y[i, j] /= total


@compiled
def softmax_backward(y: Array, dy: Array, dx: Array) -> None:
    """``dx = y * (dy - sum(y * dy))`` along each row: the softmax's Jacobian times ``dy``."""
    for i in range(y.shape[0]):
        inner = y.dtype.type(0)
        for j in range(y.shape[1]):
            inner += y[i, j] * dy[i, j]
        for j in range(y.shape[1]):
            dx[i, j] = y[i, j] * (dy[i, j] - inner)


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
