"""Layers: what they are built from, and what they write down."""

import numpy as np
import pytest

from fastnn import (
    Activation,
    Adam,
    Dense,
    Dropout,
    Layer,
    LeakyReLU,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    fit,
)
from fastnn.engine import Execution
from fastnn.initializers import Given, HeNormal
from fastnn.layers import ACTIVATIONS, LAYERS

X = np.random.default_rng(0).normal(size=(9, 4))
KERNELS = pytest.mark.parametrize("kernel", ["numba", "numpy"])


def forward_names(net):
    return [call.name for call in net.plan(5).calls if call.part == "forward"]


# Dense


def test_dense_copies_given_weights():
    weights = np.arange(8.0).reshape(4, 2)
    net = Sequential([Dense(4, 2, weights=weights, bias=[1, 2])], dtype="float64")
    assert (net.parameters["dense_1.weights"] == weights).all()
    net.parameters.flat.fill(0)
    assert weights[3, 1] == 7
    np.testing.assert_array_equal(net(X), np.zeros((9, 2)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Dense(0, 3), "n_in must be a whole number of at least 1, not 0"),
        (lambda: Dense(3, -1), "n_out"),
        (lambda: Dense(3, 2.5), "n_out"),
        (lambda: Dense(3, 2, weights=np.ones((3, 2)), initializer=HeNormal()), "not both"),
        (lambda: Sequential([Dense(4, 2, weights=np.ones((2, 4)))]), r"\(2, 4\); \(4, 2\)"),
        (lambda: Sequential([Dense(4, 2, initializer=Given([1.0]))]), r"\(1,\)"),
    ],
)
def test_dense_refuses_what_does_not_fit(build, message):
    with pytest.raises(ValueError, match=message):
        build()


# Activations

FORMULAS = {
    ReLU: lambda x: np.maximum(x, 0),
    LeakyReLU: lambda x: np.where(x > 0, x, 0.3 * x),
    Sigmoid: lambda x: 1 / (1 + np.exp(-x)),
    Tanh: np.tanh,
    Softmax: lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True),
}


class ReadDense(Dense):
    """As far as it says, somebody reads its output again."""

    reads_output = True


@KERNELS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", FORMULAS)
@pytest.mark.parametrize("dense", [Dense, ReadDense])
def test_activation_is_its_formula(dense, activation, dtype, kernel):
    weights, bias = np.eye(4), [1, -1, 2, -2]
    layers = [dense(4, 4, weights=weights, bias=bias), activation()]
    y = Sequential(layers, dtype=dtype, kernel=kernel)(X)
    expected = FORMULAS[activation]((X.astype(dtype) + bias).astype(np.float64))
    np.testing.assert_allclose(y, expected, rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-6)


@pytest.mark.parametrize("activation", [ReLU, LeakyReLU, Sigmoid, Tanh])
def test_activation_in_one_op_with_the_bias_changes_no_bit(activation):
    def train(dense):
        net = Sequential([dense(4, 6, bias=[1, -1, 2, -2, 3, -3]), activation(), Dense(6, 3)])
        fit(net, X, np.arange(9) % 3, loss=SoftmaxCrossEntropy(), optimizer=Adam(), epochs=3)
        return net.parameters.flat, forward_names(net)

    together, forward = train(Dense)
    assert len(forward) == 4  # two products, each with what follows it
    apart, forward = train(ReadDense)
    assert len(forward) == 5
    np.testing.assert_array_equal(together, apart)


def cube(x):
    return x * x * x


def cube_gradient(x, y, dy):
    return 3 * x * x * dy


class Cube(Activation):
    """Plain functions, of which the gradient needs what came in."""

    function, gradient, reads_input = cube, cube_gradient, True


def power(x, exponent, factor):
    return factor * x**exponent


def power_gradient(y, dy, exponent, factor):
    return dy * exponent * factor * (y / factor) ** (1 - 1 / exponent)


class Power(Activation):
    """Plain functions with two parameters."""

    function, gradient = staticmethod(power), staticmethod(power_gradient)
    parameters = (2.0, 0.5)


@KERNELS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activation_of_plain_functions_computes_them(dtype, kernel):
    net = Sequential([Dense(4, 4), Cube(), Power(), Dense(4, 2)], dtype=dtype, kernel=kernel)
    p = {name: view.astype(np.float64) for name, view in net.parameters.items()}
    hidden = 0.5 * ((X @ p["dense_1.weights"]) ** 3) ** 2
    tolerance = {"rtol": 1e-4, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-12}
    np.testing.assert_allclose(net(X), hidden @ p["dense_2.weights"], **tolerance)


