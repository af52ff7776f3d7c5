"""Every layer and every loss against central differences of the loss, in float64."""

import math

import numpy as np
import pytest

from fastnn import (
    Activation,
    BinaryCrossEntropy,
    Dense,
    Dropout,
    Layer,
    LeakyReLU,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
)
from tests.gradient_check import TOLERANCE, largest_error, loss_and_gradient

M = 7
LABELS = np.array([0, 2, 1, 2, 0, 1, 1])
ONE_HOT = np.eye(3)[LABELS]
SOFT = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], *ONE_HOT[2:]])

# Under NumPy's products Python calls the products; under this package's own, compiled code does.
ENGINES = pytest.mark.parametrize("kernel", ["numpy", "numba"])


def inputs():
    return np.random.default_rng(1).normal(size=(M, 4))


def network(*middle, first=(), last=(), kernel="numpy"):
    layers = [*first, Dense(4, 5), *middle, Dense(5, 3), *last]
    net = Sequential(layers, kernel=kernel, dtype="float64", rng=3)
    rng = np.random.default_rng(4)
    net.parameters.flat[:] = rng.normal(0, 0.7, net.parameters.flat.size)  # biases too
    return net


@ENGINES
@pytest.mark.parametrize(
    "layer",
    [ReLU(), LeakyReLU(), LeakyReLU(0.01), Sigmoid(), Tanh(), Softmax(), Dropout(0.4)],
    ids=repr,
)
@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), MeanSquaredError()], ids=repr)
def test_gradient_of_every_layer(layer, loss, kernel):
    targets = LABELS if loss.takes_labels else np.random.default_rng(2).normal(size=(M, 3))
    assert largest_error(network(layer, kernel=kernel), loss, inputs(), targets) < TOLERANCE


@ENGINES
@pytest.mark.parametrize(
    ("loss", "targets", "last"),
    [
        (SoftmaxCrossEntropy(), LABELS, ()),
        (SoftmaxCrossEntropy(), LABELS, (Softmax(),)),
        (SoftmaxCrossEntropy(), ONE_HOT, ()),
        (SoftmaxCrossEntropy(), SOFT, (Softmax(),)),
        (BinaryCrossEntropy(), ONE_HOT, ()),
        (BinaryCrossEntropy(), SOFT, (Sigmoid(),)),
        (MeanSquaredError(), SOFT, ()),
        (MeanSquaredError(), SOFT, (Softmax(),)),
        (MeanSquaredError(), SOFT, (Sigmoid(),)),
        (MeanSquaredError(), SOFT, (Tanh(),)),
    ],
)
def test_gradient_of_every_loss(loss, targets, last, kernel):
    net = network(Tanh(), last=last, kernel=kernel)
    assert largest_error(net, loss, inputs(), targets) < TOLERANCE


def test_gradient_through_several_layers_and_two_dropouts():
    net = network(Dropout(0.3), Tanh(), Dense(5, 5), LeakyReLU(), Dropout(0.3))
    assert largest_error(net, SoftmaxCrossEntropy(), inputs(), LABELS) < TOLERANCE


def test_gradient_where_the_first_layer_is_not_dense():
    layers = [Tanh(), Dense(4, 3)]
    net = Sequential(layers, kernel="numpy", dtype="float64")
    assert largest_error(net, SoftmaxCrossEntropy(), inputs(), LABELS) < TOLERANCE


@pytest.mark.parametrize("kernel", ["naive", "numba-blocked", "numba"])
def test_gradient_under_another_kernel(kernel):
    net = network(ReLU())
    net.kernel = kernel
    assert largest_error(net, SoftmaxCrossEntropy(), inputs(), LABELS) < TOLERANCE


class Identity(Layer):
    """Passes on what comes in, and what comes back."""

    def forward(self, plan, x):
        return x

    def backward(self, plan, x, y, dy, needs_dx):
        return dy


def square(x):
    return x * x


def square_gradient(x, y, dy):
    return 2 * x * dy


class Square(Layer):
    """``y = x²``, whose backward pass reads what came in."""

    def forward(self, plan, x):
        return plan.activate(square, x, in_place=False)

    def backward(self, plan, x, y, dy, needs_dx):
        return plan.activate_gradient(square_gradient, x, y, dy)


