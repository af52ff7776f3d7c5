import numpy as np
import pytest

from fastnn import (
    BinaryCrossEntropy,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)
from fastnn.kernels.ops import losses

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(6, 4))
LABELS = np.array([0, 3, 1, 2, 2, 0])
ONE_HOT = np.eye(4)[LABELS]


def test_softmax_cross_entropy_is_its_formula():
    p = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    expected = -np.log(p[np.arange(6), LABELS]).mean()
    assert SoftmaxCrossEntropy()(Z, LABELS) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(
        SoftmaxCrossEntropy().gradient(Z, LABELS), (p - ONE_HOT) / 6, atol=1e-15
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_and_one_hot_are_the_same(dtype):
    loss, z = SoftmaxCrossEntropy(), Z.astype(dtype)
    assert loss(z, LABELS) == pytest.approx(loss(z, ONE_HOT), rel=1e-6)
    np.testing.assert_allclose(loss.gradient(z, LABELS), loss.gradient(z, ONE_HOT), atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_scores_overflow_nowhere(dtype):
    z = np.array([[1000, 0, -1000], [-1e30, 0, 1e30]], dtype)
    loss = SoftmaxCrossEntropy()
    assert loss(z, [0, 2]) == 0
    assert np.isfinite(loss.gradient(z, [1, 1])).all()
    assert loss(z[:1], [2]) == 2000
    assert loss(z[:1], np.array([[0.0, 0, 1]])) == 2000
    binary = BinaryCrossEntropy()
    assert binary(z[:1], [[1, 0.5, 0]]) == pytest.approx(np.log(2) / 3)
    assert binary(z[:1], [[0, 0.5, 1]]) == pytest.approx((2000 + np.log(2)) / 3)


def test_nan_in_the_outputs_is_nan_in_the_loss():
    z = Z.copy()
    z[2, 1] = np.nan
    for loss, targets in (
        (SoftmaxCrossEntropy(), LABELS),
        (SoftmaxCrossEntropy(), ONE_HOT),
        (BinaryCrossEntropy(), ONE_HOT),
        (MeanSquaredError(), ONE_HOT),
    ):
        assert np.isnan(loss(z, targets))


def test_binary_cross_entropy_is_its_formula():
    p = 1 / (1 + np.exp(-Z))
    expected = -(ONE_HOT * np.log(p) + (1 - ONE_HOT) * np.log(1 - p)).mean()
    assert BinaryCrossEntropy()(Z, ONE_HOT) == pytest.approx(expected, rel=1e-12)


def test_mean_squared_error_is_the_mean_over_every_element():
    assert MeanSquaredError()(Z, ONE_HOT) == pytest.approx(((Z - ONE_HOT) ** 2).mean())
    assert MeanSquaredError()(Z[:, :1], ONE_HOT[:, 0]) == pytest.approx(
        ((Z[:, 0] - ONE_HOT[:, 0]) ** 2).mean()
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (15, 10), (16, 10), (17, 3), (70, 33), (5, 400)])
def test_losses_of_any_shape_are_their_formulas(shape, dtype):
    rng = np.random.default_rng(1)
    z = rng.normal(0, 4, shape).astype(dtype)
    wide = z.astype(np.float64)
    rows, labels = np.arange(len(z)), rng.integers(0, shape[1], len(z))
    p = np.exp(wide - wide.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    soft = p[::-1].astype(dtype)
    soft /= soft.sum(axis=1, keepdims=True)
    yes = (rng.random(shape) < 0.5).astype(dtype)
    sigmoid = 1 / (1 + np.exp(-wide))
    for loss, y, expected, gradient in (
        (
            SoftmaxCrossEntropy(),
            labels,
            -np.log(p[rows, labels]).mean(),
            (p - np.eye(shape[1])[labels]) / len(z),
        ),
        (
            SoftmaxCrossEntropy(),
            soft,
            -(soft * np.log(p)).sum(axis=1).mean(),
            (p - soft) / len(z),
        ),
        (
            BinaryCrossEntropy(),
            yes,
            np.logaddexp(0, np.where(yes > 0, -wide, wide)).mean(),
            (sigmoid - yes) / z.size,
        ),
    ):
        eps = float(np.finfo(dtype).eps)
        assert loss(z, y) == pytest.approx(expected, rel=32 * eps, abs=32 * eps)
        np.testing.assert_allclose(loss.gradient(z, y), gradient, atol=16 * eps)


@pytest.mark.parametrize(
    ("scores", "label", "correct"),
    [
        ([1, 3, 2], 1, 1),
        ([1, 3, 2], 2, 0),
        ([3, 1, 3], 0, 1),  # the first of equals counts
        ([3, 1, 3], 2, 0),
        ([-np.inf, 0, -np.inf], 1, 1),
    ],
)
def test_an_answer_is_the_first_of_the_largest_scores(scores, label, correct):
    z, gradient = np.array([scores], np.float64), np.empty((1, 3))
    for function, targets in (
        (losses.softmax_cross_entropy, np.array([label])),
        (losses.softmax_cross_entropy_one_hot, np.eye(3)[[label]]),
    ):
        totals = np.zeros(3)
        function(z, targets, totals, gradient)
        assert totals[1] == correct


@pytest.mark.parametrize(
    ("loss", "targets", "message"),
    [
        (SoftmaxCrossEntropy(), [0, 4, 1, 2, 2, 0], r"labels lie in 0…4; .* 0…3 are allowed"),
        (SoftmaxCrossEntropy(), [0, -1, 1, 2, 2, 0], r"labels lie in -1…2"),
        (SoftmaxCrossEntropy(), [0.0, 1, 1, 2, 2, 0], "integer labels"),
        (SoftmaxCrossEntropy(), ONE_HOT[:, :3], r"\(6, 3\)"),
        (SoftmaxCrossEntropy(), ONE_HOT * 2, "sum to 1"),
        (BinaryCrossEntropy(), ONE_HOT * 2, r"0…1 is allowed"),
        (BinaryCrossEntropy(), LABELS, r"\(6,\)"),
        (MeanSquaredError(), np.full((6, 4), np.nan), "NaN"),
        (MeanSquaredError(), np.zeros((6, 4, 1)), r"\(6, 4, 1\)"),
    ],
)
def test_targets_that_do_not_fit_are_refused(loss, targets, message):
    with pytest.raises(ValueError, match=message):
        loss(Z, targets)
