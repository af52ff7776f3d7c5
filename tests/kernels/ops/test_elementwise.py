"""Every compiled pass against the same formula in NumPy, NaN and infinities included."""

import numpy as np
import pytest

from fastnn.kernels.ops import elementwise
from fastnn.kernels.runtime.abi import entrance
from fastnn.kernels.runtime.program import Table

RNG = np.random.default_rng(0)
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-42, -1e-42, 800.0, -800.0]


def run(function, *arguments):
    """Run a pass as a plan does: compiled code calls it."""
    Table([(entrance(function, arguments), arguments)]).run()


def logistic(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def leaky(x):
    return np.where(x < 0, 0.25 * x, x)


def matrix(dtype, special=True):
    x = RNG.normal(0, 2, (7, 19))
    if special:
        x[2, :9] = SPECIAL
    return x.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("function", "extra", "expected"),
    [
        (elementwise.relu, (), lambda x: np.maximum(x, 0)),
        (elementwise.leaky_relu, (0.25,), leaky),
        (elementwise.sigmoid, (), logistic),
        (elementwise.tanh, (), np.tanh),
    ],
    ids=["relu", "leaky_relu", "sigmoid", "tanh"],
)
def test_activations(function, extra, expected, dtype):
    x = matrix(dtype)
    y = np.full_like(x, np.nan)
    run(function, x, *map(dtype, extra), y)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected(x.astype(np.float64)), rtol=4 * eps, atol=eps**3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("function", "extra", "expected"),
    [
        (elementwise.relu_backward, (), lambda y, dy: np.where(y > 0, dy, 0)),
        (elementwise.leaky_relu_backward, (0.25,), lambda y, dy: np.where(y > 0, dy, dy / 4)),
        (elementwise.sigmoid_backward, (), lambda y, dy: dy * y * (1 - y)),
        (elementwise.tanh_backward, (), lambda y, dy: dy * (1 - y * y)),
        (
            elementwise.softmax_backward,
            (),
            lambda y, dy: y * (dy - (y * dy).sum(axis=1, keepdims=True)),
        ),
    ],
    ids=["relu", "leaky_relu", "sigmoid", "tanh", "softmax"],
)
def test_derivatives(function, extra, expected, dtype):
    y, dy = matrix(dtype, special=False), matrix(dtype, special=False)
    reference = expected(y.astype(np.float64), dy.astype(np.float64))
    run(function, y, *map(dtype, extra), dy)
    np.testing.assert_allclose(dy, reference, atol=500 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax(dtype):
    x = matrix(dtype, special=False)
    x[0, 0], x[1, 1], x[3] = 1e4, -np.inf, 7.0
    y = np.full_like(x, np.nan)
    run(elementwise.softmax, x, y)
    exponentials = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        y, exponentials / exponentials.sum(axis=1, keepdims=True), atol=np.finfo(dtype).eps
    )
    x[4, 3] = np.nan
    run(elementwise.softmax, x, y)
    assert np.isnan(y[4]).all()
    assert np.isfinite(y[:4]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape",
    [(7, 19), (1, 1), (1, 5), (200, 1), (2000, 1), (201, 3), (8, 63), (33, 31), (65, 40), (9, 255)],
)
def test_bias_and_its_gradient(dtype, shape):
    y, bias = RNG.normal(size=shape).astype(dtype), RNG.normal(size=shape[1]).astype(dtype)
    expected = y + bias
    run(elementwise.add_bias, bias, y)
    assert (y == expected).all()
    d_bias = np.full_like(bias, np.nan)
    run(elementwise.sum_rows, y, d_bias)
    exact = y.sum(axis=0, dtype=np.float64)
    assert (abs(d_bias - exact) <= len(y) * np.finfo(dtype).eps * abs(y).sum(axis=0)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", elementwise.AFTER_BIAS, ids=lambda f: f.__name__)
def test_bias_and_activation_in_one_pass_are_the_two_passes(activation, dtype):
    for shape in ((7, 19), (3, 1), (5, 70), (100, 3), (1001, 1)):
        x = RNG.normal(0, 2, shape).astype(dtype)
        x.flat[:3] = np.nan, np.inf, -np.inf
        bias = RNG.normal(size=shape[1]).astype(dtype)
        extra = (dtype(0.25),) if activation is elementwise.leaky_relu else ()
        biased, expected = x.copy(), np.empty_like(x)
        run(elementwise.add_bias, bias, biased)
        run(activation, biased, *extra, expected)
        run(elementwise.AFTER_BIAS[activation], bias, *extra, x)
        np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, 2, 10, 33, 200])
