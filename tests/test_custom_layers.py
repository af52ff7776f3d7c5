"""Layers that give views of what they take: the same numbers as NumPy's, in every use."""

import numpy as np
import pytest

from fastnn import (
    SGD,
    Dense,
    Layer,
    MeanSquaredError,
    ReLU,
    Sequential,
    Softmax,
    SoftmaxCrossEntropy,
    evaluate,
    fit,
    kernels,
)

RNG = np.random.default_rng(0)
M, N = 12, 6
X = RNG.normal(size=(M, N))


class Identity(Layer):
    """``y = x``, the very array."""

    def forward(self, plan, x):
        return x

    def backward(self, plan, x, y, dy, needs_dx):
        return dy

    def by_hand(self, x):
        return x

    def gradient_by_hand(self, dy):
        return dy


class Reversed(Identity):
    """``y = x[:, ::-1]``."""

    def forward(self, plan, x):
        return x[:, ::-1]

    def backward(self, plan, x, y, dy, needs_dx):
        return dy[:, ::-1]

    def by_hand(self, x):
        return x[:, ::-1]

    gradient_by_hand = by_hand


class WithoutFirst(Identity):
    """``y = x[:, 1:]``."""

    def __init__(self, n_in):
        self.n_in, self.n_out = n_in, n_in - 1

    def forward(self, plan, x):
        return x[:, 1:]

    def backward(self, plan, x, y, dy, needs_dx):
        dx = plan.zeros(*x.shape)
        plan.call("copy_rows", dy, dx[:, 1:])
        return dx

    def by_hand(self, x):
        return x[:, 1:]

    def gradient_by_hand(self, dy):
        return np.pad(dy, ((0, 0), (1, 0)))


class WithZero(Identity):
    """``y = [x, 0]``: nobody ever writes to the last feature."""

    def __init__(self, n_in):
        self.n_in, self.n_out = n_in, n_in + 1

    def forward(self, plan, x):
        y = plan.zeros(len(x), self.n_out)
        plan.call("copy_rows", x, y[:, :-1])
        return y

    def backward(self, plan, x, y, dy, needs_dx):
        return dy[:, :-1]

    def by_hand(self, x):
        return np.pad(x, ((0, 0), (0, 1)))

    def gradient_by_hand(self, dy):
        return dy[:, :-1]


class Tripled(Identity):
    """``y = 3 x``, by an op of plain Python."""

    def forward(self, plan, x):
        y = plan.zeros(*x.shape)
        plan.call(triple, x, y)
        return y

    def backward(self, plan, x, y, dy, needs_dx):
        return self.forward(plan, dy)

    def by_hand(self, x):
        return 3 * x

    gradient_by_hand = by_hand


def triple(x, y):
    np.multiply(x, 3, out=y)


LAYERS = {
    "x": lambda n: Identity(),
    "x[:, ::-1]": lambda n: Reversed(),
    "x[:, 1:]": WithoutFirst,
    "[x, 0]": WithZero,
    "3 x": lambda n: Tripled(),
}
PLACES = ("first", "middle", "before an activation", "last", "everywhere")


def network(build, place, **options):
    """Return a network with the layer at a place, the layers by hand included."""
    layers, width = [], N

    def add(layer):
        nonlocal width
        layers.append(layer)
        width = width if layer.n_out is None else layer.n_out

    def add_at(here):
        if place in (here, "everywhere"):
            add(build(width))

    add_at("first")
    add(Dense(width, 7))
    add_at("before an activation")
    add(ReLU())
    add_at("middle")
    add(Dense(width, 4))
    add_at("last")
    net = Sequential(layers, rng=1, **options)
    net.parameters.flat[:] = np.random.default_rng(2).normal(0, 0.6, net.parameters.flat.size)
    return net


def forward_by_hand(net, x):
    """Return what goes into each layer, and what comes out of the last."""
    outputs = [x]
    for layer in net.layers:
        x = outputs[-1]
        if isinstance(layer, Dense):
            y = x @ layer.weights.astype(np.float64) + layer.bias
        else:
            y = np.maximum(x, 0) if isinstance(layer, ReLU) else layer.by_hand(x)
        outputs.append(y)
    return outputs


def loss_and_gradient_by_hand(net, x, t):
    """Return the mean squared error, and its gradient as one vector."""
    outputs = forward_by_hand(net, x)
    error = outputs[-1] - t
    dy, gradients = 2 * error / error.size, []
    for layer, before in reversed(list(zip(net.layers, outputs[:-1], strict=True))):
        if isinstance(layer, Dense):
            gradients[:0] = [(before.T @ dy).ravel(), dy.sum(axis=0)]
            dy = dy @ layer.weights.astype(np.float64).T
        else:
            dy = dy * (before > 0) if isinstance(layer, ReLU) else layer.gradient_by_hand(dy)
    return (error**2).mean(), np.concatenate(gradients)


@pytest.fixture(params=LAYERS.values(), ids=LAYERS.keys())
def build(request):
    return request.param


places = pytest.mark.parametrize("place", PLACES)
all_kernels = pytest.mark.parametrize("kernel", kernels.names())


