"""From a column of a file to what a network learns.

The type of the values decides the task, and nothing is guessed beyond it:

- integers are labels: 0, 1, …, each of which must occur;
- text is the name of a class; the names, sorted, are given the labels 0, 1, …;
- floats are what a regression learns.
"""

import numpy as np
import numpy.typing as npt

from fastnn.datasets.errors import DataError
from fastnn.datasets.validation import Targets


def encode(
    place: str, values: npt.NDArray[np.generic], dtype: npt.DTypeLike
) -> tuple[Targets, tuple[str, ...] | None]:
    """Return `y` and the names of its classes, None for regression.

    Parameters
    ----------
    place : str
        What to call the values in a message.
    values : ndarray of shape (n,) or (n, 1), floats also (n, outputs)
    dtype : float32 or float64
        Of `y`, in a regression.

    Raises
    ------
    DataError
        The shape or type is another, or the labels have a gap.

    """
    if not values.size:
        raise DataError(f"{place} is empty, shape {values.shape}; at least one value is needed")
    kind = values.dtype.kind
    if kind == "f" and values.ndim in (1, 2):
        with np.errstate(over="ignore"):  # infinity in float32 is refused by the validation
            return values.astype(dtype).reshape(len(values), -1), None
    if kind not in "iubU":
        raise DataError(
            f"{place} has type {values.dtype}; integer labels, text or floats are allowed"
        )
    if values.size != len(values):
        raise DataError(f"{place} has shape {values.shape}; labels are allowed as (n,) or (n, 1)")
    found, labels = np.unique(values.ravel(), return_inverse=True)
    if kind != "U" and not np.array_equal(found, np.arange(len(found))):
        some = ", ".join(map(str, found[:3])) + (" …" if len(found) > 3 else "")
        raise DataError(
            f"{place} has the integers {some}; integers are labels, 0, 1, … without a gap "
            "(write 1.0, not 1, for numbers to be learnt by regression)"
        )
    return labels.astype(np.int64), tuple(map(str, found))
