"""Dropout's masks: their share, and what they depend on."""

import numpy as np
import pytest

from fastnn.kernels.ops.dropout import dropout, next_random_state
from tests.kernels.calls import run


def mask(rate, seed, step, stream, dtype=np.float32, size=100_000):
    y = np.empty((1, size), dtype)
    state = np.array([seed, step], np.uint64)
    run(dropout, np.ones_like(y), dtype(rate), dtype(1 / (1 - rate)), state, stream, y)
    return y[0] > 0


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_keeps_the_right_share(rate):
    # five standard deviations of a binomial share
    assert abs(mask(rate, 1, 2, 3).mean() - (1 - rate)) <= 5 * (rate * (1 - rate) / 1e5) ** 0.5


def test_dropout_scales_what_it_keeps():
    x = np.random.default_rng(0).normal(0, 2, (7, 19)).astype(np.float32)
    y = np.empty_like(x)
    scale = np.float32(1 / 0.75)
    run(dropout, x, np.float32(0.25), scale, np.array([1, 2], np.uint64), 0, y)
    kept = y != 0
    assert 0.5 < kept.mean() < 1
    np.testing.assert_allclose(y[kept], x[kept] / 0.75, rtol=2e-7)


def test_dropout_masks_of_other_seeds_steps_and_layers_are_independent():
    first = mask(0.5, 1, 2, 3)
    assert (first == mask(0.5, 1, 2, 3)).all()
    assert (first == mask(0.5, 1, 2, 3, np.float64)).all()
    for other in (mask(0.5, 2, 2, 3), mask(0.5, 1, 3, 3), mask(0.5, 1, 2, 4)):
        assert abs((first == other).mean() - 0.5) < 0.01
    assert abs((first[1:] == first[:-1]).mean() - 0.5) < 0.01


def test_next_random_state_counts_the_step():
    state = np.array([2**63, 7], np.uint64)
    run(next_random_state, state)
    assert state.tolist() == [2**63, 8]
