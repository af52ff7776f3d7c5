"""A user's own layers: in place only where nobody else reads, random numbers of their own."""

import numpy as np
import pytest

from fastnn import (
    SGD,
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
    evaluate,
    fit,
    op,
)
from fastnn.engine import Execution

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 6)), RNG.normal(size=(20, 3))
LABELS = np.arange(20) % 3
KERNELS = pytest.mark.parametrize("kernel", ["numba", "numba-blocked", "numpy"])


@op
def double(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = 2 * x[i, j]


def double_in_python(x, y):
    np.multiply(x, 2, out=y)


@op
def add(x, scale, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] += scale * x[i, j]


class InPlace(Layer):
    """``y = 2 x``, in the place of x."""

    op = staticmethod(double)

    def forward(self, plan, x):
        plan.call(type(self).op, x, x)
        return x

    def backward(self, plan, x, y, dy, needs_dx):
        plan.call(type(self).op, dy, dy)
        return dy


class InPlaceInPython(InPlace):
    op = staticmethod(double_in_python)


class InPartOfTheInput(InPlace):
    """Writes to two columns of x."""

    def forward(self, plan, x):
        plan.call(double, x[:, :2], x[:, 2:4])
        return x


class InPlaceByProduct(InPlace):
    def forward(self, plan, x):
        plan.matmul(np.eye(len(x), dtype=x.dtype), plan.contiguous(x.copy()), x)
        return x


class InPlaceByActivation(InPlace):
    def forward(self, plan, x):
        plan.add_bias(np.ones(x.shape[1], x.dtype), x)
        return x


WRITERS = [InPlace, InPlaceInPython, InPartOfTheInput, InPlaceByProduct, InPlaceByActivation]
writers = pytest.mark.parametrize("writer", WRITERS)
USES = {
    "net(x)": lambda net, x: net(x),
    "predictor": lambda net, x: net.predictor(len(x))(x),
    "evaluate": lambda net, x: evaluate(net, x, Y, loss="mse"),
    "fit": lambda net, x: fit(net, x, Y, loss="mse", optimizer="sgd", epochs=1),
    "fit in one batch": lambda net, x: fit(
        net, x, Y, loss="mse", optimizer="sgd", epochs=1, gradient_descent="batch"
    ),
    "objective": lambda net, x: net.objective(x, Y, loss=MeanSquaredError())(),
    "plan": lambda net, x: net.plan(len(x), loss=MeanSquaredError()),
}
uses = pytest.mark.parametrize("use", USES.values(), ids=USES)


@KERNELS
@uses
@writers
def test_a_first_layer_that_works_in_place_is_refused_and_x_stays_as_it_is(writer, use, kernel):
    net = Sequential([writer(), Dense(6, 3)], kernel=kernel)
    for dtype in (np.float32, np.float64):
        x = X.astype(dtype)
        with pytest.raises(ValueError, match=rf"{net.names[0]} writes to the network's input by"):
            use(net, x)
        np.testing.assert_array_equal(x, X.astype(dtype))


@uses
@pytest.mark.parametrize("before", [Tanh, Softmax, Sigmoid, LeakyReLU], ids=lambda b: b.__name__)
def test_in_place_work_on_an_output_that_its_layer_reads_is_refused(before, use):
    net = Sequential([Dense(6, 5), before(), InPlace(), Dense(5, 3)])
    name = net.names[1]
    with pytest.raises(ValueError, match=f"inplace_1 writes to the output of {name} by double"):
        use(net, X)


class Save(Layer):
    """``y = x``; keeps x for an `Add` later on, or has it as a penalty."""

    reads_output = False  # of its own, it says; but others do

    def forward(self, plan, x):
        self.x = x
        return x

    def backward(self, plan, x, y, dy, needs_dx):
        dx = plan.zeros(*dy.shape)
        plan.call("copy_rows", dy, dx)
        plan.call(add, self.dy, 1.0, dx)
        return dx


class Add(Layer):
    """``y = x + what was saved``."""

    def __init__(self, save):
        self.save = save

    def forward(self, plan, x):
        y = plan.zeros(*x.shape)
        plan.call("copy_rows", x, y)
        plan.call(add, self.save.x, 1.0, y)
        return y

    def backward(self, plan, x, y, dy, needs_dx):
        self.save.dy = plan.zeros(*dy.shape)
        plan.call("copy_rows", dy, self.save.dy)
        return dy


@KERNELS
def test_a_residual_connection_around_an_activation_is_right(kernel):
    save = Save()
    layers = [Dense(6, 8), save, ReLU(), Add(save), Dense(8, 3)]
    net = Sequential(layers, kernel=kernel, dtype="float64")
    net.parameters.flat[:] = np.random.default_rng(1).normal(size=net.parameters.flat.size)
    w1, b1, w2, b2 = (view.copy() for view in net.parameters.values())
    h = X @ w1 + b1
    added = np.maximum(h, 0) + h
    outputs = added @ w2 + b2
    assert np.abs(2 * np.maximum(h, 0) - added).max() > 0.5  # what overwriting makes of it
    np.testing.assert_allclose(net(X), outputs, rtol=1e-12)
    np.testing.assert_allclose(net.predictor(20)(X), outputs, rtol=1e-12)
    dz = 2 * (outputs - Y) / Y.size
    dh = dz @ w2.T * (1 + (h > 0))
    gradient = [X.T @ dh, dh.sum(axis=0), added.T @ dz, dz.sum(axis=0)]
    value, found = net.objective(X, Y, loss=MeanSquaredError())()
    assert value == pytest.approx(((outputs - Y) ** 2).mean(), rel=1e-12)
    np.testing.assert_allclose(found, np.concatenate([g.ravel() for g in gradient]), rtol=1e-11)


class Penalty(Layer):
    """``y = x``, with ``x²/2`` as a part of the loss: ``dx = dy + x``."""

    def forward(self, plan, x):
        return x

    def backward(self, plan, x, y, dy, needs_dx):
        plan.call(add, x, 1.0, dy)
        return dy


@KERNELS
@pytest.mark.parametrize("activation", [ReLU, LeakyReLU, Sigmoid, Tanh], ids=lambda a: a.__name__)
def test_a_layer_that_reads_its_input_in_the_end_reads_what_came_in(activation, kernel):
    net = Sequential(
        [Dense(6, 8), Penalty(), activation(), Dense(8, 3)], kernel=kernel, dtype="float64"
    )
    _, found = net.objective(X, Y, loss=MeanSquaredError())()
    plain = Sequential([Dense(6, 8), activation(), Dense(8, 3)], dtype="float64")
    plain.parameters.flat[:] = net.parameters.flat
    _, expected = plain.objective(X, Y, loss=MeanSquaredError())()
    h = X @ net.layers[0].weights + net.layers[0].bias
    expected[:48] += (X.T @ h).ravel()
    expected[48:56] += h.sum(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


@KERNELS
@pytest.mark.parametrize("layer", [InPlace, InPlaceInPython])
def test_in_place_work_after_dense_is_allowed_and_right(layer, kernel):
    net = Sequential([Dense(6, 5), layer(), Dense(5, 3)], kernel=kernel, dtype="float64")
    plain = Sequential([Dense(6, 5), Dense(5, 3)], dtype="float64")
    plain.parameters.flat[:] = net.parameters.flat
    plain.parameters.flat[:35] *= 2  # the first Dense's weights and bias
    np.testing.assert_allclose(net(X), plain(X), rtol=1e-12)
    value, found = net.objective(X, Y, loss=MeanSquaredError())()
    expected_value, expected = plain.objective(X, Y, loss=MeanSquaredError())()
    expected[:35] *= 2
    assert value == pytest.approx(expected_value, rel=1e-12)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_in_place_work_on_what_an_identity_layer_hands_on_is_refused():
    class Keep(Layer):
        reads_output = False

        def forward(self, plan, x):
            return x

    net = Sequential([Dense(6, 5), Keep(), InPlace(), Dense(5, 3)])
    with pytest.raises(ValueError, match="writes to the output of"):
        net(X)


def test_in_place_work_on_the_parameters_is_a_layers_own_affair():
    """What the plan protects is what goes from layer to layer."""
    net = Sequential([Dense(6, 3)])
    plan = net.training_plan()
    plan.call(double, net.layers[0].weights, net.layers[0].weights)
    assert len(plan.calls) == 1


@op
def add_step(x, random_state, stream, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] + 100 * random_state[1] + stream


def add_step_in_python(x, random_state, stream, y):
    y[...] = x + 100 * int(random_state[1]) + stream


class Step(Layer):
    """Adds 100 times the step, and the number of its stream, in training."""

    op = staticmethod(add_step)

    def forward(self, plan, x):
        if not plan.training:
            return x
        y = plan.zeros(*x.shape)
        plan.call(type(self).op, x, plan.random_state, self.stream, y)
        return y

    def backward(self, plan, x, y, dy, needs_dx):
        return dy


class StepInPython(Step):
    op = staticmethod(add_step_in_python)


@pytest.mark.parametrize(
    ("layers", "engine"),
    [
        ([Step], "python"),
        ([Step], "compiled"),
        ([Step, Step], "python"),
        ([Step, Step], "compiled"),
        ([Step, Dropout], "compiled"),
        ([StepInPython], "python"),
    ],
)
def test_a_random_layer_of_a_users_own_sees_each_step_once(layers, engine):
    kinds = [kind(0.0) if kind is Dropout else kind() for kind in layers]
    bias = Dense(6, 1, weights=np.zeros((6, 1)))
    net = Sequential([bias, *kinds], dtype="float64")
    streams = sum(i + 1 for i, kind in enumerate(layers) if issubclass(kind, Step))
    times = sum(issubclass(kind, Step) for kind in layers)
    history = fit(
        net,
        X,
        np.zeros(20),
        loss="mse",
        optimizer=SGD(1e-300),
        batch_size=8,
        epochs=3,
        engine=engine,
        flush_denormals=False,
    )
    for epoch in range(3):  # of two batches of 8, and one of 4
        steps = np.repeat(range(3 * epoch, 3 * epoch + 3), [8, 8, 4])
        expected = ((100 * times * steps + streams) ** 2).mean()
        assert history[epoch].loss == pytest.approx(expected, rel=1e-12)
    assert net.random_state[1] == 9
    before = net.random_state.copy()
    evaluate(net, X, np.zeros(20), loss="mse")
    net(X)
    np.testing.assert_array_equal(net.random_state, before)


def test_a_network_without_random_layers_leaves_the_random_state_as_it_is():
    net = Sequential([Dense(6, 3)])
    fit(net, X, Y, loss="mse", optimizer="sgd", epochs=2)
    assert net.random_state[1] == 0


def test_two_dropouts_draw_masks_of_their_own():
    ones = np.ones((4, 200), np.float32)
    net = Sequential([Dropout(0.5), Dense(200, 200, weights=np.eye(200)), Dropout(0.5)])
    plan = net.training_plan()
    outputs = net.plan_forward(plan, ones)
    Execution(plan).run()
    first, both = outputs[1] > 0, outputs[3] > 0
    assert 0.4 < first.mean() < 0.6
    assert 0.15 < both.mean() < 0.35  # half of a half, not the same half


@pytest.mark.parametrize("layer", [Dropout, ReLU, Softmax, Penalty, Step, lambda: Dense(5, 5)])
def test_a_layer_used_twice_is_refused(layer):
    twice = layer()
    with pytest.raises(ValueError, match="is in the network twice; build a new layer for each"):
        Sequential([Dense(6, 5), twice, Dense(5, 5), twice])
    with pytest.raises(ValueError, match="is in the network twice"):
        Sequential([Dense(6, 5), twice, twice])
    net = Sequential([Dense(6, 5), twice, Dense(5, 3)])  # nothing is left of the attempts
    assert net.layers[1] is twice


def test_a_layer_with_parameters_is_refused_in_another_network():
    shared = Dense(5, 5)
    Sequential([Dense(6, 5), shared])
    with pytest.raises(ValueError, match="is part of a network already; build a new layer"):
        Sequential([Dense(6, 5), Tanh(), shared])


def test_a_layer_without_parameters_draws_the_masks_of_the_network_that_it_is_planned_for():
    def masks(dropout, other=None):
        net = Sequential([Dropout(0.5), Dense(200, 200, weights=np.eye(200)), dropout])
        if other is not None:
            Sequential([other, Dense(200, 200)])(np.ones((4, 200)))
        plan = net.training_plan()
        outputs = net.plan_forward(plan, np.ones((4, 200), np.float32))
        Execution(plan).run()
        return outputs[-1]

    shared = Dropout(0.5)
    np.testing.assert_array_equal(masks(shared, shared), masks(Dropout(0.5)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("loss", "activation", "y"),
    [
        (SoftmaxCrossEntropy(), Softmax, LABELS),
        (SoftmaxCrossEntropy(), Softmax, np.eye(3)[LABELS]),
        (BinaryCrossEntropy(), Sigmoid, np.eye(3)[LABELS]),
    ],
    ids=["labels", "one-hot", "yes or no"],
)
def test_the_loss_of_a_networks_probabilities_can_not_apply_the_activation_twice_unseen(
    loss, activation, y, dtype
):
    net = Sequential([Dense(6, 3), activation()], dtype=dtype)
    fit(net, X, y, loss=loss, optimizer=SGD(1.0), epochs=20)
    for outputs in (net(X), net(X)[:1], net(1000 * X)):
        rows = len(outputs)
        with pytest.raises(ValueError, match="say probabilities=True or probabilities=False"):
            loss(outputs, y[:rows])
        with pytest.raises(ValueError, match="outputs may be probabilities"):
            loss.gradient(outputs, y[:rows])
    expected = evaluate(net, X, y, loss=loss).loss
    assert loss(net(X), y, probabilities=True) == pytest.approx(expected, rel=1e-5)
    twice = loss(net(X), y, probabilities=False)
    assert twice != pytest.approx(expected, rel=0.1)
    scores = X @ net.layers[0].weights.astype(float) + net.layers[0].bias
    assert loss(scores, y) == pytest.approx(expected, rel=1e-5)
