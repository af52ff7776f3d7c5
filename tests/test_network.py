"""`Sequential`: layers in a row, under any kernel."""

import numpy as np
import pytest

from fastnn import (
    BinaryCrossEntropy,
    Dense,
    Dropout,
    Layer,
    ReLU,
    Sequential,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    evaluate,
    kernels,
)
from fastnn.kernels import Kernel

X = np.random.default_rng(0).normal(size=(9, 4))


def small(**options):
    return Sequential([Dense(4, 6), Tanh(), Dense(6, 3)], **options)


class Sized(Layer):
    n_in = n_out = 3


class Uninitialized(Dense):
    def __init__(self, n_in, n_out):
        self.n_in, self.n_out = n_in, n_out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", kernels.names())
def test_network_outputs_are_the_formula(kernel, dtype):
    net = small(kernel=kernel, dtype=dtype)
    p = {name: view.astype(np.float64) for name, view in net.parameters.items()}
    hidden = np.tanh(X @ p["dense_1.weights"] + p["dense_1.bias"])
    expected = hidden @ p["dense_2.weights"] + p["dense_2.bias"]
    outputs = net(X)
    assert outputs.dtype == dtype
    np.testing.assert_allclose(outputs, expected, atol=1e-6 if dtype == "float32" else 1e-14)


def test_network_kernel_can_be_swapped_at_any_time():
    net = small()
    before = net(X)
    calls = []

    def compute(a, b, out):
        calls.append(a.shape)
        out[...] = a @ b

    net.kernel = Kernel("spy", "counts", compute)
    np.testing.assert_allclose(net(X), before, rtol=1e-5)
    assert calls == [(9, 4), (9, 6)]
    net.kernel = "numpy"
    assert net.kernel.name == "numpy"
    net(X)
    assert len(calls) == 2


def test_network_of_one_seed_is_one_in_both_dtypes():
    single, double = small(rng=5), small(rng=5, dtype="float64")
    assert (single.parameters.flat == double.parameters.flat.astype(np.float32)).all()
    assert not np.array_equal(small(rng=6).parameters.flat, single.parameters.flat)
    generator = np.random.default_rng(5)
    assert (small(rng=generator).parameters.flat == single.parameters.flat).all()


def test_network_says_what_it_is():
    net = Sequential([Dropout(0.5), Dense(4, 6), ReLU(), Dense(6, 3), ReLU()], kernel="numpy")
    assert (net.n_in, net.n_out, net.sizes) == (4, 3, (4, 6, 3))
    assert net.names == ("dropout_1", "dense_1", "relu_1", "dense_2", "relu_2")
    assert repr(net) == (
        "Sequential([Dropout(rate=0.5), Dense(n_in=4, n_out=6), ReLU(), Dense(n_in=6, n_out=3), "
        "ReLU()], kernel='numpy', dtype='float32')"
    )


def test_network_probabilities_sum_to_1_where_it_ends_in_softmax():
    net = Sequential([Dense(4, 3), Softmax()])
    np.testing.assert_allclose(net(X).sum(axis=1), 1, rtol=1e-6)


def test_network_plan_has_softmax_cross_entropy_as_its_default_loss():
    assert "softmax_cross_entropy" in str(small().plan(2))
    assert SoftmaxCrossEntropy().takes_labels


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Sequential([]), "a layer that says its sizes"),
        (lambda: Sequential([ReLU()]), "a layer that says its sizes"),
        (lambda: Sequential([Sized()]), "a layer with parameters"),
        (lambda: Sequential([Dense(4, 5), ReLU(), Dense(6, 2)]), "dense_2 takes 6 .* 5 come in"),
        (lambda: Sequential([Uninitialized(4, 3)]), "no initializer for its parameter weights"),
        (lambda: small(dtype="float16"), "float32 or float64, not float16"),
        (lambda: small(kernel="mkl"), "naive"),
        (lambda: small().plan(0), "batch_size"),
        (lambda: small()(np.ones(4)), r"\(4,\); \(samples, 4\)"),
        (lambda: small()(np.ones((2, 5))), r"\(2, 5\)"),
        (
            lambda: evaluate(
                Sequential([Dense(4, 3), Softmax()]), X, np.ones((9, 3)), loss=BinaryCrossEntropy()
            ),
            "computed on Sigmoid, but the network ends in Softmax",
        ),
    ],
)
def test_network_refuses_what_does_not_fit(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_network_refuses_what_is_not_a_layer():
    with pytest.raises(TypeError, match="Layer objects"):
        Sequential([Dense])


class Wider(Layer):
    """Gives more features than it says."""

    def forward(self, plan, x):
        y = plan.zeros(len(x), x.shape[1] + 1)
        plan.call("copy_rows", x, y[:, 1:])
        return y


class Double(Layer):
    """Gives numbers of another dtype than the network's."""

    def forward(self, plan, x):
        return np.zeros(x.shape)


class Forgetful(Layer):
    """Returns nothing."""

    def forward(self, plan, x):
        plan.call("copy_rows", x, plan.zeros(*x.shape))


class WrongWay(Layer):
    """Gives a gradient of another shape than what came in."""

    def forward(self, plan, x):
        return x

    def backward(self, plan, x, y, dy, needs_dx):
        return plan.zeros(len(x) - 1, x.shape[1])


@pytest.mark.parametrize("kernel", ["numba", "numpy"])
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Wider, r"wider_1 gives float32 of shape \(9, 4\); float32 of shape \(9, 3\) is needed"),
        (Double, r"double_1 gives float64 of shape \(9, 3\); float32 of shape \(9, 3\) is needed"),
        (Forgetful, "forgetful_1 gives None; an array is needed"),
    ],
)
def test_network_refuses_a_layer_whose_output_is_not_what_it_says(layer, message, kernel):
    net = Sequential([Dense(4, 3), layer()], kernel=kernel)
    with pytest.raises(ValueError, match=message):
        net(X)
    with pytest.raises(ValueError, match=message):
        net.predictor(9)
    with pytest.raises(ValueError, match=message):
        evaluate(net, X, np.zeros(9, int), loss=SoftmaxCrossEntropy())
    with pytest.raises(ValueError, match=message):
        net.plan(9)


@pytest.mark.parametrize("kernel", ["numba", "numpy"])
def test_network_refuses_a_layer_whose_gradient_is_not_what_it_needs(kernel):
    net = Sequential([Dense(4, 3), WrongWay()], kernel=kernel)
    assert net(X).shape == (9, 3)
    message = (
        r"the backward pass of wrongway_1 gives float32 of shape \(8, 3\); .*\(9, 3\) is needed"
    )
    with pytest.raises(ValueError, match=message):
        net.plan(9)
