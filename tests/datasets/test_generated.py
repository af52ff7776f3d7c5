"""The generated data: what the formulas say, and that each is the task that it claims to be."""

import numpy as np

from fastnn import datasets
from fastnn.datasets import generated


def test_sine_is_a_sine():
    data = datasets.load("sine", dtype="float64")
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        np.testing.assert_allclose(y, np.sin(np.pi * x / np.sqrt(3)), rtol=0, atol=1e-15)


def test_sine_inputs_are_scaled_and_test_points_interleaved():
    data = datasets.load("sine", dtype="float64")
    x = np.concatenate([data.x_train, data.x_test])
    assert len(x) == generated.SINE_POINTS
    assert abs(x.mean()) < 1e-12
    assert abs(x.std() - 1) < 0.01
    gaps = np.diff(np.sort(data.x_test, axis=0), axis=0)
    np.testing.assert_allclose(gaps, 5 * np.diff(np.sort(x, axis=0), axis=0).mean())


def linear_accuracy(x_train, y_train, x_test, y_test):
    """Accuracy of the best linear map, in least squares, onto one-hot labels."""
    ones = np.ones((len(x_train), 1))
    weights, *_ = np.linalg.lstsq(np.hstack([x_train, ones]), np.eye(3)[y_train], rcond=None)
    scores = np.hstack([x_test, np.ones((len(x_test), 1))]) @ weights
    return (scores.argmax(axis=1) == y_test).mean()


def nearest_neighbour_accuracy(x_train, y_train, x_test, y_test):
    distances = ((x_test[:, None] - x_train) ** 2).sum(axis=2)
    return (y_train[distances.argmin(axis=1)] == y_test).mean()


def test_spirals_can_be_told_apart_but_not_by_lines():
    data = datasets.load("spirals", dtype="float64")
    parts = (data.x_train, data.y_train, data.x_test, data.y_test)
    assert linear_accuracy(*parts) < 0.6
    assert nearest_neighbour_accuracy(*parts) > 0.97
