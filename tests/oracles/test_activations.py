"""Activations and the softmax, their values and gradients, against PyTorch's."""

import numpy as np
import pytest

from fastnn import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh, kernels
from fastnn.engine import Execution
from fastnn.kernels.runtime.denormals import flushed
from fastnn.plan import Plan

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

DTYPES = ["float32", "float64"]
ACTIVATIONS = {
    "relu": (ReLU, torch.relu),
    "leaky relu": (LeakyReLU, lambda x: torch.nn.functional.leaky_relu(x, 0.3)),
    "leaky relu, slope 0": (
        lambda: LeakyReLU(0),
        lambda x: torch.nn.functional.leaky_relu(x, 0.0),
    ),
    "leaky relu, slope 2": (
        lambda: LeakyReLU(2),
        lambda x: torch.nn.functional.leaky_relu(x, 2.0),
    ),
    "sigmoid": (Sigmoid, torch.sigmoid),
    "tanh": (Tanh, torch.tanh),
}
ULPS = {"sigmoid": 4, "tanh": 4}  # of which PyTorch takes one or two itself


def run(layer, x, dy, bias=None):
    """Return a layer's ``y`` and ``dx``; after a bias, if one is given, which may be fused."""
    plan = Plan(kernels.get("numpy"), x.dtype, training=True)
    arrays = [plan.zeros(*x.shape), plan.zeros(*x.shape)]
    for array, values in zip(arrays, (x, dy), strict=True):
        array[...] = values
    if bias is not None:
        plan.add_bias(bias, arrays[0])
        plan.release(arrays[0])
    y = layer.forward(plan, arrays[0])
    dx = layer.backward(plan, arrays[0], y, arrays[1], True)
    Execution(plan).run()
    return y, dx


def run_torch(function, x, dy, bias=None):
    x = torch.tensor(x, requires_grad=True)
    y = function(x if bias is None else x + torch.tensor(bias))
    y.backward(torch.tensor(dy))
    return y.detach().numpy(), x.grad.numpy()


def special(dtype):
    """The numbers at which functions differ from one another."""
    info = np.finfo(dtype)
    sizes = [0, info.smallest_subnormal, info.tiny / 3, info.tiny, 1e-7, 0.5, 1, 2, 9, 20, 40]
    sizes += [88, 89, 104, 709, 710, 746, info.max, np.inf, np.nan]
    return np.array([[sign * size for size in sizes] for sign in (1, -1)], dtype)


def bit_patterns(dtype, count=2**15):
    """Numbers of any size and kind."""
    bits = np.random.default_rng(0).integers(0, 256, count * np.dtype(dtype).itemsize, np.uint8)
    return np.frombuffer(bits.tobytes(), dtype).reshape(64, -1)


def assert_same(ours, theirs, ulps):
    """NaN and infinities at the same places, numbers within some units in the last place.

    Denormal results of the sigmoid are 0 in PyTorch.
    """
    info = np.finfo(theirs.dtype)
    np.testing.assert_allclose(ours, theirs, rtol=ulps * info.eps, atol=info.tiny if ulps else 0)


