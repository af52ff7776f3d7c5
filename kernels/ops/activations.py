"""Activations as functions of one number, and how gradients pass back through them.

`fastnn.kernels.ops.elementwise` makes ops of them. A gradient function turns ``dy``, the gradient
with respect to the output, into ``dx``, given the output as well: ``f_gradient(y, dy)``. An
activation that has to know what came in as well has ``f_gradient(x, y, dy)``.
"""

from fastnn.kernels.ops import functions
from fastnn.kernels.runtime.compiling import inlined


@inlined
def identity(x: float) -> float:
    """``x``."""
    return x


@inlined
def relu(x: float) -> float:
    """``max(x, 0)``; NaN stays NaN."""
    zero = type(x)(0)
    return zero if x < zero else x


@inlined
def relu_gradient(y: float, dy: float) -> float:
    """``dy`` where the unit was active, 0 elsewhere; ``dy`` at NaN, as in PyTorch."""
    zero = type(y)(0)
    return zero if y <= zero else dy


@inlined
def leaky_relu(x: float, negative_slope: float) -> float:
    """``x`` where it is positive, ``negative_slope * x`` elsewhere."""
    return negative_slope * x if x < type(x)(0) else x


@inlined
def leaky_relu_gradient(y: float, dy: float, negative_slope: float) -> float:
    """``dy`` where the unit was active, ``negative_slope * dy`` elsewhere."""
    return dy if y > type(y)(0) else negative_slope * dy


@inlined
def sigmoid(x: float) -> float:
    """``1 / (1 + exp(-x))``."""
    return functions.logistic(x)


@inlined
def sigmoid_gradient(y: float, dy: float) -> float:
    """``dy * y * (1 - y)``."""
    return dy * (y * (type(y)(1) - y))


@inlined
def tanh(x: float) -> float:
    """Hyperbolic tangent."""
    return functions.tanh(x)


@inlined
def tanh_gradient(y: float, dy: float) -> float:
    """``dy * (1 - y²)``."""
    return dy * (type(y)(1) - y * y)
