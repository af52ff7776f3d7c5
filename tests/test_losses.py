"""Losses and their gradients against their formulas, in NumPy."""

import numpy as np
import pytest

from fastnn import (
    BinaryCrossEntropy,
    Dense,
    Loss,
    MeanSquaredError,
    Sequential,
    SoftmaxCrossEntropy,
    evaluate,
    losses,
    op,
)
from fastnn.losses import LOSSES

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
def test_softmax_cross_entropy_of_labels_is_that_of_one_hot_rows(dtype):
    loss, z = SoftmaxCrossEntropy(), Z.astype(dtype)
    assert loss(z, LABELS) == pytest.approx(loss(z, ONE_HOT), rel=1e-6)
    np.testing.assert_allclose(loss.gradient(z, LABELS), loss.gradient(z, ONE_HOT), atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_of_large_scores_overflow_nowhere(dtype):
    z = np.array([[1000, 0, -1000], [-1e30, 0, 1e30]], dtype)
    loss = SoftmaxCrossEntropy()
    assert loss(z, [0, 2]) == 0
    assert np.isfinite(loss.gradient(z, [1, 1])).all()
    assert loss(z[:1], [2]) == 2000
    assert loss(z[:1], np.array([[0.0, 0, 1]])) == 2000
    binary = BinaryCrossEntropy()
    assert binary(z[:1], [[1, 0.5, 0]]) == pytest.approx(np.log(2) / 3)
    assert binary(z[:1], [[0, 0.5, 1]]) == pytest.approx((2000 + np.log(2)) / 3)


def test_losses_of_nan_are_nan():
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
def test_loss_refuses_targets_that_do_not_fit(loss, targets, message):
    with pytest.raises(ValueError, match=message):
        loss(Z, targets)


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (SoftmaxCrossEntropy(), LABELS),
        (SoftmaxCrossEntropy(), ONE_HOT),
        (BinaryCrossEntropy(), ONE_HOT),
        (MeanSquaredError(), ONE_HOT),
    ],
)
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_loss_refuses_another_number_of_rows_than_outputs_have(loss, targets, rows):
    """An op would read beyond the targets, or leave some of them out."""
    for outputs, y in ((Z, targets[:rows]), (Z[:rows], targets)):
        message = f"outputs have {len(outputs)} rows, y has {len(y)}"
        with pytest.raises(ValueError, match=message):
            loss(outputs, y)
        with pytest.raises(ValueError, match=message):
            loss.gradient(outputs, y)


def test_loss_takes_outputs_of_any_strides_and_leaves_them_alone():
    for outputs in (np.asfortranarray(Z), np.repeat(Z, 2, axis=1)[:, ::2], Z[::-1].copy()[::-1]):
        before = outputs.copy()
        assert MeanSquaredError()(outputs, ONE_HOT) == MeanSquaredError()(Z, ONE_HOT)
        np.testing.assert_array_equal(
            SoftmaxCrossEntropy().gradient(outputs, LABELS),
            SoftmaxCrossEntropy().gradient(Z, LABELS),
        )
        np.testing.assert_array_equal(outputs, before)


@pytest.mark.parametrize(("name", "kind"), LOSSES.items())
def test_loss_by_name(name, kind):
    assert isinstance(losses.get(name), kind)
    assert repr(losses.get(name)) == f"{kind.__name__}()"
    loss = kind()
    assert losses.get(loss) is loss


@pytest.mark.parametrize("name", ["cross_entropy", "MSE", "", None, SoftmaxCrossEntropy])
def test_loss_by_a_wrong_name_lists_the_names(name):
    with pytest.raises(
        ValueError, match=r"unknown loss .*: take one of cross-entropy, bce, mse, M"
    ):
        losses.get(name)


@op
def absolute_error(outputs, targets, totals, d_outputs):
    for i in range(outputs.shape[0]):
        for j in range(outputs.shape[1]):
            error = outputs[i, j] - targets[i, j]
            totals[0] += abs(error) / outputs.shape[1]
            d_outputs[i, j] = np.sign(error) / outputs.size


class AbsoluteError(Loss):
    op = absolute_error
    has_accuracy = False


@pytest.mark.parametrize("kernel", ["numba", "numpy"])
def test_loss_of_a_users_own_is_a_class_that_names_its_op(kernel):
    loss = AbsoluteError()
    assert loss(Z, ONE_HOT) == pytest.approx(abs(Z - ONE_HOT).mean())
    np.testing.assert_allclose(loss.gradient(Z, ONE_HOT), np.sign(Z - ONE_HOT) / Z.size)
    net = Sequential([Dense(4, 4)], kernel=kernel, dtype="float64")
    result = evaluate(net, Z, ONE_HOT, loss=loss)
    assert result.accuracy is None
    assert result.loss == pytest.approx(abs(net(Z) - ONE_HOT).mean())


def test_loss_whose_op_does_not_exist_lists_the_ops():
    class Hinge(Loss):
        op = "hinge"

    with pytest.raises(ValueError, match=r"no op is called 'hinge'; .*mean_squared_error"):
        Hinge()(Z, ONE_HOT)


@pytest.mark.parametrize("compile_it", [op, lambda function: function])
def test_subclass_of_softmax_cross_entropy_may_have_an_op_of_its_own(compile_it):
    def twice(logits, labels, totals, d_logits):
        for i in range(len(logits)):
            totals[0] += 2 * logits[i, labels[i]]

    class Twice(SoftmaxCrossEntropy):
        op = compile_it(twice)

    assert Twice()(Z, LABELS) == pytest.approx(2 * Z[np.arange(6), LABELS].mean(), rel=1e-12)
