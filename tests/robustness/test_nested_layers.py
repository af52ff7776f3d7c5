"""Layers within layers, gradients that are kept, and outputs that are views of parameters."""

import numpy as np
import pytest

from fastnn import SGD, Dense, Dropout, Layer, ReLU, Sequential, Softmax, evaluate, fit
from fastnn.engine import Execution
from fastnn.initializers import Zeros

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 6)), RNG.normal(size=(20, 3))
LABELS = np.arange(20) % 3


class ReLUAndBack(Layer):
    """``x + relu(x)``, by a layer within a layer, which must leave `x` and ``dy`` alone."""

    def forward(self, plan, x):
        self.inner, y = ReLU(), plan.zeros(*x.shape)
        self.out = self.inner.forward(plan, x)
        plan.call(sum_of_both, x, self.out, y)
        return y

    def backward(self, plan, x, y, dy, needs_dx):
        through, dx = self.inner.backward(plan, x, self.out, dy, needs_dx), plan.zeros(*x.shape)
        plan.call(sum_of_both, through, dy, dx)
        return dx


class Begin(Layer):
    """Where a skip connection begins; its gradient is what comes through, and what skipped."""

    def forward(self, plan, x):
        self.x = x
        return x

    def backward(self, plan, x, y, dy, needs_dx):
        dx = plan.zeros(*x.shape)
        plan.call(sum_of_both, dy, self.skipped, dx)
        return dx


class End(Layer):
    def __init__(self, begin):
        self.begin = begin

    def forward(self, plan, x):
        y = plan.zeros(*x.shape)
        plan.call(sum_of_both, x, self.begin.x, y)
        return y

    def backward(self, plan, x, y, dy, needs_dx):
        self.begin.skipped = dy
        return dy


def sum_of_both(a, b, out):
    out[...] = a + b


def skip_connection():
    begin = Begin()
    return [begin, ReLU(), End(begin)]


@pytest.mark.parametrize("kernel", ["numba", "numpy"])
@pytest.mark.parametrize("middle", [lambda: [ReLUAndBack()], skip_connection])
def test_a_layer_within_a_layer_and_a_gradient_that_is_kept_are_left_alone(middle, kernel):
    net = Sequential([Dense(6, 5), *middle(), Dense(5, 3)], kernel=kernel, dtype="float64", rng=1)
    w1, b1, w2, b2 = (net.parameters[name] for name in net.parameters)
    z = X @ w1 + b1
    y = (z + np.maximum(z, 0)) @ w2 + b2
    np.testing.assert_allclose(net(X), y, rtol=1e-12)
    objective = net.objective(X, Y, loss="mse")
    dy = 2 * (y - Y) / Y.size
    dz = (dy @ w2.T) * (1 + (z > 0))
    expected = [X.T @ dz, dz.sum(0), (z + np.maximum(z, 0)).T @ dy, dy.sum(0)]
    _, gradient = objective()
    np.testing.assert_allclose(gradient, np.concatenate([e.ravel() for e in expected]), rtol=1e-10)


class TwoDropouts(Layer):
    """Two layers without a place of their own in the network."""

    def __init__(self):
        self.inner = Dropout(0.5), Dropout(0.5)

    def forward(self, plan, x):
        self.outputs = [dropout.forward(plan, x) for dropout in self.inner]
        return self.outputs[0]

    def backward(self, plan, x, y, dy, needs_dx):
        return self.inner[0].backward(plan, x, y, dy, needs_dx)


def test_dropouts_within_a_layer_draw_masks_of_their_own():
    layer = TwoDropouts()
    net = Sequential([layer, Dense(200, 3)])
    plan = net.training_plan()
    net.plan_forward(plan, np.ones((4, 200), np.float32))
    Execution(plan).run()
    first, second = (output > 0 for output in layer.outputs)
    assert 0.15 < (first & second).mean() < 0.35


class Broadcast(Layer):
    """Every output is the same parameter: a view of it, which the update writes to."""

    n_in, n_out = 6, 3

    def __init__(self):
        self.initializers = {"b": Zeros()}

    def parameter_shapes(self):
        return {"b": (3,)}

    def forward(self, plan, x):
        return np.broadcast_to(self.b, (len(x), 3))

    def backward(self, plan, x, y, dy, needs_dx):
        plan.sum_rows(dy, self.d_b)


def test_the_update_may_write_what_a_layer_returned_a_view_of():
    net = Sequential([Broadcast()], dtype="float64")
    y = np.arange(60.0).reshape(20, 3)
    fit(net, X, y, loss="mse", optimizer=SGD(0.3), epochs=50, gradient_descent="batch")
    np.testing.assert_allclose(net.parameters["broadcast_1.b"], y.mean(axis=0), rtol=1e-3)


def test_a_subclass_of_an_activation_is_not_taken_for_it():
    class Doubled(Softmax):
        def forward(self, plan, x):
            return super().forward(plan, x)

    with pytest.raises(ValueError, match="computed on Softmax, but the network ends in Doubled"):
        evaluate(Sequential([Dense(6, 3), Doubled()]), X, LABELS, loss="cross-entropy")