def test_activation_that_reads_its_input_leaves_it_alone():
    net = Sequential([Dense(4, 4), Cube(), Dense(4, 2)])
    assert forward_names(net) == ["matmul", "add_bias", "cube", "matmul", "add_bias"]
    net = Sequential([Dense(4, 4), Power(), Dense(4, 2)])
    assert forward_names(net) == ["matmul", "add_bias_power", "matmul", "add_bias"]


def test_activation_of_a_function_that_does_not_exist_lists_the_functions():
    class Gelu(Activation):
        function, gradient = "gelu", "gelu_gradient"

    net = Sequential([Dense(4, 4), Gelu()])
    with pytest.raises(ValueError, match="no function is called 'gelu'; there are identity, relu"):
        net(X)


@pytest.mark.parametrize("slope", [-0.1, float("nan")])
def test_leaky_relu_refuses_a_slope_below_0(slope):
    with pytest.raises(ValueError, match="negative_slope must be at least 0"):
        LeakyReLU(slope)


# Dropout


@KERNELS
def test_dropout_acts_in_training_only_and_anew_each_step(kernel):
    layers = [Dropout(0.4), Dense(1000, 1, weights=np.ones((1000, 1)))]
    net = Sequential(layers, dtype="float64", kernel=kernel)
    assert net(np.ones((1, 1000))) == 1000
    plan = net.training_plan()
    x = np.ones((2, 1000))
    dropped = net.plan_forward(plan, x)[1]
    execution = Execution(plan)
    execution.run()
    first = dropped.copy()
    assert set(np.unique(first)) == {0, 1 / 0.6}
    assert (first == 0).mean() == pytest.approx(0.4, abs=0.05)
    assert not np.array_equal(first[0], first[1])
    execution.run()
    assert (dropped == first).all()
    net.random_state[1] += 1
    execution.run()
    assert not np.array_equal(dropped, first)


def test_dropout_layers_of_one_network_draw_different_masks():
    net = Sequential([Dropout(0.5), Dropout(0.5), Dense(1000, 1)], dtype="float64")
    plan = net.training_plan()
    _, first, both, _ = net.plan_forward(plan, np.ones((1, 1000)))
    Execution(plan).run()
    assert (first > 0).mean() == pytest.approx(0.5, abs=0.1)
    assert (both > 0).mean() == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan")])
def test_dropout_refuses_a_rate_outside_0_to_1(rate):
    with pytest.raises(ValueError, match="rate must be at least 0 and below 1"):
        Dropout(rate)


class Noise(Layer):
    """Draws random numbers, without being Dropout."""

    def forward(self, plan, x):
        y = plan.zeros(*x.shape)
        plan.call("dropout", x, 0.5, 2.0, plan.random_state, self.stream, y)
        return y

    def backward(self, plan, x, y, dy, needs_dx):
        return dy


def test_layer_that_needs_random_numbers_gets_new_ones_each_step():
    plan = Sequential([Dense(4, 6), Noise(), Dense(6, 3)]).plan(4)
    assert [call.name for call in plan.calls][-1] == "next_random_state"
    plan = Sequential([Dense(4, 6), ReLU(), Dense(6, 3)]).plan(4)
    assert "next_random_state" not in [call.name for call in plan.calls]


# What all have in common


def test_layer_names_are_those_of_the_command_line():
    assert set(ACTIVATIONS) == {"relu", "leaky-relu", "sigmoid", "tanh"}
    assert {layer.__name__: layer for layer in LAYERS.values()} == LAYERS
    assert set(ACTIVATIONS.values()) < set(LAYERS.values())


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Dense(4, 3), "Dense(n_in=4, n_out=3)"),
        (LeakyReLU(0.1), "LeakyReLU(negative_slope=0.1)"),
        (Dropout(0.2), "Dropout(rate=0.2)"),
        (Softmax(), "Softmax()"),
    ],
)
def test_layer_config_builds_it_anew(layer, text):
    assert repr(layer) == text
    assert repr(type(layer)(**layer.config())) == text


def test_layer_belongs_to_one_network():
    layer = Dense(4, 3)
    Sequential([layer])
    with pytest.raises(ValueError, match="part of a network already"):
        Sequential([layer])


def test_layer_has_to_say_what_it_computes():
    class Forward(Layer):
        def forward(self, plan, x):
            return x

    net = Sequential([Dense(4, 3), Layer()])
    with pytest.raises(NotImplementedError, match="Layer has no method forward"):
        net(X)
    net = Sequential([Dense(4, 3), Forward()])
    with pytest.raises(NotImplementedError, match="Forward has no method backward"):
        net.plan(2)
