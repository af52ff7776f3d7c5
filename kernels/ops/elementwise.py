"""Ops made of a function of one number: the same for every element of a matrix.

Four makers take such a function, from `fastnn.kernels.ops.activations` or a user's own, and return
the op that applies it. LLVM inlines the function into a loop that it can vectorize. `parameters` of
the function, such as a slope, come in the dtype of the arrays, since a Python float would turn
float32 arithmetic into float64.

An element depends on nothing but its own row and column, so that all these ops may be cut by rows.
"""

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

from fastnn.kernels.interface import Array
from fastnn.kernels.ops.parts import rows_at_once, tiled
from fastnn.kernels.runtime.compiling import compiled, inlined

Function: TypeAlias = Callable[..., float]
Op: TypeAlias = Callable[..., None]


@cache
def elementwise(function: Function) -> Op:
    """Return the op ``y = function(x, *parameters)``, called ``(x, y, *parameters)``."""
    f = inlined(function)

    def apply(x: Array, y: Array, *parameters: float) -> None:
        x, y = x.reshape(-1), y.reshape(-1)
        for i in range(x.size):
            y[i] = f(x[i], *parameters)

    return compiled(apply)


@cache
def after_bias(function: Function) -> Op:
    """Return the op ``y = function(y + bias, *parameters)``, called ``(bias, y, *parameters)``.

    In place: what a matrix product has just written is loaded and stored once for both.
    """
    f = inlined(function)

    def apply(bias: Array, y: Array, *parameters: float) -> None:
        tile = tiled(bias, rows_at_once(y))
        width, y = tile.size, y.reshape(-1)
        for start in range(0, y.size, width):
            part = y[start : start + width]
            for j in range(part.size):
                part[j] = f(part[j] + tile[j], *parameters)

    return compiled(apply)


@cache
def gradient(function: Function) -> Op:
    """Return the op ``dy = function(y, dy, *parameters)``, called ``(y, dy, *parameters)``."""
    f = inlined(function)

    def apply(y: Array, dy: Array, *parameters: float) -> None:
        y, dy = y.reshape(-1), dy.reshape(-1)
        for i in range(y.size):
            dy[i] = f(y[i], dy[i], *parameters)

    return compiled(apply)


@cache
def gradient_of_input(function: Function) -> Op:
    """Return the op ``dy = f(x, y, dy, *parameters)``, called ``(x, y, dy, *parameters)``."""
    f = inlined(function)

    def apply(x: Array, y: Array, dy: Array, *parameters: float) -> None:
        x, y, dy = x.reshape(-1), y.reshape(-1), dy.reshape(-1)
        for i in range(y.size):
            dy[i] = f(x[i], y[i], dy[i], *parameters)

    return compiled(apply)
