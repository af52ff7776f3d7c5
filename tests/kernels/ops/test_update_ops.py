"""What moves the updates on from step to step; `tests/test_optimizers.py` has the updates."""

import numpy as np
import pytest

from fastnn.kernels.ops import updates
from tests.kernels.calls import run

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@dtypes
def test_next_rate_takes_one_after_the_other_and_begins_again(dtype):
    ahead, place, rate = np.array([0.1, 0.2, 0.3], dtype), np.array([1]), np.zeros(1, dtype)
    taken = []
    for _ in range(4):
        run(updates.next_rate, ahead, place, rate)
        taken.append(rate[0])
    assert taken == [ahead[1], ahead[2], ahead[0], ahead[1]]


@dtypes
def test_next_corrections_are_those_of_the_step(dtype):
    steps, betas, corrections = np.array([0]), np.array([0.9, 0.999]), np.ones(2, dtype)
    for t in range(1, 4):
        run(updates.next_corrections, steps, betas, corrections)
        assert steps[0] == t
        np.testing.assert_allclose(corrections, 1 / (1 - betas**t), rtol=np.finfo(dtype).eps)


@dtypes
def test_clip_norm_scales_down_what_is_longer_and_nothing_else(dtype):
    g = np.array([3.0, 0.0, 4.0], dtype)
    run(updates.clip_norm, dtype(6), g)
    assert g.tolist() == [3, 0, 4]
    run(updates.clip_norm, dtype(2.5), g)
    np.testing.assert_allclose(g, [1.5, 0, 2], rtol=2 * np.finfo(dtype).eps)
