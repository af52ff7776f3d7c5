"""A user's own data, in a file: arrays in ``.npz``, or text in ``.csv``.

An ``.npz`` file, as ``numpy.savez`` writes it, holds ``x_train``, ``y_train``, ``x_test`` and
``y_test``; or, without a test set, ``x_train`` and ``y_train``, or ``x`` and ``y``. x has one
sample a row; further dimensions (images) are flattened. Unsigned bytes are pixels and count as
themselves divided by 255; all other numbers stay as they are. Pickled objects are never loaded:
unpickling runs whatever code the file's author chose.

A ``.csv`` file has cells separated by commas: the last column is the target, all others are
numbers. A first row without a number among its features is the header.

The type of the targets decides the task, and nothing is guessed beyond it:

- integers are labels: 0, 1, …, each of which must occur;
- text is the name of a class; the names, sorted, are given the labels 0, 1, …;
- floats are what a regression learns. In a ``.csv`` file one cell such as 3.0 is enough to say so.

Without a test set, a fifth of the samples, of each class where there are classes, is drawn as one
by the seed.
"""

import csv
import io
import itertools
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn.datasets.dataset import (
    HTML,
    DataError,
    Dataset,
    Floats,
    Inputs,
    Targets,
    check_counts,
    check_inputs,
    looks_like_html,
    random_fifth,
    reading,
)
from fastnn.scaled import ScaledBytes

LAYOUTS = (
    {"x_train", "y_train", "x_test", "y_test"},
    {"x_train", "y_train"},
    {"x", "y"},
)
Array: TypeAlias = npt.NDArray[np.generic]
_Row: TypeAlias = tuple[str, list[str]]  # its file and line, its cells


def load_npz(path: Path, dtype: npt.DTypeLike, rng: np.random.Generator) -> Dataset:
    """Read an ``.npz`` file as the module describes."""
    arrays = _read_arrays(path)
    x_name, y_name = ("x", "y") if "x" in arrays else ("x_train", "y_train")
    x = _inputs(f"{path}: {x_name}", arrays[x_name], dtype)
    y_values = arrays[y_name]
    check_counts(f"{path}: {x_name}", x, f"{path}: {y_name}", y_values)
    if "x_test" not in arrays:
        return _split(path, x, f"{path}: {y_name}", y_values, rng)
    x_test = _inputs(f"{path}: x_test", arrays["x_test"], dtype)
    both = _joined(path, y_values, arrays["y_test"])
    y, classes = _encode(f"{path}: y_train with y_test", both, x.dtype)
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


def load_csv(path: Path, dtype: npt.DTypeLike, rng: np.random.Generator) -> Dataset:
    """Read a ``.csv`` file as the module describes."""
    rows = _rows(path)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path}: the file is empty; at least two rows are needed")
    if any(map(_is_number, first[1][:-1])):
        rows = itertools.chain([first], rows)
    features, targets = [], []
    for place, cells in rows:
        features.append(_as_dtype(_numbers(place, cells[:-1]), dtype))
        targets.append((place, cells[-1].strip()))
    if not features:
        raise DataError(f"{path}: a header without rows; at least two rows are needed")
    x = np.stack(features)
    check_inputs(f"{path}: features", x)
    return _split(path, x, f"{path}: the last column", _typed(targets), rng)


def load_csv_features(path: Path, n_features: int, dtype: npt.DTypeLike) -> Inputs:
    """Read rows of `n_features` numbers, after which a target may stand, which is left out."""
    features = []
    for row, (place, cells) in enumerate(_rows(path, min_columns=1)):
        if len(cells) not in (n_features, n_features + 1):
            raise DataError(
                f"{place}: {len(cells)} cells; {n_features} features are needed, "
                "after which a target may stand"
            )
        if row or any(map(_is_number, cells[:n_features])):
            features.append(_as_dtype(_numbers(place, cells[:n_features]), dtype))
    if not features:
        raise DataError(f"{path}: no rows; at least one is needed")
    x = np.stack(features)
    check_inputs(f"{path}: features", x)
    return x