def assert_same_run(ours, theirs, dy, ulps):
    assert_same(ours[0], theirs[0], ulps)
    signed = ~np.isnan(theirs[0])
    assert (np.signbit(ours[0]) == np.signbit(theirs[0]))[signed].all()
    if ulps == 0:
        assert_same(ours[1], theirs[1], 0)
        return
    # The gradient of a function that saturates is a difference, from an output that is rounded.
    finite = np.isfinite(theirs[1])
    assert (np.isnan(ours[1]) == np.isnan(theirs[1])).all()
    assert (ours[1] == theirs[1])[~finite & ~np.isnan(theirs[1])].all()
    with np.errstate(invalid="ignore"):
        error = np.abs(ours[1] - theirs[1]) / np.maximum(np.abs(dy), np.finfo(dy.dtype).tiny)
    assert np.max(error[finite], initial=0) <= 2 * ulps * np.finfo(dy.dtype).eps


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("values", [special, bit_patterns])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_gradients_of_an_activation_are_those_of_pytorch(name, values, dtype):
    layer, function = ACTIVATIONS[name]
    x = values(dtype)
    for dy in (np.ones_like(x), np.full_like(x, -0.37), np.full_like(x, np.nan)):
        assert_same_run(run(layer(), x, dy), run_torch(function, x, dy), dy, ULPS.get(name, 0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_gradients_in_one_op_with_a_bias_are_those_of_pytorch(name, dtype):
    layer, function = ACTIVATIONS[name]
    x = np.where(np.abs(special(dtype)) < 1e9, special(dtype), 3)
    x = np.concatenate([x, [[np.nan, np.inf, -np.inf] + [0] * (x.shape[1] - 3)]]).astype(dtype)
    bias = np.linspace(-2, 2, x.shape[1]).astype(dtype)
    dy = np.random.default_rng(0).normal(size=x.shape).astype(dtype)
    theirs = run_torch(function, x, dy, bias)
    assert_same_run(run(layer(), x, dy, bias), theirs, dy, ULPS.get(name, 0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_denormal_results_of_the_sigmoid_are_there(dtype):
    """They are those of ``exp(x)``, to all the bits that they have; PyTorch has 0."""
    info = np.finfo(dtype)
    x = np.linspace(np.log(info.tiny) - 10, np.log(info.tiny) - 1, 50, dtype=dtype)[np.newaxis]
    y, _ = run(Sigmoid(), x, np.ones_like(x))
    expected = np.exp(x.astype(np.longdouble))
    np.testing.assert_allclose(y, expected, rtol=4 * info.eps, atol=2 * info.smallest_subnormal)
    assert (y > 0).all()
    assert (y < info.tiny).all()


@pytest.mark.parametrize("value", [np.nan, 0.0, -0.0])
def test_the_gradient_of_relu_at_nan_is_dy_and_at_0_is_0(value):
    x, dy = np.array([[value]]), np.array([[3.0]])
    ours, theirs = run(ReLU(), x, dy)[1], run_torch(torch.relu, x, dy)[1]
    assert ours == theirs == (3 if np.isnan(value) else 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 2, 7, 16, 33])
@pytest.mark.parametrize("size", [1e-3, 1, 100, 1e4])
def test_the_softmax_and_its_gradient_are_those_of_pytorch(size, columns, dtype):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(40, columns)) * size).astype(dtype)
    dy = rng.normal(size=x.shape).astype(dtype)
    y, dx = run(Softmax(), x, dy)
    expected = run_torch(lambda x: torch.softmax(x, 1), x, dy)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected[0], rtol=32 * eps, atol=np.finfo(dtype).tiny)
    np.testing.assert_allclose(dx, expected[1], rtol=0, atol=8 * eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "row",
    [
        [np.inf, 0, 1],
        [np.inf, np.inf, 0],
        [-np.inf, 0, 1],
        [-np.inf, -np.inf, 2],
        [-np.inf, -np.inf, -np.inf],
        [np.inf, -np.inf, 0],
        [np.nan, 0, 1],
        [0, -np.inf, np.nan],
        [3e38, -3e38, 0],
        [1e-45, -1e-45, 0],
    ],
    ids=str,
)
def test_the_softmax_of_a_row_with_nan_and_infinities_is_that_of_pytorch(row, dtype):
    x, dy = np.array([row, [1, 2, 3]], dtype), np.array([[1, -2, 3], [0.5, 0, 1]], dtype)
    (y, dx), expected = run(Softmax(), x, dy), run_torch(lambda x: torch.softmax(x, 1), x, dy)
    np.testing.assert_allclose(y, expected[0], rtol=1e-6)
    np.testing.assert_allclose(dx, expected[1], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "value"), [("leaky relu", -2e-38), ("tanh", -1e-40)])
def test_denormals_are_those_of_pytorch_unless_they_are_flushed(name, value):
    layer, function = ACTIVATIONS[name]
    x = np.array([[value]], np.float32)
    y = run(layer(), x, np.ones_like(x))[0]
    np.testing.assert_array_equal(y, run_torch(function, x, np.ones_like(x))[0])
    assert -np.finfo(np.float32).tiny < y < 0
    with flushed():
        flushed_y = run(layer(), x, np.ones_like(x))[0]
    assert flushed_y == 0


@pytest.mark.parametrize(
    ("ours", "theirs"), [("tanh", "sigmoid"), ("leaky relu", "leaky relu, slope 2")]
)
def test_another_activation_is_not_within_the_tolerance(ours, theirs):
    x = np.linspace(-3, 3, 50).reshape(5, 10)
    dy = np.ones_like(x)
    with pytest.raises(AssertionError):
        assert_same_run(
            run(ACTIVATIONS[ours][0](), x, dy), run_torch(ACTIVATIONS[theirs][1], x, dy), dy, 4
        )
    (y, dx), expected = run(Tanh(), x, dy), run_torch(torch.tanh, x, dy)
    with pytest.raises(AssertionError):  # a gradient that is wrong alone
        assert_same_run((y, dx * 1.001), expected, dy, 4)
