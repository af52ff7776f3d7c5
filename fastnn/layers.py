"""The layers: each its mathematics and little else.

A layer computes nothing by itself. ``forward`` and ``backward`` write down in a
`fastnn.plan.Plan` what is to be computed. In the shapes, ``m`` is the batch size; ``dy`` is
the gradient of the loss with respect to the layer's output ``y``, and so on: a backward pass
takes ``dy`` and gives ``dx``, which is the ``dy`` of the layer before.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastnn.initializers import Given, GlorotUniform, Initializer, Zeros
from fastnn.kernels.interface import Array
from fastnn.kernels.ops import elementwise
from fastnn.plan import Plan


class Layer:
    """A differentiable function of a batch; the base class changes nothing.

    A layer with parameters says their shapes and initialisers, and is handed views into the
    network's vectors with `bind`.
    """

    n_in: int | None = None  # None: takes any number of features, and gives as many
    n_out: int | None = None
    initializers: Mapping[str, Initializer] = {}

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters."""
        return {}

    def bind(self, parameters: dict[str, Array], gradients: dict[str, Array]) -> None:
        """Take the views that the layer's parameters and gradients live in."""

    def forward(self, plan: Plan, x: Array) -> Array:
        """Write down how ``y`` is computed from ``x[m, n_in]``, and return ``y[m, n_out]``."""
        raise NotImplementedError

    def backward(self, plan: Plan, x: Array, y: Array, dy: Array, needs_dx: bool) -> Array | None:
        """Write down how gradients are computed from ``dy``, and return ``dx``.

        `needs_dx` is false for the first layer with parameters: nobody takes its ``dx``.
        Nobody else reads ``dy``: it may be overwritten, and be ``dx`` itself.
        """
        raise NotImplementedError

    def config(self) -> dict[str, int | float]:
        """Return the arguments that build this layer anew, without its weights."""
        return {}

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value}" for name, value in self.config().items())
        return f"{type(self).__name__}({arguments})"


class Dense(Layer):
    """``y = x @ weights + bias``: every output sees every input.

    Parameters
    ----------
    n_in, n_out : int
        Number of features that come in and go out, at least 1.
    weights : array-like of shape (n_in, n_out), optional
        Where the weights start; random by `initializer` where not given.
    bias : array-like of shape (n_out,), optional
        Where the bias starts; zeros where not given.
    initializer : Initializer
        How random weights are drawn, see `fastnn.initializers`.

    Attributes
    ----------
    weights, bias, d_weights, d_bias : ndarray
        Views into ``net.parameters.flat`` and ``net.gradients.flat``, once the layer is part
        of a network.

    """

    n_in: int
    n_out: int
    weights: Array
    bias: Array
    d_weights: Array
    d_bias: Array

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        weights: npt.ArrayLike | None = None,
        bias: npt.ArrayLike | None = None,
        initializer: Initializer | None = None,
    ) -> None:
        for name, size in (("n_in", n_in), ("n_out", n_out)):
            if not isinstance(size, int | np.integer) or size < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {size!r}")
        if weights is not None and initializer is not None:
            raise ValueError("weights are given or drawn by an initializer, not both")
        self.n_in, self.n_out = int(n_in), int(n_out)
        self.initializers = {
            "weights": Given(weights) if weights is not None else initializer or GlorotUniform(),
            "bias": Given(bias) if bias is not None else Zeros(),
        }

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """``weights`` of shape (n_in, n_out), ``bias`` of shape (n_out,)."""
        return {"weights": (self.n_in, self.n_out), "bias": (self.n_out,)}

    def bind(self, parameters: dict[str, Array], gradients: dict[str, Array]) -> None:
        """Take the views that weights, bias and their gradients live in."""
        if hasattr(self, "weights"):
            raise ValueError(f"{self} is part of a network already; build a new layer")
        self.weights, self.bias = parameters["weights"], parameters["bias"]
        self.d_weights, self.d_bias = gradients["weights"], gradients["bias"]

    def forward(self, plan: Plan, x: Array) -> Array:
        """``y = x @ w + b``."""
        y = plan.empty(len(x), self.weights.shape[1])
        plan.matmul(x, self.weights, y)
        plan.call(elementwise.add_bias, self.bias, y)
        return y

    def backward(self, plan: Plan, x: Array, y: Array, dy: Array, needs_dx: bool) -> Array | None:
        """``dw = xᵀ @ dy``, ``db = sum(dy)`` over the batch, ``dx = dy @ wᵀ``."""
        plan.matmul(x.T, dy, self.d_weights)
        plan.call(elementwise.sum_rows, dy, self.d_bias)
        if not needs_dx:
            return None
        dx = plan.empty(*x.shape)
        plan.matmul(dy, self.weights.T, dx)
        return dx

    def config(self) -> dict[str, int | float]:
        """``n_in`` and ``n_out``."""
        return {"n_in": self.n_in, "n_out": self.n_out}


