"""`net.objective`: the loss and its gradient as a function of the parameters."""

import numpy as np
import pytest

from fastnn import (
    Dense,
    Dropout,
    MeanSquaredError,
    ReLU,
    Sequential,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    evaluate,
    kernels,
)
from tests.gradient_check import loss_and_gradient

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 6)).astype(np.float32)
Y = RNG.integers(3, size=50)


@pytest.mark.parametrize("kernel", kernels.names())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_objective_is_loss_and_gradient(kernel, dtype):
    net = Sequential([Dense(6, 20), ReLU(), Dense(20, 3)], kernel=kernel, dtype=dtype)
    x, y, loss = X, Y, SoftmaxCrossEntropy()
    objective = net.objective(x, y, loss=loss)
    for _ in range(2):
        value, gradient = objective()
        assert value == evaluate(net, x, y, loss=loss).loss
        found = gradient.copy()
        assert loss_and_gradient(net, loss, x, y) == pytest.approx(value, rel=1e-6)
        np.testing.assert_allclose(found, net.gradients.flat, rtol=1e-5, atol=1e-7)
    parameters = net.parameters.flat * 0.5
    value, _ = objective(parameters)
    assert (net.parameters.flat == parameters).all()
    assert value == evaluate(net, x, y, loss=loss).loss


def test_objective_leaves_dropout_out():
    layers = [Dense(6, 20), ReLU(), Dropout(0.5), Dense(20, 3), Softmax()]
    net = Sequential(layers)
    loss = SoftmaxCrossEntropy()
    value, gradient = net.objective(X, Y, loss=loss)()
    assert value == evaluate(net, X, Y, loss=loss).loss
    plain = Sequential([Dense(6, 20), ReLU(), Dense(20, 3)])
    plain.parameters.flat[:] = net.parameters.flat
    assert (plain.objective(X, Y, loss=loss)()[1] == gradient).all()


def test_objective_gives_gradients_to_keep_or_fills_an_array():
    net = Sequential([Dense(6, 3)])
    objective = net.objective(X, Y, loss=SoftmaxCrossEntropy())
    _, gradient = objective()
    kept = gradient.copy()
    _, other = objective(2 * net.parameters.flat)
    assert gradient.tobytes() == kept.tobytes() != other.tobytes()
    assert objective(out=gradient)[1] is gradient
    assert gradient.tobytes() == other.tobytes()


def test_objective_leads_a_descent_by_hand_to_the_least_squares():
    net = Sequential([Dense(6, 2)], dtype="float64")
    x = X.astype(np.float64)
    targets = np.tanh(x[:, :2])
    objective = net.objective(x, targets, loss=MeanSquaredError())
    w = np.zeros(net.parameters.flat.size)
    for _ in range(3000):
        _, gradient = objective(w)
        w -= 0.3 * gradient
    columns = np.column_stack([x, np.ones(len(x))])
    expected, *_ = np.linalg.lstsq(columns, targets)
    np.testing.assert_allclose(w[:12].reshape(6, 2), expected[:6], atol=1e-9)
    np.testing.assert_allclose(w[12:], expected[6], atol=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[:, :5], Y, r"\(samples, 6\) is needed"),
        (X, Y[:9], "x has 50 samples, y has 9"),
        (X[:0], Y[:0], "x has no samples"),
    ],
)
def test_objective_refuses_data_that_do_not_fit(x, y, message):
    net = Sequential([Dense(6, 3), Tanh()])
    with pytest.raises(ValueError, match=message):
        net.objective(x, y, loss=SoftmaxCrossEntropy())