class Gelu(Activation):
    """``x · Φ(x)``, whose gradient has to know x."""

    reads_input = True

    @staticmethod
    def function(x):
        return x * 0.5 * (1 + math.erf(x * math.sqrt(0.5)))

    @staticmethod
    def gradient(x, y, dy):
        phi = 0.5 * (1 + math.erf(x * math.sqrt(0.5)))
        return dy * (phi + x * math.exp(-x * x / 2) * math.sqrt(0.5 / math.pi))


class Reversed(Layer):
    """Turns the features around: a view, forward and backward."""

    def forward(self, plan, x):
        return x[:, ::-1]

    def backward(self, plan, x, y, dy, needs_dx):
        return dy[:, ::-1]


class Sliced(Layer):
    """Leaves out the first feature."""

    def __init__(self, n_in):
        self.n_in, self.n_out = n_in, n_in - 1

    def forward(self, plan, x):
        return x[:, 1:]

    def backward(self, plan, x, y, dy, needs_dx):
        dx = plan.zeros(*x.shape)  # the gradient of the first feature stays 0
        plan.call("copy_rows", dy, dx[:, 1:])
        return dx


ACTIVATIONS = [ReLU, LeakyReLU, Sigmoid, Tanh, Softmax, Gelu, Square]


@ENGINES
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("between", [Identity, Square, Gelu, Reversed])
def test_gradient_of_a_layer_between_dense_and_activation(between, activation, kernel):
    """A bias fused with the activation must not overwrite what the layer between reads."""
    net = network(between(), activation(), kernel=kernel)
    assert largest_error(net, SoftmaxCrossEntropy(), inputs(), LABELS) < TOLERANCE


class Keeping(Layer):
    """Returns its input, and reads it again in its backward pass."""

    reads_output = False

    def forward(self, plan, x):
        self.kept = x
        return x

    def backward(self, plan, x, y, dy, needs_dx):
        self.read_backward = plan.zeros(*x.shape)
        plan.call("copy_rows", self.kept, self.read_backward)
        return dy


@ENGINES
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_leaves_alone_what_a_layer_before_it_keeps(activation, kernel):
    """It returns its input, which it reads again: no bias may be fused with the activation."""
    keeping = Keeping()
    net = network(keeping, activation(), kernel=kernel)
    loss_and_gradient(net, SoftmaxCrossEntropy(), inputs(), LABELS)
    weights, bias = list(net.parameters.values())[:2]
    np.testing.assert_allclose(keeping.read_backward, inputs() @ weights + bias, rtol=1e-12)


@ENGINES
@pytest.mark.parametrize("last", [Identity, Reversed, Gelu])
@pytest.mark.parametrize("first", [Identity, Reversed, Gelu])
def test_gradient_of_layers_of_views_first_and_last(first, last, kernel):
    net = network(Sliced(5), Dense(4, 5), first=[first()], last=[last()], kernel=kernel)
    assert largest_error(net, MeanSquaredError(), inputs(), SOFT) < TOLERANCE


class WrongTanh(Tanh):
    """Takes the sigmoid's gradient."""

    gradient = "sigmoid_gradient"


class WrongDense(Dense):
    """Forgets to add up the gradient of its bias."""

    def backward(self, plan, x, y, dy, needs_dx):
        dx = super().backward(plan, x, y, dy, needs_dx)
        plan.calls = [call for call in plan.calls if call.name != "sum_rows"]
        return dx


@ENGINES
@pytest.mark.parametrize("layer", [WrongTanh, lambda: WrongDense(5, 5)], ids=["tanh", "dense"])
def test_gradient_check_finds_a_wrong_gradient(layer, kernel):
    net = network(layer(), kernel=kernel)
    assert largest_error(net, SoftmaxCrossEntropy(), inputs(), LABELS) > 1e-3


@pytest.mark.parametrize(
    ("loss", "targets"),
    [(SoftmaxCrossEntropy(), LABELS), (BinaryCrossEntropy(), SOFT), (MeanSquaredError(), SOFT)],
    ids=repr,
)
def test_gradient_of_a_loss_alone(loss, targets):
    outputs = np.random.default_rng(5).normal(size=(M, 3))
    estimate = np.empty_like(outputs)
    for i in np.ndindex(outputs.shape):
        step = np.zeros_like(outputs)
        step[i] = 1e-6
        estimate[i] = (loss(outputs + step, targets) - loss(outputs - step, targets)) / 2e-6
    np.testing.assert_allclose(loss.gradient(outputs, targets), estimate, atol=1e-9)