class Activation(Layer):
    """An element-wise or row-wise function without parameters, ``y = f(x)``.

    A subclass names two passes: ``function(x, y)``, and ``derivative(y, dy)``, which turns
    ``dy`` into ``dx`` and needs to know no more than what came out.
    """

    function: ClassVar[Callable[..., None]]
    derivative: ClassVar[Callable[..., None]]

    def forward(self, plan: Plan, x: Array) -> Array:
        """``y = f(x)``; after a Dense layer in place, in one pass with its bias."""
        if plan.fuse_bias(type(self).function, x):
            return x
        y = plan.empty(*x.shape)
        plan.call(type(self).function, x, y)
        return y

    def backward(self, plan: Plan, x: Array, y: Array, dy: Array, needs_dx: bool) -> Array | None:
        """``dx = dy · f'(x)``, with ``f'`` written in terms of ``y``; in place."""
        plan.call(type(self).derivative, y, dy)
        return dy


class ReLU(Activation):
    """``max(x, 0)``."""

    function = staticmethod(elementwise.relu)
    derivative = staticmethod(elementwise.relu_backward)


class Sigmoid(Activation):
    """``1 / (1 + exp(-x))``."""

    function = staticmethod(elementwise.sigmoid)
    derivative = staticmethod(elementwise.sigmoid_backward)


class Tanh(Activation):
    """Hyperbolic tangent."""

    function = staticmethod(elementwise.tanh)
    derivative = staticmethod(elementwise.tanh_backward)


class Softmax(Activation):
    """``exp(x) / sum(exp(x))`` along each row: scores become probabilities.

    As a network's last layer, under `fastnn.losses.SoftmaxCrossEntropy`, it is fused with
    the loss in training.
    """

    function = staticmethod(elementwise.softmax)
    derivative = staticmethod(elementwise.softmax_backward)


class LeakyReLU(Layer):
    """``x`` where it is positive, ``negative_slope * x`` elsewhere.

    Parameters
    ----------
    negative_slope : float
        At least 0; 0.3 as in Keras.

    """

    def __init__(self, negative_slope: float = 0.3) -> None:
        if not negative_slope >= 0:
            raise ValueError(f"negative_slope must be at least 0, not {negative_slope!r}")
        self.negative_slope = float(negative_slope)

    def forward(self, plan: Plan, x: Array) -> Array:
        """``y = x`` or ``negative_slope · x``, as in `Activation`."""
        if plan.fuse_bias(elementwise.leaky_relu, x, self.negative_slope):
            return x
        y = plan.empty(*x.shape)
        plan.call(elementwise.leaky_relu, x, self.negative_slope, y)
        return y

    def backward(self, plan: Plan, x: Array, y: Array, dy: Array, needs_dx: bool) -> Array | None:
        """``dx = dy`` or ``negative_slope · dy``, in place."""
        plan.call(elementwise.leaky_relu_backward, y, self.negative_slope, dy)
        return dy

    def config(self) -> dict[str, int | float]:
        """``negative_slope``."""
        return {"negative_slope": self.negative_slope}


class Dropout(Layer):
    """In training, silence each input with probability `rate` and scale up the others.

    What is kept is divided by ``1 - rate``, so that inference needs no change (Srivastava et
    al., 2014). Every step draws anew, from the network's random state.

    Parameters
    ----------
    rate : float
        At least 0 and below 1.

    """

    stream = 0  # set by the network, so that no two layers draw the same mask

    def __init__(self, rate: float = 0.5) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be at least 0 and below 1, not {rate!r}")
        self.rate = float(rate)

    def forward(self, plan: Plan, x: Array) -> Array:
        """``y = x · mask / (1 - rate)`` in training, ``x`` itself otherwise."""
        if not plan.training:
            return x
        y = plan.empty(*x.shape)
        plan.call(elementwise.dropout, x, self.rate, plan.random_state, self.stream, y)
        return y

    def backward(self, plan: Plan, x: Array, y: Array, dy: Array, needs_dx: bool) -> Array | None:
        """``dx = dy · mask / (1 - rate)``: the same pass draws the same mask again."""
        if not plan.training:
            return dy
        dx = plan.empty(*x.shape)
        plan.call(elementwise.dropout, dy, self.rate, plan.random_state, self.stream, dx)
        return dx

    def config(self) -> dict[str, int | float]:
        """``rate``."""
        return {"rate": self.rate}


# The names are those of the command line and of configuration files.
ACTIVATIONS: dict[str, type[Layer]] = {
    "relu": ReLU,
    "leaky-relu": LeakyReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
}
LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer for layer in (Dense, ReLU, LeakyReLU, Sigmoid, Tanh, Softmax, Dropout)
}