def test_a_row_of_a_softmax_does_not_depend_on_the_others(columns, dtype):
    x = RNG.normal(0, 3, (40, columns)).astype(dtype)
    y, alone = np.empty_like(x), np.empty_like(x)
    run(elementwise.softmax, x, y)
    for i in range(len(x)):
        run(elementwise.softmax, x[i : i + 1], alone[i : i + 1])
    np.testing.assert_array_equal(y, alone)
    together, alone = x[::-1].copy(), x[::-1].copy()
    run(elementwise.softmax_backward, y, together)
    for i in range(len(x)):
        run(elementwise.softmax_backward, y[i : i + 1], alone[i : i + 1])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_take_bytes(dtype):
    images = np.array([RNG.permutation(256) for _ in range(7)]).astype(np.uint8)  # every byte
    order, out = np.array([6, 0, 3, 3, 5, 1, 2]), np.full((3, 256), np.nan, dtype)
    run(elementwise.take_bytes, images, order, np.array([2]), out)
    np.testing.assert_array_equal(out, images[[3, 3, 5]] / dtype(255))


@pytest.mark.parametrize("source", [matrix(np.float32), np.arange(7), matrix(np.float64)])
def test_take_rows(source):
    order, out = np.array([6, 0, 3, 3, 5, 1, 2]), np.zeros((3, *source.shape[1:]), source.dtype)
    run(elementwise.take_rows, source, order, np.array([2]), out)
    np.testing.assert_array_equal(out, source[[3, 3, 5]])


def masks(rate, seed, step, stream, dtype=np.float32, size=100_000):
    y = np.empty((1, size), dtype)
    state = np.array([seed, step], np.uint64)
    run(elementwise.dropout, np.ones_like(y), dtype(rate), state, stream, y)
    return y[0] > 0


def test_dropout_keeps_the_right_share_and_scales_it():
    x, y = matrix(np.float32, special=False), np.empty((7, 19), np.float32)
    run(elementwise.dropout, x, np.float32(0.25), np.array([1, 2], np.uint64), 0, y)
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] / 0.75, rtol=1e-6)
    for rate in (0.0, 0.1, 0.5, 0.9):
        # five standard deviations of a binomial share
        assert abs(masks(rate, 1, 2, 3).mean() - (1 - rate)) <= 5 * (rate * (1 - rate) / 1e5) ** 0.5


def test_masks_of_other_seeds_steps_and_layers_are_independent():
    first = masks(0.5, 1, 2, 3)
    assert (first == masks(0.5, 1, 2, 3)).all()
    assert (first == masks(0.5, 1, 2, 3, np.float64)).all()
    for other in (masks(0.5, 2, 2, 3), masks(0.5, 1, 3, 3), masks(0.5, 1, 2, 4)):
        assert abs((first == other).mean() - 0.5) < 0.01
    assert abs((first[1:] == first[:-1]).mean() - 0.5) < 0.01


@pytest.mark.parametrize("shape", [(), (5,), (3, 7)])
def test_aligned_arrays_start_on_a_cache_line(shape):
    array = elementwise.aligned_empty(shape, np.float32)
    assert array.shape == shape
    assert array.dtype == np.float32
    assert array.ctypes.data % 64 == 0
