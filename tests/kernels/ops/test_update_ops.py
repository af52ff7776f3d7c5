"""What moves the updates on from step to step; `tests/test_optimizers.py` has the updates."""

import numpy as np
import pytest

from fastnn.kernels.ops import updates
from tests.kernels.calls import run

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@dtypes
def test_next_rate_takes_one_after_the_other_and_begins_again(dtype):
    ahead, place = np.array([0.1, 0.2, 0.3]), np.array([1])
    exact, rate = np.zeros(1), np.zeros(1, dtype)
    for expected in (0.2, 0.3, 0.1, 0.2):
        run(updates.next_rate, ahead, place, exact, rate)
        assert (exact[0], rate[0]) == (expected, dtype(expected))


@dtypes
def test_next_corrections_are_those_of_the_step(dtype):
    steps, betas, rate = np.array([0]), np.array([0.9, 0.999]), np.array([0.1])
    factors = np.ones(2, dtype)
    for t in range(1, 4):
        run(updates.next_corrections, steps, betas, rate, factors)
        assert steps[0] == t
        expected = 0.1 / (1 - 0.9**t), 1 / (1 - 0.999**t) ** 0.5
        np.testing.assert_allclose(factors, expected, rtol=np.finfo(dtype).eps)


@dtypes
def test_clip_norm_scales_down_what_is_longer_and_nothing_else(dtype):
    g = np.array([3.0, 0.0, 4.0], dtype)
    run(updates.clip_norm, dtype(6), g)
    assert g.tolist() == [3, 0, 4]
    run(updates.clip_norm, dtype(2.5), g)
    np.testing.assert_allclose(g, [1.5, 0, 2], rtol=2 * np.finfo(dtype).eps)
