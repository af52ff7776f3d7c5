"""The layers: each its mathematics and little else.

A layer computes nothing by itself. ``forward`` and ``backward`` write down in a
`fastnn.plan.Plan` what is to be computed. In the shapes, ``m`` is the batch size; ``dy`` is
the gradient of the loss with respect to the layer's output ``y``, and so on: a backward pass
takes ``dy`` and gives ``dx``, which is the ``dy`` of the layer before.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastnn.initializers import Given, GlorotUniform, Initializer, Zeros
from fastnn.kernels.interface import Array
from fastnn.plan import Function, Plan


class Layer:
    """A differentiable function of a batch; the base class changes nothing.

    A layer with parameters states their shapes and initializers, and gets views into the network's
    vectors by `bind`.

    Attributes
    ----------
    n_in, n_out : int or None
        Number of features that come in and go out. None: any number, and as many go out.
    initializers : mapping from str to Initializer
        How each parameter starts.
    stream : int
        Set by the network before `forward`: tells apart the random numbers of its layers.

    """

    n_in: int | None = None
    n_out: int | None = None
    initializers: Mapping[str, Initializer] = {}
    stream = 0

    # What the network has to know of a layer.
    reads_output: ClassVar[bool] = True  # `backward` reads ``y``, which must not be overwritten
    keeps_gradient: ClassVar[bool] = True  # what `backward` returns may be read later on
    works_in_place: ClassVar[bool] = False  # overwrites ``x`` and ``dy`` that are read no more
    gives_probabilities: ClassVar[bool] = False  # what a loss computes along with itself

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the names and shapes of the parameters."""
        return {}

    def bind(self, parameters: dict[str, Array], gradients: dict[str, Array]) -> None:
        """Take the views that the layer's parameters and gradients live in.

        They become attributes: ``weights`` and, for its gradient, ``d_weights``.
        """
        for name, view in parameters.items():
            if hasattr(self, f"d_{name}"):
                raise ValueError(f"{self} is part of a network already; build a new layer")
            setattr(self, name, view)
            setattr(self, f"d_{name}", gradients[name])

    def forward(self, plan: Plan, x: Array) -> Array:
        """Write down how ``y`` is computed from ``x[m, n_in]``, and return ``y[m, n_out]``."""
        raise NotImplementedError(f"{type(self).__name__} has no method forward")

    def backward(self, plan: Plan, x: Array, y: Array, dy: Array, needs_dx: bool) -> Array | None:
        """Write down how gradients are computed from ``dy``, and return ``dx``.

        `needs_dx` is false for the first layer with parameters: nothing takes its ``dx``.
        ``dx`` may be ``dy`` itself. `Plan.writable` gives a ``dy`` that may be overwritten.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method backward")

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
    reads_output = False
    keeps_gradient = False

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

    def forward(self, plan: Plan, x: Array) -> Array:
        """``y = x @ w + b``."""
        y = plan.zeros(len(x), self.n_out)
        plan.matmul(x, self.weights, y)
        plan.add_bias(self.bias, y)
        return y

    def backward(self, plan: Plan, x: Array, y: Array, dy: Array, needs_dx: bool) -> Array | None:
        """``dw = xᵀ @ dy``, ``db = sum(dy)`` over the batch, ``dx = dy @ wᵀ``."""
        plan.matmul(x.T, dy, self.d_weights)
        plan.sum_rows(dy, self.d_bias)
        if not needs_dx:
            return None
        dx = plan.zeros(*x.shape)
        plan.matmul(dy, self.weights.T, dx)
        return dx

    def config(self) -> dict[str, int | float]:
        """``n_in`` and ``n_out``."""
        return {"n_in": self.n_in, "n_out": self.n_out}


class Activation(Layer):
    """A function without parameters, the same for every element: ``y = f(x)``.

    A subclass names two functions of numbers, in `fastnn.kernels.ops.activations`, or gives its
    own: plain Python, which is compiled.

    Attributes
    ----------
    function : str or callable
        ``f(x, *parameters)``.
    gradient : str or callable
        Turns ``dy`` into ``dx``: ``f_gradient(y, dy, *parameters)``, if the output says enough;
        ``f_gradient(x, y, dy, *parameters)`` if it `reads_input`.
    reads_input : bool
        Whether the gradient needs ``x``. If not, ``y`` may take its place in memory.
    parameters : tuple of float
        Further arguments of both functions, such as a slope.

    """

    function: ClassVar[Function]
    gradient: ClassVar[Function]
    reads_input: ClassVar[bool] = False
    keeps_gradient = False
    works_in_place = True
    parameters: tuple[float, ...] = ()

    def forward(self, plan: Plan, x: Array) -> Array:
        """``y = f(x)``; after a Dense layer in place, in one op with its bias."""
        in_place = not self.reads_input
        return plan.activate(type(self).function, x, *self.parameters, in_place=in_place)

    def backward(self, plan: Plan, x: Array, y: Array, dy: Array, needs_dx: bool) -> Array | None:
        """``dx = dy · f'(x)``, in place where nothing else reads ``dy``."""
        arrays = (x, y, dy) if self.reads_input else (y, dy)
        return plan.activate_gradient(type(self).gradient, *arrays, parameters=self.parameters)


