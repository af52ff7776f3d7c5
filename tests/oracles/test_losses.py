"""Losses, their gradients and accuracies against PyTorch's."""

import numpy as np
import pytest

from fastnn import (
    BinaryCrossEntropy,
    Dense,
    MeanSquaredError,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    evaluate,
)

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
functional = torch.nn.functional

INF, NAN = np.inf, np.nan
DTYPES = ["float32", "float64"]
SHAPES = [(1, 1), (1, 2), (2, 1), (15, 10), (16, 10), (17, 3), (64, 100), (5, 400), (300, 7)]
LOSSES = {
    "labels": (SoftmaxCrossEntropy, functional.cross_entropy),
    "one-hot": (SoftmaxCrossEntropy, functional.cross_entropy),
    "distributions": (SoftmaxCrossEntropy, functional.cross_entropy),
    "yes or no": (BinaryCrossEntropy, functional.binary_cross_entropy_with_logits),
    "likelihoods": (BinaryCrossEntropy, functional.binary_cross_entropy_with_logits),
    "numbers": (MeanSquaredError, functional.mse_loss),
}


def targets_of(kind, shape, dtype, rng):
    samples, n = shape
    labels = rng.integers(0, n, samples)
    if kind == "labels":
        return labels
    if kind == "one-hot":
        return np.eye(n, dtype=dtype)[labels]
    if kind == "distributions":
        rows = rng.random(shape) ** 4
        rows[:, 1:] *= rng.random((samples, n - 1)) < 0.7  # some are 0
        return (rows / rows.sum(axis=1, keepdims=True)).astype(dtype)
    if kind == "yes or no":
        return (rng.random(shape) < 0.5).astype(dtype)
    return (rng.random if kind == "likelihoods" else rng.normal)(size=shape).astype(dtype)


def ours(kind, z, y):
    loss = LOSSES[kind][0]()
    return loss(z, y, probabilities=False), loss.gradient(z, y, probabilities=False)


def theirs(kind, z, y):
    scores = torch.tensor(z, requires_grad=True)
    loss = LOSSES[kind][1](scores, torch.tensor(y))
    loss.backward()
    return float(loss.detach()), scores.grad.numpy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("size", [1e-3, 1, 30, 1e4], ids=lambda size: f"scores of {size:g}")
def test_value_and_gradient_are_those_of_pytorch(kind, size, dtype):
    rng = np.random.default_rng(0)
    eps = float(np.finfo(dtype).eps)
    for shape in SHAPES:
        z = (rng.normal(size=shape) * size).astype(dtype)
        y = targets_of(kind, shape, dtype, rng)
        loss, gradient = ours(kind, z, y)
        assert gradient.dtype == dtype
        exact, exact_gradient = theirs(
            kind, z.astype(float), y if kind == "labels" else y.astype(float)
        )
        same, same_gradient = theirs(kind, z, y)
        # In float32, FastNN adds the samples' losses in float64, PyTorch does not.
        assert loss == pytest.approx(exact, rel=16 * eps, abs=eps)
        assert loss == pytest.approx(same, rel=64 * eps, abs=4 * eps)
        # A gradient is a difference of numbers up to `weight`.
        weight = 1 / (len(z) if LOSSES[kind][0] is SoftmaxCrossEntropy else z.size)
        atol = 8 * eps * max(weight, np.abs(exact_gradient).max())
        np.testing.assert_allclose(gradient, exact_gradient, rtol=0, atol=atol)
        np.testing.assert_allclose(gradient, same_gradient, rtol=0, atol=atol)


@pytest.mark.parametrize("kind", LOSSES)
def test_a_wrong_target_is_not_within_the_tolerance(kind):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(64, 5)), targets_of(kind, (64, 5), "float64", rng)
    other = y.copy()
    other[0] = other[1] if kind != "labels" else (y[0] + 1) % 5
    assert not np.array_equal(other, y)
    assert ours(kind, z, y)[0] != pytest.approx(theirs(kind, z, other)[0], rel=1e-10)


def test_one_hot_targets_are_labels():
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(50, 7)), rng.integers(0, 7, 50)
    loss, gradient = ours("labels", z, labels)
    for y in (np.eye(7)[labels], labels[:, np.newaxis]):
        assert SoftmaxCrossEntropy()(z, y) == pytest.approx(loss, rel=1e-14)
        np.testing.assert_allclose(SoftmaxCrossEntropy().gradient(z, y), gradient, atol=1e-17)


