"""What the ops of losses add to ``totals``."""

import numpy as np
import pytest

from fastnn.kernels.ops import losses
from tests.kernels.calls import run

LABELS = np.array([0, 1])
ONE_HOT = np.eye(3)[LABELS]
OPS = {
    "softmax_cross_entropy": (losses.softmax_cross_entropy, LABELS),
    "softmax_cross_entropy_one_hot": (losses.softmax_cross_entropy_one_hot, ONE_HOT),
    "binary_cross_entropy": (losses.binary_cross_entropy, ONE_HOT),
    "mean_squared_error": (losses.mean_squared_error, ONE_HOT),
}


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
def test_softmax_cross_entropy_answer_is_the_first_of_the_largest_scores(scores, label, correct):
    z, gradient = np.array([scores], np.float64), np.empty((1, 3))
    for op, targets in (
        (losses.softmax_cross_entropy, np.array([label])),
        (losses.softmax_cross_entropy_one_hot, np.eye(3)[[label]]),
    ):
        totals = np.zeros(3)
        run(op, z, targets, totals, gradient)
        assert totals[1] == correct


@pytest.mark.parametrize("name", OPS)
def test_loss_ops_count_the_steps_up_to_the_first_that_is_not_finite(name):
    op, targets = OPS[name]
    z = np.array([[1.0, 0.0, -1.0], [0.5, 0.0, 0.0]])
    totals, gradient, counted = np.zeros(3), np.empty_like(z), []
    for value in (1.0, 2.0, np.nan, 1.0):
        z[0, 0] = value
        run(op, z, targets, totals, gradient)
        counted.append(totals[2])
    assert counted == [1, 2, 2, 2]


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_ops_add_to_totals(name, dtype):
    op, targets = OPS[name]
    targets = targets if targets.ndim == 1 else targets.astype(dtype)
    z = np.array([[1.0, 0.0, -1.0], [0.5, 0.0, 0.0]], dtype)
    once, thrice, gradient = np.zeros(3), np.zeros(3), np.empty_like(z)
    run(op, z, targets, once, gradient)
    for _ in range(3):
        run(op, z, targets, thrice, gradient)
    assert once[0] > 0
    np.testing.assert_allclose(thrice, 3 * once)
