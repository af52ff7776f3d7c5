"""Data of one's own, as text: a ``.csv`` file.

Cells are separated by commas; the last column is the target, all others are numbers. A first row
without a number among its features is taken for the header. The target column tells the task
(see `targets`):

- all integers: labels of classes, 0, 1, …;
- otherwise, all numbers: a regression, so write 3.0 where 3 is a quantity;
- no numbers: names of classes.

A fifth of the rows, of each class where there are classes, is the test set, drawn by the seed.
"""

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn.datasets.dataset import Dataset
from fastnn.datasets.errors import HTML, DataError, looks_like_html, reading
from fastnn.datasets.splits import random_fifth
from fastnn.datasets.targets import encode
from fastnn.datasets.validation import Inputs, check_inputs

_Row: TypeAlias = tuple[str, list[str]]  # its file and line, its cells


def load_csv(path: Path, dtype: npt.DTypeLike, rng: np.random.Generator) -> Dataset:
    """Read a CSV file as the module describes."""
    rows = _rows(path, _text(path))
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path}: the file is empty; at least two rows are needed")
    if any(map(_is_number, first[1][:-1])):
        rows = itertools.chain([first], rows)
    features, targets = [], []
    for place, cells in rows:
        with np.errstate(over="ignore"):  # infinity in float32 is refused by the validation
            features.append(_numbers(place, cells[:-1]).astype(dtype))
        targets.append((place, cells[-1].strip()))
    if not features:
        raise DataError(f"{path}: a header without rows; at least two rows are needed")
    x = np.stack(features)
    check_inputs(f"{path}: features", x)
    y, classes = encode(f"{path}: the last column", _typed(targets), dtype)
    source = f"the file {path}"
    return Dataset.split(str(path), x, y, random_fifth(y, rng), classes=classes, source=source)


def load_csv_features(path: Path, n_features: int, dtype: npt.DTypeLike) -> Inputs:
    """Read rows of `n_features` numbers; a target in a last column may follow and is left out."""
    features = []
    for row, (place, cells) in enumerate(_rows(path, _text(path), least=1)):
        if len(cells) not in (n_features, n_features + 1):
            raise DataError(
                f"{place}: {len(cells)} cells; {n_features} features are needed, "
                "after which a target may stand"
            )
        if row or any(map(_is_number, cells[:n_features])):
            with np.errstate(over="ignore"):  # as above
                features.append(_numbers(place, cells[:n_features]).astype(dtype))
    if not features:
        raise DataError(f"{path}: no rows; at least one is needed")
    x = np.stack(features)
    check_inputs(f"{path}: features", x)
    return x


def _text(path: Path) -> str:
    with reading(path):
        content = path.read_bytes()
    if looks_like_html(content[:512]):
        raise DataError(f"{path}: {HTML}, not comma-separated values")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text in UTF-8 (byte {error.start})") from error


def _rows(path: Path, text: str, least: int = 2) -> Iterator[_Row]:
    """Yield the rows that are not blank, all of one length."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns = 0
    try:
        for cells in filter(None, reader):
            place = f"{path}, line {reader.line_num}"
            columns = columns or len(cells)
            if columns < least:
                raise DataError(
                    f"{place}: one column; at least two are needed, a feature and the target, "
                    "separated by commas"
                )
            if len(cells) != columns:
                raise DataError(f"{place}: {len(cells)} cells; the first row has {columns}")
            yield place, cells
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error


def _typed(targets: Sequence[tuple[str, str]]) -> npt.NDArray[np.generic]:
    """Return targets, each with its place, as int64, float64 or text, whichever they all are."""
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
