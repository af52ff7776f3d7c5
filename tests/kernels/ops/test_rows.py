"""Softmax and sums over rows, against NumPy."""

import numpy as np
import pytest

from fastnn.kernels.ops import rows
from tests.kernels.calls import run

RNG = np.random.default_rng(0)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def matrix(dtype):
    return RNG.normal(0, 2, (7, 19)).astype(dtype)


@dtypes
def test_softmax_of_large_and_missing_scores(dtype):
    x = matrix(dtype)
    x[0, 0], x[1, 1], x[3] = 1e4, -np.inf, 7.0
    y = np.full_like(x, np.nan)
    run(rows.softmax, x, y)
    exponentials = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        y, exponentials / exponentials.sum(axis=1, keepdims=True), atol=np.finfo(dtype).eps
    )
    x[4, 3] = np.nan
    run(rows.softmax, x, y)
    assert np.isnan(y[4]).all()
    assert np.isfinite(y[:4]).all()


@dtypes
def test_softmax_gradient_is_its_formula(dtype):
    y, dy = matrix(dtype), matrix(dtype)
    wide, d_wide = y.astype(np.float64), dy.astype(np.float64)
    expected = wide * (d_wide - (wide * d_wide).sum(axis=1, keepdims=True))
    run(rows.softmax_gradient, y, dy)
    np.testing.assert_allclose(dy, expected, atol=500 * np.finfo(dtype).eps)


@dtypes
@pytest.mark.parametrize("columns", [1, 2, 10, 33, 200])
def test_softmax_of_a_row_does_not_depend_on_the_others(columns, dtype):
    x = RNG.normal(0, 3, (40, columns)).astype(dtype)
    y, alone = np.empty_like(x), np.empty_like(x)
    run(rows.softmax, x, y)
    for i in range(len(x)):
        run(rows.softmax, x[i : i + 1], alone[i : i + 1])
    np.testing.assert_array_equal(y, alone)
    together, alone = x[::-1].copy(), x[::-1].copy()
    run(rows.softmax_gradient, y, together)
    for i in range(len(x)):
        run(rows.softmax_gradient, y[i : i + 1], alone[i : i + 1])
    np.testing.assert_array_equal(together, alone)


@dtypes
@pytest.mark.parametrize(
    "shape",
    [(7, 19), (1, 1), (1, 5), (200, 1), (2000, 1), (201, 3), (8, 63), (33, 31), (65, 40), (9, 255)],
)
def test_sum_rows_is_within_the_bound_of_a_sum(dtype, shape):
    y = RNG.normal(size=shape).astype(dtype)
    d_bias = np.full(shape[1], np.nan, dtype)
    run(rows.sum_rows, y, d_bias)
    exact = y.sum(axis=0, dtype=np.float64)
    assert (abs(d_bias - exact) <= len(y) * np.finfo(dtype).eps * abs(y).sum(axis=0)).all()
