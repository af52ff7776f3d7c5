"""Makers of element-wise ops: every function against NumPy, NaN and infinities included."""

import math

import numpy as np
import pytest

from fastnn.kernels import ops
from fastnn.kernels.ops import activations
from tests.kernels.calls import run

RNG = np.random.default_rng(0)
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-42, -1e-42, 800.0, -800.0]
SHAPES = ((7, 19), (3, 1), (5, 70), (100, 3), (1001, 1))

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


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


@dtypes
@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("identity", (), lambda x: x),
        ("relu", (), lambda x: np.maximum(x, 0)),
        ("leaky_relu", (0.25,), leaky),
        ("sigmoid", (), logistic),
        ("tanh", (), np.tanh),
    ],
)
def test_elementwise_is_the_function_of_every_element(name, parameters, expected, dtype):
    x = matrix(dtype)
    y = np.full_like(x, np.nan)
    run(ops.elementwise(ops.function(name)), x, y, *map(dtype, parameters))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected(x.astype(np.float64)), rtol=4 * eps, atol=eps**3)


@dtypes
@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("relu_gradient", (), lambda y, dy: np.where(y > 0, dy, 0)),
        ("leaky_relu_gradient", (0.25,), lambda y, dy: np.where(y > 0, dy, dy / 4)),
        ("sigmoid_gradient", (), lambda y, dy: dy * y * (1 - y)),
        ("tanh_gradient", (), lambda y, dy: dy * (1 - y * y)),
    ],
)
def test_gradient_is_the_function_of_output_and_gradient(name, parameters, expected, dtype):
    y, dy = matrix(dtype, special=False), matrix(dtype, special=False)
    reference = expected(y.astype(np.float64), dy.astype(np.float64))
    run(ops.gradient(ops.function(name)), y, dy, *map(dtype, parameters))
    np.testing.assert_allclose(dy, reference, atol=500 * np.finfo(dtype).eps)


def test_every_activation_function_is_tested_here():
    tested = {"identity", "relu", "leaky_relu", "sigmoid", "tanh"}
    tested |= {f"{name}_gradient" for name in tested - {"identity"}}
    assert tested == {
        name
        for name, function in vars(activations).items()
        if getattr(function, "__module__", "") == activations.__name__
    }


def weighted(x, y, dy, factor):
    return dy * (x + factor * y)


@dtypes
def test_gradient_of_input_is_the_function_of_input_output_and_gradient(dtype):
    x, y, dy = (matrix(dtype, special=False) for _ in range(3))
    expected = dy * (x + dtype(0.25) * y)
    run(ops.gradient_of_input(weighted), x, y, dy, dtype(0.25))
    np.testing.assert_allclose(dy, expected, rtol=8 * np.finfo(dtype).eps, atol=1e-6)


@dtypes
@pytest.mark.parametrize(
    "shape",
    [(7, 19), (1, 1), (1, 5), (200, 1), (2000, 1), (201, 3), (8, 63), (33, 31), (65, 40), (9, 255)],
)
def test_after_bias_with_identity_adds_the_bias(dtype, shape):
    y, bias = RNG.normal(size=shape).astype(dtype), RNG.normal(size=shape[1]).astype(dtype)
    expected = y + bias
    run(ops.after_bias(ops.function("identity")), bias, y)
    assert (y == expected).all()


@dtypes
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid", "tanh"])
def test_after_bias_has_the_bits_of_adding_the_bias_first(name, dtype):
    function = ops.function(name)
    parameters = (dtype(0.25),) if name == "leaky_relu" else ()
    for shape in SHAPES:
        x = RNG.normal(0, 2, shape).astype(dtype)
        x.flat[:3] = np.nan, np.inf, -np.inf
        bias = RNG.normal(size=shape[1]).astype(dtype)
        biased, expected = x.copy(), np.empty_like(x)
        run(ops.after_bias(ops.function("identity")), bias, biased)
        run(ops.elementwise(function), biased, expected, *parameters)
        run(ops.after_bias(function), bias, x, *parameters)
        np.testing.assert_array_equal(x, expected)


def softplus(x, sharpness):
    return math.log1p(math.exp(sharpness * x)) / sharpness


@dtypes
def test_makers_take_plain_functions_and_their_parameters(dtype):
    x = matrix(dtype, special=False)
    y, z, bias = np.empty_like(x), x.copy(), np.zeros(x.shape[1], dtype)
    run(ops.elementwise(softplus), x, y, dtype(2))
    expected = np.log1p(np.exp(2 * x.astype(np.float64))) / 2
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    run(ops.after_bias(softplus), bias, z, dtype(2))
    np.testing.assert_array_equal(z, y)


@pytest.mark.parametrize(
    "make", [ops.elementwise, ops.after_bias, ops.gradient, ops.gradient_of_input]
)
def test_makers_make_one_op_of_a_function(make):
    assert make(softplus) is make(softplus)
    assert make(softplus) is not make(weighted)


@dtypes
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid", "tanh"])
def test_a_row_does_not_depend_on_the_others(name, dtype):
    """What an op is cut by, for threads."""
    parameters = (dtype(0.25),) if name == "leaky_relu" else ()
    activate, back = ops.function(name), ops.function(f"{name}_gradient")
    for shape in SHAPES:
        x, dy = (RNG.normal(0, 2, shape).astype(dtype) for _ in range(2))
        bias, cut = RNG.normal(size=shape[1]).astype(dtype), shape[0] // 3
        whole, parts = (x.copy(), dy.copy()), (x.copy(), dy.copy())
        for y, gradient in (
            whole,
            (parts[0][:cut], parts[1][:cut]),
            (parts[0][cut:], parts[1][cut:]),
        ):
            run(ops.after_bias(activate), bias, y, *parameters)
            run(ops.gradient(back), y, gradient, *parameters)
        np.testing.assert_array_equal(whole, parts)
