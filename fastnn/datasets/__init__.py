"""Data to learn from: in the package, generated, from files, or downloaded on request.

>>> from fastnn import datasets
>>> data = datasets.load("digits")
>>> data.description
'classification, 1,433 training and 364 test samples, 64 features, 10 classes'

"""

import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn.datasets import builtin, mnist
from fastnn.datasets.dataset import FLOATS, DataError, Dataset, Inputs
from fastnn.datasets.downloads import fetch
from fastnn.datasets.files import load_csv, load_csv_features, load_npz, load_npz_features

__all__ = ["DataError", "Dataset", "fetch", "load", "load_features", "names", "summary"]

_Loader: TypeAlias = Callable[[np.dtype, np.random.Generator, Path | None], Dataset]
_Reader: TypeAlias = Callable[[Path, np.dtype, np.random.Generator], Dataset]


class _Named(NamedTuple):
    summary: str
    load: _Loader


_NAMED = {
    "digits": _Named(
        "1,797 handwritten digits of 8 by 8 pixels, in the package",
        lambda dtype, rng, data_dir: builtin.digits(dtype),
    ),
    "mnist": _Named(
        "70,000 handwritten digits of 28 by 28 pixels; to be downloaded",
        lambda dtype, rng, data_dir: mnist.load("mnist", dtype, data_dir),
    ),
    "fashion-mnist": _Named(
        "70,000 pictures of clothes of 28 by 28 pixels; to be downloaded",
        lambda dtype, rng, data_dir: mnist.load("fashion-mnist", dtype, data_dir),
    ),
    "sine": _Named(
        "one period of a sine, to be approximated; generated",
        lambda dtype, rng, data_dir: builtin.sine(dtype),
    ),
    "spirals": _Named(
        "three interleaved spirals, to be classified; generated",
        lambda dtype, rng, data_dir: builtin.spirals(dtype, rng),
    ),
}
_FILES: dict[str, _Reader] = {".npz": load_npz, ".csv": load_csv}


def names() -> tuple[str, ...]:
    """Return the names that `load` takes, besides files."""
    return tuple(_NAMED)


def summary(name: str) -> str:
    """Describe a named data set in one line, without loading it."""
    return _NAMED[name].summary


def load(
    source: str | PathLike[str],
    *,
    data_dir: str | PathLike[str] | None = None,
    dtype: npt.DTypeLike = "float32",
    rng: int | np.random.Generator = 0,
) -> Dataset:
    """Read a data set, never from the network.

    Parameters
    ----------
    source : str or path
        One of `names`, or a file whose name ends in ``.npz`` or ``.csv``.
    data_dir : path, optional
        The only place to look for the files of ``mnist`` and ``fashion-mnist``; an error with
        any other source. Default: where `fetch` puts them, then where a distribution's package
        does.
    dtype : float32 or float64
        Type of the inputs, and of the targets of a regression.
    rng : int or numpy.random.Generator
        A seed or a generator, for ``spirals`` and for the split of files without a test set.

    Raises
    ------
    DataError
        `source` is unknown, its files are missing or damaged, or their content does not meet the
        conditions of `Dataset`.
    ValueError
        `dtype` is neither float32 nor float64.

    """
    dtype = _float_dtype(dtype)
    rng = np.random.default_rng(rng)
    name = os.fspath(source)
    if data_dir is not None and name not in mnist.IDX_DATASETS:
        allowed = ", ".join(mnist.IDX_DATASETS)
        raise DataError(f"{name} is not read from a data directory; only {allowed} are")
    if name in _NAMED:
        return _NAMED[name].load(dtype, rng, None if data_dir is None else Path(data_dir))
    path = Path(source)
    if path.suffix.lower() in _FILES:
        return _FILES[path.suffix.lower()](path, dtype, rng)
    raise DataError(
        f"unknown data {name!r}; allowed are {', '.join(_NAMED)}, "
        f"and files ending in {' or '.join(_FILES)}"
    )


def load_features(
    source: str | PathLike[str], n_features: int, *, dtype: npt.DTypeLike = "float32"
) -> Inputs:
    """Read samples to predict from; the file need not have targets.

    Parameters
    ----------
    source : path
        A ``.csv`` file, where a target may follow the features in each row, or an ``.npz`` file
        with ``x``; of a data set in such a file, ``x_test`` is taken.
    n_features : int
        The number of features that the network has.
    dtype : float32 or float64

    Returns
    -------
    ndarray of shape (n, n_features)

    Raises
    ------
    DataError
        The file is missing, damaged, or has another number of features.

    """
    path, dtype = Path(source), _float_dtype(dtype)
    if path.suffix.lower() == ".csv":
        return load_csv_features(path, n_features, dtype)
    if path.suffix.lower() != ".npz":
        raise DataError(f"{path}: a file ending in {' or '.join(_FILES)} is needed")
    x = load_npz_features(path, dtype)
    if x.shape[1] != n_features:
        raise DataError(f"{path}: {x.shape[1]} features per sample; {n_features} are needed")
    return x


def _float_dtype(dtype: npt.DTypeLike) -> np.dtype:
    refusal = f"dtype {dtype!r} is not allowed; float32 and float64 are"
    try:
        found = np.dtype(dtype)
    except TypeError as error:
        raise ValueError(refusal) from error
    if found not in FLOATS:
        raise ValueError(refusal)
    return found
