"""Initial weights: their distributions, and what a seed gives."""

import numpy as np
import pytest

from fastnn import Dense, Sequential
from fastnn.initializers import (
    INITIALIZERS,
    Constant,
    Given,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    RandomNormal,
    RandomUniform,
    Zeros,
)

GLOROT = 2 / (300 + 200)
HE = 2 / 300


def draw(initializer, shape=(300, 200), seed=0):
    return initializer(np.random.default_rng(seed), shape)


@pytest.mark.parametrize(
    ("initializer", "mean", "variance"),
    [
        (Zeros(), 0, 0),
        (Constant(0.3), 0.3, 0),
        (RandomUniform(-1, 2), 0.5, 9 / 12),
        (RandomUniform(), 0, 0.1**2 / 12),
        (RandomNormal(0.2), 0, 0.2**2),
        (GlorotUniform(), 0, GLOROT),
        (GlorotNormal(), 0, GLOROT),
        (HeUniform(), 0, HE),
        (HeNormal(), 0, HE),
    ],
    ids=repr,
)
def test_initializer_has_its_mean_and_its_variance(initializer, mean, variance):
    weights = draw(initializer)
    assert weights.shape == (300, 200)
    # Five standard errors of 60,000 draws; the variance's is largest where they are normal.
    assert weights.mean() == pytest.approx(mean, abs=5 * (variance / weights.size) ** 0.5 + 1e-15)
    assert weights.var() == pytest.approx(variance, rel=5 * (2 / weights.size) ** 0.5, abs=1e-30)


@pytest.mark.parametrize(
    ("initializer", "variance"), [(GlorotUniform(), GLOROT), (HeUniform(), HE)], ids=repr
)
def test_uniform_initializer_stays_within_its_limit_and_fills_it(initializer, variance):
    weights, limit = draw(initializer), (3 * variance) ** 0.5
    assert 0.999 * limit < weights.max() <= limit
    assert -limit <= weights.min() < -0.999 * limit
    quarters, _ = np.histogram(weights, bins=4, range=(-limit, limit))
    assert (abs(quarters / weights.size - 1 / 4) < 0.01).all()


@pytest.mark.parametrize(
    ("initializer", "variance"),
    [(GlorotNormal(), GLOROT), (HeNormal(), HE), (RandomNormal(0.2), 0.04)],
    ids=repr,
)
def test_normal_initializer_has_the_tails_of_a_normal_distribution(initializer, variance):
    sigmas = abs(draw(initializer)) / variance**0.5
    shares = [(sigmas > 1).mean(), (sigmas > 2).mean(), (sigmas > 3).mean()]
    assert shares == pytest.approx([0.3173, 0.0455, 0.0027], abs=0.005)
    assert shares[2] > 0.001


@pytest.mark.parametrize("build", INITIALIZERS.values(), ids=INITIALIZERS.keys())
def test_initializer_by_name_gives_the_same_weights_for_the_same_seed(build):
    weights = draw(build(), (7, 5))
    assert weights.dtype == np.float64
    np.testing.assert_array_equal(draw(build(), (7, 5)), weights)
    if build is not Zeros:
        assert not np.array_equal(draw(build(), (7, 5), seed=1), weights)


def test_initializer_given_takes_the_shape_of_the_weights_only():
    np.testing.assert_array_equal(draw(Given([[1, 2], [3, 4]]), (2, 2)), [[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match=r"the given values have shape \(2,\); \(2, 1\) is needed"):
        draw(Given([1.0, 2.0]), (2, 1))


def test_initializer_glorot_uniform_is_the_default_and_a_bias_starts_at_zero():
    net = Sequential([Dense(300, 200)])
    limit = (6 / 500) ** 0.5
    assert 0.99 * limit < abs(net.parameters["dense_1.weights"]).max() <= limit
    assert not net.parameters["dense_1.bias"].any()


@pytest.mark.parametrize("build", INITIALIZERS.values(), ids=INITIALIZERS.keys())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_initializer_of_a_layer_fills_its_weights(build, dtype):
    net = Sequential([Dense(7, 5, initializer=build())], dtype=dtype, rng=3)
    expected = draw(build(), (7, 5), seed=3)
    np.testing.assert_array_equal(net.parameters["dense_1.weights"], expected.astype(dtype))
