"""The conditions that every data set meets, from whatever source.

`Dataset` applies them all when it is made. A reader that knows a better name for the place (a
file, a line) applies them itself, before.
"""

from collections.abc import Sized

import numpy as np
import numpy.typing as npt

from fastnn.datasets.errors import DataError
from fastnn.scaled import ScaledBytes

Inputs = npt.NDArray[np.floating] | ScaledBytes
Floats = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]
Targets = Floats | Labels
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def check_inputs(place: str, x: Inputs) -> None:
    """Check that `x` is a C-contiguous (n, features) array of finite floats, or of bytes."""
    if isinstance(x, ScaledBytes):
        _check_not_empty(place, x)
        return
    _check_matrix(place, x)
    if not x.flags.c_contiguous:
        raise DataError(f"{place} must be C-contiguous; its strides are {x.strides}")


def check_targets(place: str, y: Targets) -> None:
    """Check that `y`, what a regression learns, is an (n, outputs) array of finite floats."""
    _check_matrix(place, y)


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
