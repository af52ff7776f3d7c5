"""The data set that every source becomes: its conditions, its split, and the error of a bad one.

`Dataset` checks all conditions when it is made. A reader that can name the place of a mistake
better, by file or line, applies the same checks itself before that.
"""

import hashlib
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn.scaled import ScaledBytes

Floats: TypeAlias = npt.NDArray[np.floating]
Labels: TypeAlias = npt.NDArray[np.int64]
Inputs: TypeAlias = Floats | ScaledBytes
Targets: TypeAlias = Floats | Labels
Mask: TypeAlias = npt.NDArray[np.bool]

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
ROWS_PER_HASH = 1024
HTML = "an HTML page (a login or captive portal's page, saved in place of the download?)"


class DataError(ValueError):
    """Data that cannot be used; the message, one line, names the file and what is allowed."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples to learn from and samples to be tested on, validated.

    Parameters
    ----------
    name : str
        What messages call it: a data set's name, or a file.
    x_train, x_test : ndarray of shape (n, features), float32 or float64, C-contiguous
        Or `fastnn.ScaledBytes`: pixels that came as bytes.
    y_train, y_test : ndarray
        Classification: int64 labels of shape (n,), from 0 to ``len(classes) - 1``.
        Regression: floats of shape (n, outputs), in the dtype of `x_train`.
    classes : tuple of str, or None
        The name of each label; None for regression.
    source : str
        Where the data comes from, its licence and whom to credit.

    Raises
    ------
    DataError
        An array is empty, holds NaN or infinity, has another shape or dtype than above, or
        labels out of range; or the arrays do not fit together.

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
                _check_matrix(y_place, y)
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
        test: Mask,
        *,
        classes: tuple[str, ...] | None,
        source: str,
    ) -> Self:
        """Make a data set whose test part is where `test`, (n,), is true; both keep the order."""
        return cls(name, x[~test], y[~test], x[test], y[test], classes, source)

    @property
    def task(self) -> Literal["classification", "regression"]:
        """Whether labels or numbers are learnt."""
        return "regression" if self.classes is None else "classification"

    @property
    def n_features(self) -> int:
        """Number of inputs of a network for this data."""
        return int(self.x_train.shape[1])

    @property
    def n_outputs(self) -> int:
        """Number of outputs of a network for this data."""
        return int(self.y_train.shape[1]) if self.classes is None else len(self.classes)

    @property
    def description(self) -> str:
        """The task and the sizes, in one line."""
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
            for start in range(0, len(array), ROWS_PER_HASH):  # bytes become floats by pieces
                rows = np.ascontiguousarray(array[start : start + ROWS_PER_HASH])
                digest.update(rows.data)
        return digest.hexdigest()


def every_fifth(y: Targets) -> Mask:
    """Mark the 0th, 5th, 10th, … sample of each class, in the order of `y`."""
    test = np.zeros(len(y), np.bool)
    for members in _classes(y):
        test[members[::5]] = True
    return test


def random_fifth(y: Targets, rng: np.random.Generator) -> Mask:
    """Mark a fifth of each class, drawn by `rng`: rounded, but at least one of two or more."""
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


def check_inputs(place: str, x: Inputs) -> None:
    """Check that `x` is a C-contiguous (n, features) array of finite floats, or of bytes."""
    if isinstance(x, ScaledBytes):
        _check_not_empty(place, x)
        return
    _check_matrix(place, x)
    if not x.flags.c_contiguous:
        raise DataError(f"{place} must be C-contiguous; its strides are {x.strides}")


def check_labels(place: str, y: Targets, classes: int) -> None:
    """Check that `y`, (n,), holds int64 labels from 0 to ``classes - 1``."""
    if classes < 2:
        raise DataError(f"{place} has {classes} class; classification needs at least 2")
    if y.ndim != 1 or y.dtype != np.int64:
        raise DataError(f"{place} must be labels, int64 (n,), not {y.dtype} {y.shape}")
    _check_not_empty(place, y)
    wrong = (y < 0) | (y >= classes)
    if wrong.any():
        i = int(wrong.argmax())
        raise DataError(f"{place}[{i}] is label {y[i]}; 0 to {classes - 1} are allowed")


def check_counts(x_place: str, x: Sized, y_place: str, y: Sized) -> None:
    """Check that there is one label or target for each sample."""
    if len(x) != len(y):
        raise DataError(
            f"{x_place} has {len(x)} samples, {y_place} has {len(y)}; the counts must be equal"
        )


def _check_matrix(place: str, values: Targets) -> None:
    if values.ndim != 2 or values.dtype not in FLOATS:
        raise DataError(
            f"{place} must be a 2-D array of float32 or float64, not {values.dtype} {values.shape}"
        )
    _check_not_empty(place, values)
    finite = np.isfinite(values)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise DataError(
            f"{place}[{row}, {column}] is {values[row, column]}; "
            f"every value must be finite in {values.dtype}"
        )


def _check_not_empty(place: str, values: npt.NDArray[np.generic] | ScaledBytes) -> None:
    if not values.size:
        raise DataError(f"{place} is empty, shape {values.shape}; at least one value is needed")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the operating system's errors about `path` into a `DataError`."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error


def looks_like_html(head: bytes) -> bool:
    """Return whether a file that starts with `head` is a web page; no data format starts so."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")
