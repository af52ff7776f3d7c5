"""Data of one's own, as arrays: a ``.npz`` file, as ``numpy.savez`` writes it.

It holds ``x_train``, ``y_train``, ``x_test`` and ``y_test``, or without a test set ``x_train``
and ``y_train``, or ``x`` and ``y``; then a fifth of the samples, of each class where there are
classes, is the test set, drawn by the seed.

- x has one sample a row; further dimensions (images) are flattened. Unsigned bytes are taken for
  pixels and divided by 255, as in IDX files; all other numbers stay as they are.
- The type of y tells the task: see `targets`.

Pickled objects are never loaded: unpickling runs whatever code the file's author chose.
"""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fastnn.datasets.dataset import Dataset
from fastnn.datasets.errors import HTML, DataError, looks_like_html, reading
from fastnn.datasets.splits import random_fifth
from fastnn.datasets.targets import encode
from fastnn.datasets.validation import Inputs, check_counts, check_inputs
from fastnn.scaled import ScaledBytes

LAYOUTS = (
    {"x_train", "y_train", "x_test", "y_test"},
    {"x_train", "y_train"},
    {"x", "y"},
)
Array = npt.NDArray[np.generic]


def load_npz(path: Path, dtype: npt.DTypeLike, rng: np.random.Generator) -> Dataset:
    """Read an npz file as the module describes."""
    arrays = _read_arrays(path)
    x_name, y_name = ("x", "y") if "x" in arrays else ("x_train", "y_train")
    x = _inputs(f"{path}: {x_name}", arrays[x_name], dtype)
    y_values = arrays[y_name]
    check_counts(f"{path}: {x_name}", x, f"{path}: {y_name}", y_values)
    if "x_test" not in arrays:
        y, classes = encode(f"{path}: {y_name}", y_values, dtype)
        source = f"the file {path}"
        return Dataset.split(str(path), x, y, random_fifth(y, rng), classes=classes, source=source)
    x_test = _inputs(f"{path}: x_test", arrays["x_test"], dtype)
    both = _joined(path, y_values, arrays["y_test"])
    y, classes = encode(f"{path}: y_train with y_test", both, dtype)
    y_train, y_test = y[: len(y_values)], y[len(y_values) :]
    if classes is not None and (unseen := np.setdiff1d(y_test, y_train)).size:
        name = classes[unseen[0]]
        raise DataError(f"{path}: y_test has class {name!r}; those of y_train are allowed")
    return Dataset(str(path), x, y_train, x_test, y_test, classes, f"the file {path}")


def load_npz_features(path: Path, dtype: npt.DTypeLike) -> Inputs:
    """Read ``x``, or ``x_test``, as the module describes; targets are left alone."""
    arrays = _read_arrays(path, [{"x"}, *LAYOUTS])
    name = next(name for name in ("x", "x_test", "x_train") if name in arrays)
    return _inputs(f"{path}: {name}", arrays[name], dtype)


def _read_arrays(path: Path, layouts: Sequence[set[str]] = LAYOUTS) -> dict[str, Array]:
    with reading(path):
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                what = HTML if looks_like_html(file.read(512)) else "truncated, or no npz file"
            raise DataError(f"{path}: {what}; a file made by numpy.savez is needed")
        try:
            with np.load(path, allow_pickle=False) as archive:
                names = set(archive.files)
                if names not in layouts:
                    allowed = "; or ".join(", ".join(sorted(layout)) for layout in layouts)
                    found = ", ".join(sorted(names)) or "nothing"
                    raise DataError(f"{path}: holds {found}; allowed are {allowed}")
                return {name: _read_array(path, archive, name) for name in names}
        # RuntimeError: encrypted, or compressed in a way that Python does not know.
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise DataError(f"{path}: truncated or damaged npz file ({error})") from error


def _read_array(path: Path, archive: np.lib.npyio.NpzFile, name: str) -> Array:
    try:
        array = archive[name]
    except (ValueError, MemoryError) as error:
        pickled = "pickle" in str(error)
        reason = "holds pickled objects, which are never loaded" if pickled else "is damaged"
        raise DataError(f"{path}: {name} {reason}; arrays of numbers or text are needed") from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: {name} is no array in NumPy's format")
    if array.ndim == 0:
        raise DataError(f"{path}: {name} is a single value; one row for each sample is needed")
    return array


def _inputs(place: str, values: Array, dtype: npt.DTypeLike) -> Inputs:
    if values.dtype.kind not in "biuf":
        raise DataError(f"{place} has type {values.dtype}; numbers are needed")
    if values.ndim < 2 or not values.size:
        raise DataError(
            f"{place} has shape {values.shape}; (n, features) is needed, both at least 1"
        )
    rows = values.reshape(len(values), -1)
    if values.dtype == np.uint8:
        x: Inputs = ScaledBytes(rows.astype(np.uint8, copy=False), dtype)
    else:
        with np.errstate(over="ignore"):  # infinity in float32 is refused by the validation
            x = rows.astype(dtype, order="C")
    check_inputs(place, x)
    return x


def _joined(path: Path, y_train: Array, y_test: Array) -> Array:
    if y_train.dtype.kind != y_test.dtype.kind or y_train.shape[1:] != y_test.shape[1:]:
        raise DataError(
            f"{path}: y_train is {y_train.dtype} {y_train.shape}, y_test is {y_test.dtype} "
            f"{y_test.shape}; but for the number of rows they must agree"
        )
    return np.concatenate([y_train, y_test])
