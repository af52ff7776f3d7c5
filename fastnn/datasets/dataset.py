"""What every source of data is turned into."""

import hashlib
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from fastnn.datasets.errors import DataError
from fastnn.datasets.validation import (
    Inputs,
    Targets,
    check_counts,
    check_inputs,
    check_labels,
    check_targets,
)

ROWS_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples to learn from and samples to be tested on, validated.

    Parameters
    ----------
    name : str
        What it is called in messages: a data set's name, or a file.
    x_train, x_test : ndarray of shape (n, features), float32 or float64, C-contiguous
        Or `fastnn.ScaledBytes`, which is used like one: pixels that came as bytes.
    y_train, y_test : ndarray
        Classification: int64 labels of shape (n,), from 0 to ``len(classes) - 1``.
        Regression: floats of shape (n, outputs), in the dtype of `x_train`.
    classes : tuple of str, or None
        The name of each label; None for regression.
    source : str
        Where the data comes from, its licence and whom to name.

    Raises
    ------
    DataError
        An array is empty, holds NaN or infinity, has another shape or dtype than above, or
        labels out of range; or the arrays do not fit one another.

    """

    name: str
    x_train: Inputs = field(repr=False)
    y_train: Targets = field(repr=False)
    x_test: Inputs = field(repr=False)
    y_test: Targets = field(repr=False)
    classes: tuple[str, ...] | None
    source: str

    def __post_init__(self) -> None:
        for part, x, y in (
            ("train", self.x_train, self.y_train),
            ("test", self.x_test, self.y_test),
        ):
            x_place, y_place = f"{self.name}: x_{part}", f"{self.name}: y_{part}"
            check_inputs(x_place, x)
            if self.classes is None:
                check_targets(y_place, y)
            else:
                check_labels(y_place, y, len(self.classes))
            check_counts(x_place, x, y_place, y)
            if x.shape[1] != self.n_features or y.shape[1:] != self.y_train.shape[1:]:
                raise DataError(
                    f"{self.name}: the widths of x_test {x.shape} and y_test {y.shape} differ "
                    f"from those of x_train {self.x_train.shape} and y_train {self.y_train.shape}"
                )

    @classmethod
    def split(
        cls,
        name: str,
        x: Inputs,
        y: Targets,
        test: npt.NDArray[np.bool],
        *,
        classes: tuple[str, ...] | None,
        source: str,
    ) -> Self:
        """Make a data set whose test part is where `test`, (n,), is true; both keep the order."""
        return cls(name, x[~test], y[~test], x[test], y[test], classes, source)

    @property
    def task(self) -> Literal["classification", "regression"]:
        """What is learnt: labels or numbers."""
        return "regression" if self.classes is None else "classification"

    @property
    def n_features(self) -> int:
        """How many inputs a network for this data has."""
        return int(self.x_train.shape[1])

    @property
    def n_outputs(self) -> int:
        """How many outputs a network for this data has."""
        return int(self.y_train.shape[1]) if self.classes is None else len(self.classes)

    @property
    def description(self) -> str:
        """One line: the sizes and the task."""
        what = "outputs" if self.classes is None else "classes"
        return (
            f"{self.task}, {len(self.x_train):,} training and {len(self.x_test):,} test samples, "
            f"{self.n_features} features, {self.n_outputs} {what}"
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the arrays with their shapes and dtypes."""
        digest = hashlib.sha256()
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            for start in range(0, len(array), ROWS_AT_ONCE):  # of bytes, no copy of the whole
                rows = np.ascontiguousarray(array[start : start + ROWS_AT_ONCE])
                digest.update(rows.data)
        return digest.hexdigest()
