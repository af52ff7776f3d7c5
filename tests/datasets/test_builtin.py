"""The digits in the package, a sine and spirals: what they hold, and that each is its task."""

import csv
import gzip
import hashlib
from collections import Counter
from importlib import resources

import numpy as np
import pytest

from fastnn import datasets
from fastnn.datasets import builtin

PACKAGE = resources.files("fastnn.datasets")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_digits_against_the_standard_library(dtype):
    text = gzip.decompress(PACKAGE.joinpath("digits.csv.gz").read_bytes()).decode()
    seen, train, test = Counter(), [], []
    for *pixels, label in csv.reader(text.splitlines()):
        sample = [int(pixel) / 16 for pixel in pixels], int(label)
        (train if seen[label] % 5 else test).append(sample)
        seen[label] += 1
    data = datasets.load("digits", dtype=dtype)
    for samples, x, y in ((train, data.x_train, data.y_train), (test, data.x_test, data.y_test)):
        assert x.tolist() == [pixels for pixels, _ in samples]
        assert y.tolist() == [label for _, label in samples]


def test_digits_have_their_sizes_and_range():
    data = datasets.load("digits")
    assert len(data.x_train) + len(data.x_test) == 1797
    assert data.n_features == 64
    assert data.classes == tuple("0123456789")
    assert (data.x_train.min(), data.x_train.max()) == (0, 1)


def test_digits_are_split_by_class():
    data = datasets.load("digits")
    train, test = np.bincount(data.y_train), np.bincount(data.y_test)
    assert (np.abs(test - (train + test) / 5) < 1).all()


def test_digits_file_is_the_one_attributed():
    packed = PACKAGE.joinpath("digits.csv.gz").read_bytes()
    assert hashlib.sha256(packed).hexdigest() == (
        "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
    )
    text = PACKAGE.joinpath("ATTRIBUTION.md").read_text()
    for words in ("10.24432/C50P49", "CC BY 4.0", "E. Alpaydin", "C. Kaynak", "scikit-learn"):
        assert words in text
    for words in ("10.24432/C50P49", "CC BY 4.0", "Alpaydin", "Kaynak"):
        assert words in datasets.load("digits").source


def test_sine_is_a_sine():
    data = datasets.load("sine", dtype="float64")
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        np.testing.assert_allclose(y, np.sin(np.pi * x / np.sqrt(3)), rtol=0, atol=1e-15)


def test_sine_inputs_are_scaled_and_test_points_interleaved():
    data = datasets.load("sine", dtype="float64")
    x = np.concatenate([data.x_train, data.x_test])
    assert len(x) == builtin.SINE_POINTS
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


def test_spirals_can_be_separated_but_not_by_lines():
    data = datasets.load("spirals", dtype="float64")
    parts = (data.x_train, data.y_train, data.x_test, data.y_test)
    assert linear_accuracy(*parts) < 0.6
    assert nearest_neighbour_accuracy(*parts) > 0.97
