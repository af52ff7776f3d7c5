import numpy as np
import pytest

from fastnn import (
    BinaryCrossEntropy,
    Dense,
    Dropout,
    LeakyReLU,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
)
from fastnn.kernels.ops import elementwise
from tests.gradient_check import TOLERANCE, largest_error

M = 7
LABELS = np.array([0, 2, 1, 2, 0, 1, 1])
ONE_HOT = np.eye(3)[LABELS]
SOFT = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], *ONE_HOT[2:]])


def inputs():
    return np.random.default_rng(1).normal(size=(M, 4))


# Under NumPy's products Python makes every call; under this package's own, compiled code does.
ENGINES = pytest.mark.parametrize("kernel", ["numpy", "numba"])


def network(*middle, last=(), kernel="numpy"):
    layers = [Dense(4, 5), *middle, Dense(5, 3), *last]
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
def test_every_layer(layer, loss, kernel):
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
def test_every_loss(loss, targets, last, kernel):
    net = network(Tanh(), last=last, kernel=kernel)
    assert largest_error(net, loss, inputs(), targets) < TOLERANCE


def test_several_layers_and_two_dropouts():
    net = network(Dropout(0.3), Tanh(), Dense(5, 5), LeakyReLU(), Dropout(0.3))
    assert largest_error(net, SoftmaxCrossEntropy(), inputs(), LABELS) < TOLERANCE


def test_no_dense_layer_first():
    layers = [Tanh(), Dense(4, 3)]
    net = Sequential(layers, kernel="numpy", dtype="float64")
    assert largest_error(net, SoftmaxCrossEntropy(), inputs(), LABELS) < TOLERANCE


@pytest.mark.parametrize("kernel", ["naive", "numba-blocked", "numba"])
def test_the_kernel_does_not_matter(kernel):
    net = network(ReLU())
    net.kernel = kernel
    assert largest_error(net, SoftmaxCrossEntropy(), inputs(), LABELS) < TOLERANCE


class WrongTanh(Tanh):
    """Takes the sigmoid's derivative."""

    derivative = staticmethod(elementwise.sigmoid_backward)


class WrongDense(Dense):
    """Forgets to add up the gradient of its bias."""

    def backward(self, plan, x, y, dy, needs_dx):
        dx = super().backward(plan, x, y, dy, needs_dx)
        plan.calls = [call for call in plan.calls if call.name != "sum_rows"]
        return dx


@ENGINES
@pytest.mark.parametrize("layer", [WrongTanh, lambda: WrongDense(5, 5)], ids=["tanh", "dense"])
def test_a_wrong_gradient_is_found(layer, kernel):
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