EXTREME = [1e30, -1e30, 1e4, -1e4, 745.2, -745.2, 104, -104, 0.0, -0.0, 1e-45]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", LOSSES)
def test_extreme_scores_are_as_in_pytorch(kind, dtype):
    rng = np.random.default_rng(0)
    tiny = float(np.finfo(dtype).tiny)
    for scores in [[a, b, 1] for a in EXTREME for b in (1e30, -1e4, 0)]:
        z = np.array([scores], dtype)
        for y in [targets_of(kind, (1, 3), dtype, rng) for _ in range(2)]:
            (loss, gradient), (their_loss, their_gradient) = ours(kind, z, y), theirs(kind, z, y)
            assert loss == pytest.approx(their_loss, rel=1e-6, abs=max(tiny, 1e-30)), z
            np.testing.assert_allclose(gradient, their_gradient, rtol=1e-6, atol=1e-7)


INFINITE_ROWS = [
    [INF, 0, 1],
    [-INF, 0, 1],
    [INF, INF, 0],
    [INF, -INF, 0],
    [-INF, -INF, 0],
    [-INF, -INF, -INF],
    [NAN, 0, 1],
    [0, NAN, -INF],
    [NAN, NAN, NAN],
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scores", INFINITE_ROWS, ids=str)
def test_labels_with_infinite_scores_are_as_in_pytorch(scores, dtype):
    z = np.array([scores, [1, 2, 3]], dtype)
    for label in range(3):
        (loss, gradient), expected = ours("labels", z, [label, 0]), theirs("labels", z, [label, 0])
        np.testing.assert_allclose(loss, expected[0], rtol=1e-6)
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scores", INFINITE_ROWS, ids=str)
def test_one_hot_targets_with_infinite_scores_are_labels_and_where_pytorch_has_a_number_as_there(
    scores, dtype
):
    """PyTorch multiplies -∞ by a target of 0, and has NaN where it has a number for labels."""
    z = np.array([scores], dtype)
    for label in range(3):
        y = np.eye(3, dtype=dtype)[[label]]
        loss, gradient = ours("one-hot", z, y)
        as_label = theirs("labels", z, [label])
        np.testing.assert_allclose(loss, as_label[0], rtol=1e-6)
        np.testing.assert_allclose(gradient, as_label[1], rtol=1e-6, atol=1e-7)
        their_loss, their_gradient = theirs("one-hot", z, y)
        assert np.isnan(their_loss) or loss == pytest.approx(their_loss, rel=1e-6)
        np.testing.assert_allclose(gradient, their_gradient, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", [0, 0.25, 1])
@pytest.mark.parametrize("score", [INF, -INF])
def test_yes_or_no_with_an_infinite_score_is_the_limit_and_where_pytorch_has_a_number_as_there(
    score, target, dtype
):
    """PyTorch has NaN for a right answer, and for some wrong ones: it subtracts ∞ from ∞."""
    z, y = np.array([[score]], dtype), np.array([[target]], dtype)
    loss, gradient = ours("yes or no", z, y)
    assert loss == (0 if target == (score > 0) else INF)
    their_loss, their_gradient = theirs("yes or no", z, y)
    assert np.isnan(their_loss) or loss == their_loss
    np.testing.assert_array_equal(gradient, their_gradient)
    huge = np.sign(z) * np.finfo(dtype).max
    assert (ours("yes or no", huge, y)[0] > 1e30) == np.isinf(loss)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["yes or no", "numbers"])
def test_nan_and_inf_show_in_the_loss_and_in_the_gradient_where_they_are(kind, dtype):
    for value in (NAN, INF, -INF):
        z, y = np.full((3, 2), 0.5, dtype), np.full((3, 2), 0.25, dtype)
        z[1, 0] = value
        (loss, gradient), (their_loss, their_gradient) = ours(kind, z, y), theirs(kind, z, y)
        if np.isfinite(value) or not (kind == "yes or no" and value == -INF):  # see above
            np.testing.assert_array_equal(loss, their_loss)
        np.testing.assert_allclose(gradient, their_gradient, rtol=1e-6)
        assert np.isnan(gradient).sum() == np.isnan(value)


@pytest.mark.parametrize("width", [2, 3, 10, 16, 40])
def test_accuracy_is_decided_by_argmax_as_in_pytorch_with_nan_and_equal_scores(width):
    """Through a network that hands scores on: an answer is the largest, NaN above all."""
    rng = np.random.default_rng(width)
    z = rng.integers(-3, 3, (400, width)).astype(float)
    z[rng.random(z.shape) < 0.5 / width] = NAN
    z[rng.random(z.shape) < 0.5 / width] = INF
    z[rng.random(z.shape) < 0.5 / width] = -INF
    answers = torch.argmax(torch.tensor(z), dim=1).numpy()
    assert (answers == np.argmax(z, axis=1)).all()
    for y in (answers, rng.integers(0, width, 400)):
        for targets in (y, np.eye(width)[y]):
            assert accuracy(SoftmaxCrossEntropy(), z, targets) == (answers == y).mean()
    ignoring_nan = np.where(np.isnan(z), -INF, z).argmax(axis=1)
    assert (ignoring_nan != answers).any()  # which would be another accuracy


def test_accuracy_of_yes_or_no_is_that_of_pytorch():
    rng = np.random.default_rng(0)
    z = rng.choice([-1, 0, 2, NAN, INF, -INF], size=(200, 3))
    y = rng.choice([0.0, 1], size=z.shape)
    scores = torch.tensor(z)
    expected = ((torch.sigmoid(scores) > 0.5) == (torch.tensor(y) > 0.5)).double().mean()
    assert accuracy(BinaryCrossEntropy(), z, y) == pytest.approx(float(expected), rel=1e-15)


def accuracy(loss, z, y):
    """Return what a loss counts as right."""
    totals, _ = loss._evaluate(z, y)
    return totals[1] / len(z)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("kind", "activation"),
    [("labels", Softmax), ("distributions", Softmax), ("yes or no", Sigmoid)],
)
def test_probabilities_give_the_loss_of_their_scores(kind, activation, dtype):
    rng = np.random.default_rng(0)
    net = Sequential([Dense(4, 3), activation()], dtype=dtype)
    x = rng.normal(size=(40, 4)) * 3
    y = targets_of(kind, (40, 3), dtype, rng)
    loss = LOSSES[kind][0]()
    expected = evaluate(net, x, y, loss=loss).loss
    p = net(x)
    with pytest.raises(ValueError, match="outputs may be probabilities"):
        loss(p, y)
    with pytest.raises(ValueError, match="probabilities=True or probabilities=False"):
        loss.gradient(p, y)
    rel = 1e-5 if dtype == "float32" else 1e-13
    assert loss(p, y, probabilities=True) == pytest.approx(expected, rel=rel)
    assert loss(p, y, probabilities=False) != pytest.approx(expected, rel=0.05)
    scores = x.astype(dtype) @ net.layers[0].weights
    np.testing.assert_allclose(
        loss.gradient(p, y, probabilities=True), theirs(kind, scores, y)[1], atol=1e-6
    )
    if kind == "yes or no":
        their = functional.binary_cross_entropy(torch.tensor(p), torch.tensor(y))
    elif kind == "labels":
        their = functional.nll_loss(torch.log(torch.tensor(p)), torch.tensor(y))
    else:
        their = -(torch.tensor(y) * torch.log(torch.tensor(p))).sum(dim=1).mean()
    assert loss(p, y, probabilities=True) == pytest.approx(float(their), rel=rel)


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_of_0_and_1_cost_nothing_where_they_are_right(dtype):
    certain = np.array([[1, 0], [0, 1]], dtype)
    for loss, right in ((SoftmaxCrossEntropy(), [0, 1]), (BinaryCrossEntropy(), certain)):
        assert loss(certain, right, probabilities=True) == 0
        assert loss(certain, certain[::-1], probabilities=True) == INF


def test_scores_that_cannot_be_probabilities_need_no_word():
    for loss, z, y in (
        (SoftmaxCrossEntropy(), [[0.5, 0.6]], [0]),
        (SoftmaxCrossEntropy(), [[1.5, -0.5]], [0]),
        (BinaryCrossEntropy(), [[0.5, 1.1]], [[0, 1]]),
        (MeanSquaredError(), [[0.5, 0.5]], [[0, 1]]),
    ):
        assert loss(z, y) == loss(z, y, probabilities=False) > 0
