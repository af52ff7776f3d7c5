"""The digits in the package against a reading in the standard library alone."""

import csv
import gzip
import hashlib
from collections import Counter
from importlib import resources

import numpy as np
import pytest

from fastnn import datasets

PACKAGE = resources.files("fastnn.datasets")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_against_four_lines_of_standard_library(dtype):
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


def test_sizes_and_range():
    data = datasets.load("digits")
    assert len(data.x_train) + len(data.x_test) == 1797
    assert data.n_features == 64
    assert data.classes == tuple("0123456789")
    assert (data.x_train.min(), data.x_train.max()) == (0, 1)


def test_split_is_stratified():
    data = datasets.load("digits")
    train, test = np.bincount(data.y_train), np.bincount(data.y_test)
    assert (np.abs(test - (train + test) / 5) < 1).all()


def test_the_file_is_the_one_attributed():
    packed = PACKAGE.joinpath("digits.csv.gz").read_bytes()
    assert hashlib.sha256(packed).hexdigest() == (
        "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
    )
    text = PACKAGE.joinpath("ATTRIBUTION.md").read_text()
    for words in ("10.24432/C50P49", "CC BY 4.0", "E. Alpaydin", "C. Kaynak", "scikit-learn"):
        assert words in text
    for words in ("10.24432/C50P49", "CC BY 4.0", "Alpaydin", "Kaynak"):
        assert words in datasets.load("digits").source