class ReLU(Activation):
    """``max(x, 0)``."""

    function, gradient = "relu", "relu_gradient"


class LeakyReLU(Activation):
    """``x`` where it is positive, ``negative_slope * x`` elsewhere.

    Parameters
    ----------
    negative_slope : float
        At least 0; 0.3 as in Keras.

    """

    function, gradient = "leaky_relu", "leaky_relu_gradient"

    def __init__(self, negative_slope: float = 0.3) -> None:
        if not negative_slope >= 0:
            raise ValueError(f"negative_slope must be at least 0, not {negative_slope!r}")
        self.negative_slope = float(negative_slope)
        self.parameters = (self.negative_slope,)

    def config(self) -> dict[str, int | float]:
        """``negative_slope``."""
        return {"negative_slope": self.negative_slope}


class Sigmoid(Activation):
    """``1 / (1 + exp(-x))``."""

    function, gradient = "sigmoid", "sigmoid_gradient"
    gives_probabilities = True


class Tanh(Activation):
    """Hyperbolic tangent."""

    function, gradient = "tanh", "tanh_gradient"


class Softmax(Layer):
    """``exp(x) / sum(exp(x))`` along each row: scores become probabilities.

    As a network's last layer, under `fastnn.losses.SoftmaxCrossEntropy`, it is fused with
    the loss in training.
    """

    gives_probabilities = True
    keeps_gradient = False
    works_in_place = True

    def forward(self, plan: Plan, x: Array) -> Array:
        """``y = softmax(x)``."""
        y = plan.zeros(*x.shape)
        plan.call("softmax", plan.contiguous(x), y)
        return y

    def backward(self, plan: Plan, x: Array, y: Array, dy: Array, needs_dx: bool) -> Array | None:
        """``dx = y · (dy - sum(y · dy))``, in place where nothing else reads ``dy``."""
        dx = plan.writable(dy)
        plan.call("softmax_gradient", y, dx)
        return dx


class Dropout(Layer):
    """In training, set each input to 0 with probability `rate` and scale up the others.

    What is kept is divided by ``1 - rate``, so that inference needs no change (Srivastava et
    al., 2014). Every step draws anew, from the network's random state.

    Parameters
    ----------
    rate : float
        At least 0 and below 1.

    """

    keeps_gradient = False

    def __init__(self, rate: float = 0.5) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be at least 0 and below 1, not {rate!r}")
        self.rate = float(rate)

    def forward(self, plan: Plan, x: Array) -> Array:
        """``y = x · mask / (1 - rate)`` in training, ``x`` itself otherwise."""
        if not plan.training:
            return x
        self._stream = plan.own_stream(self.stream)
        return self._mask(plan, x)

    def backward(self, plan: Plan, x: Array, y: Array, dy: Array, needs_dx: bool) -> Array | None:
        """``dx = dy · mask / (1 - rate)``: the same op draws the same mask again."""
        if not plan.training:
            return dy
        return self._mask(plan, dy)

    def _mask(self, plan: Plan, x: Array) -> Array:
        y, x = plan.zeros(*x.shape), plan.contiguous(x)
        scale = 1 / (1 - self.rate)
        plan.call("dropout", x, self.rate, scale, plan.random_state, self._stream, y)
        return y

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
HIDDEN_LAYERS: dict[str, type[Layer]] = {"dense": Dense}  # built from (n_in, n_out)
LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer for layer in (Dense, Softmax, Dropout, *ACTIVATIONS.values())
}