@all_kernels
@places
def test_custom_layer_in_inference(build, place, kernel):
    net = network(build, place, kernel=kernel, dtype="float64")
    predictors = [net, net.predictor(M), net.predictor()]
    for x in (X, -X, 10 * X):
        expected = forward_by_hand(net, x)[-1]
        given = x.copy()
        for predict in predictors:
            for _ in range(2):  # first with a new plan, then with the same
                np.testing.assert_allclose(predict(given), expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(given, x)
    for rows in (1, 5, M):
        np.testing.assert_allclose(net(X[:rows]), forward_by_hand(net, X[:rows])[-1], rtol=1e-11)


@all_kernels
@places
def test_custom_layer_in_inference_gives_outputs_of_their_own(build, place, kernel):
    net = network(build, place, kernel=kernel)
    x = X.astype(np.float32)
    for predict in (net, net.predictor(M), net.predictor()):
        first = predict(x)
        kept = first.copy()
        for array in (x, net.parameters.flat):
            assert not np.shares_memory(first, array)
        predict(x + 1)
        np.testing.assert_array_equal(first, kept)
        first.fill(np.nan)
        np.testing.assert_array_equal(predict(x), kept)


@all_kernels
@places
def test_custom_layer_in_training_evaluation_and_objective(build, place, kernel):
    net = network(build, place, kernel=kernel, dtype="float64")
    loss, targets = MeanSquaredError(), np.random.default_rng(3).normal(size=(M, net.n_out))
    expected, gradient = loss_and_gradient_by_hand(net, X, targets)
    assert evaluate(net, X, targets, loss=loss).loss == pytest.approx(expected, rel=1e-12)
    objective = net.objective(X, targets, loss=loss)
    for _ in range(2):
        found, d_found = objective()
        assert found == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(d_found, gradient, rtol=1e-10, atol=1e-12)

    twin, losses = network(build, place, dtype="float64"), []
    for _ in range(3):  # an epoch is a step from all samples
        value, gradient = loss_and_gradient_by_hand(twin, X, targets)
        losses.append(value)
        twin.parameters.flat[:] -= 0.1 * gradient
    history = fit(
        net,
        X,
        targets,
        loss=loss,
        optimizer=SGD(0.1),
        gradient_descent="batch",
        epochs=3,
        validation_data=(X, targets),
    )
    assert [epoch.loss for epoch in history] == pytest.approx(losses, rel=1e-10)
    assert [epoch.val_loss for epoch in history[:-1]] == pytest.approx(losses[1:], rel=1e-10)
    np.testing.assert_allclose(net.parameters.flat, twin.parameters.flat, rtol=1e-9, atol=1e-11)


@places
def test_custom_layer_trains_by_mini_batches_under_both_engines_alike(build, place):
    def trained(engine, kernel="numba"):
        net = network(build, place, kernel=kernel, dtype="float64")
        targets = np.arange(M) % net.n_out
        options = {"batch_size": 5, "epochs": 3, "rng": 4, "engine": engine}
        fit(net, X, targets, loss=SoftmaxCrossEntropy(), optimizer=SGD(0.1), **options)
        return net.parameters.flat

    expected = trained("python", "numpy")
    if build(N).__class__ is Tripled:
        with pytest.raises(ValueError, match="triple can't be called from compiled code"):
            trained("compiled")
    else:
        np.testing.assert_array_equal(trained("python"), trained("compiled"))
    np.testing.assert_allclose(trained("auto"), expected, rtol=1e-10)


@pytest.mark.parametrize("kernel", ["numba", "numpy"])
def test_custom_layer_before_a_softmax_of_the_loss(build, kernel):
    """What the loss reads is a view, and the layer that made it is the last one planned."""
    net = Sequential([Dense(N, 5), build(5), Softmax()], kernel=kernel, dtype="float64")
    targets = np.arange(M) % net.n_out
    scores = net.layers[1].by_hand(X @ net.layers[0].weights + net.layers[0].bias)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net(X), p, rtol=1e-12)
    expected = -np.log(p[np.arange(M), targets]).mean()
    loss = SoftmaxCrossEntropy()
    assert evaluate(net, X, targets, loss=loss).loss == pytest.approx(expected, rel=1e-12)
    value, gradient = net.objective(X, targets, loss=loss)()
    assert value == pytest.approx(expected, rel=1e-12)
    ds = (p - np.eye(net.n_out)[targets]) / M
    dy = net.layers[1].gradient_by_hand(ds)
    expected = np.concatenate([(X.T @ dy).ravel(), dy.sum(axis=0)])
    np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-14)


class Parameter(Layer):
    """``y[i] = row``, whatever comes in: its output is a view of its parameters."""

    def __init__(self, n_out):
        self.n_in = self.n_out = n_out
        self.initializers = {"row": lambda rng, shape: rng.normal(size=shape)}

    def parameter_shapes(self):
        return {"row": (self.n_out,)}

    def forward(self, plan, x):
        return np.broadcast_to(self.row, x.shape)


@all_kernels
def test_custom_layer_that_gives_its_parameters(kernel):
    net = Sequential([Dense(N, 4), Parameter(4)], kernel=kernel)
    for predict in (net, net.predictor(M), net.predictor()):
        y = predict(X)
        np.testing.assert_array_equal(y, np.tile(net.layers[1].row, (M, 1)))
        y.fill(7)
        assert not (net.layers[1].row == 7).any()
        net.layers[1].row[:] += 1
        np.testing.assert_array_equal(predict(X), np.tile(net.layers[1].row, (M, 1)))
