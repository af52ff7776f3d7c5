"""Which samples are kept for the test: a fifth, of each class where there are classes."""

import numpy as np
import numpy.typing as npt

from fastnn.datasets.validation import Targets

Mask = npt.NDArray[np.bool]


def every_fifth(y: Targets) -> Mask:
    """Mark the 0th, 5th, 10th, … sample of each class, in the order of `y`."""
    test = np.zeros(len(y), np.bool)
    for members in _classes(y):
        test[members[::5]] = True
    return test


def random_fifth(y: Targets, rng: np.random.Generator) -> Mask:
    """Mark a fifth of each class, rounded; at least one of two, none of one, drawn by `rng`."""
    test = np.zeros(len(y), np.bool)
    for members in _classes(y):
        count = max((len(members) + 2) // 5, int(len(members) > 1))
        test[rng.permutation(members)[:count]] = True
    return test


def _classes(y: Targets) -> list[npt.NDArray[np.intp]]:
    """Return the positions of each class's samples; regression counts as one class."""
    if y.dtype.kind == "f":
        return [np.arange(len(y))]
    return [np.flatnonzero(y == label) for label in np.unique(y)]