def _split(
    path: Path, x: Inputs, y_place: str, y_values: Array, rng: np.random.Generator
) -> Dataset:
    y, classes = _encode(y_place, y_values, x.dtype)
    source = f"the file {path}"
    return Dataset.split(str(path), x, y, random_fifth(y, rng), classes=classes, source=source)


def _encode(
    place: str, values: Array, dtype: npt.DTypeLike
) -> tuple[Targets, tuple[str, ...] | None]:
    """Return what a network learns, and the names of its classes or None, as the type decides.

    `values` has shape (n,) or (n, 1), floats also (n, outputs); `dtype` is that of a regression.
    """
    if not values.size:
        raise DataError(f"{place} is empty, shape {values.shape}; at least one value is needed")
    kind = values.dtype.kind
    if kind == "f" and values.ndim in (1, 2):
        return _as_dtype(values, dtype).reshape(len(values), -1), None
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


def _as_dtype(values: Array, dtype: npt.DTypeLike) -> Floats:
    """Return a C-ordered copy; what overflows becomes infinity, which `Dataset` refuses."""
    with np.errstate(over="ignore"):
        return values.astype(dtype, order="C")


# ``.npz``


def _read_arrays(path: Path, layouts: Sequence[set[str]] = LAYOUTS) -> dict[str, Array]:
    with reading(path):
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                html = looks_like_html(file.read(512))
            what = HTML if html else "truncated, or not an npz file"
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
        raise DataError(f"{path}: {name} is not an array in NumPy's format")
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
    if rows.dtype == np.uint8:
        return ScaledBytes(rows.astype(np.uint8, copy=False), dtype)
    x = _as_dtype(rows, dtype)
    check_inputs(place, x)
    return x


def _joined(path: Path, y_train: Array, y_test: Array) -> Array:
    if y_train.dtype.kind != y_test.dtype.kind or y_train.shape[1:] != y_test.shape[1:]:
        raise DataError(
            f"{path}: y_train is {y_train.dtype} {y_train.shape}, y_test is {y_test.dtype} "
            f"{y_test.shape}; but for the number of rows they must agree"
        )
    return np.concatenate([y_train, y_test])


# ``.csv``


def _rows(path: Path, min_columns: int = 2) -> Iterator[_Row]:
    """Yield the rows that are not blank, all of one length."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    columns = 0
    try:
        for cells in filter(None, reader):
            place = f"{path}, line {reader.line_num}"
            columns = columns or len(cells)
            if columns < min_columns:
                raise DataError(
                    f"{place}: one column; at least two are needed, a feature and the target, "
                    "separated by commas"
                )
            if len(cells) != columns:
                raise DataError(f"{place}: {len(cells)} cells; the first row has {columns}")
            yield place, cells
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error


def _text(path: Path) -> str:
    with reading(path):
        content = path.read_bytes()
    if looks_like_html(content[:512]):
        raise DataError(f"{path}: {HTML}, not comma-separated values")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text in UTF-8 (byte {error.start})") from error


def _typed(targets: Sequence[tuple[str, str]]) -> Array:
    """Return targets, each with its place, as int64, else float64, else text."""
    cells = [cell for _, cell in targets]
    try:
        return np.array(list(map(int, cells)), dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    if any(map(_is_number, cells)):
        return np.concatenate([_numbers(f"{place}, target", [cell]) for place, cell in targets])
    for place, cell in targets:
        if not cell:
            raise DataError(f"{place}: the target is missing")
    return np.array(cells)


def _numbers(place: str, cells: list[str]) -> npt.NDArray[np.float64]:
    try:
        numbers = np.array(list(map(float, cells)))
    except ValueError:
        numbers = np.array([float(cell) if _is_number(cell) else np.nan for cell in cells])
    finite = np.isfinite(numbers)
    if not finite.all():
        raise DataError(f"{place}: {cells[finite.argmin()]!r} is not a finite number")
    return numbers


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
