"""Arrays as programs need them: aligned to cache lines, and zeros until they are written."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn.kernels.interface import Array

Integers: TypeAlias = npt.NDArray[np.int64]
RandomState: TypeAlias = npt.NDArray[np.uint64]  # [seed, step]

CACHE_LINE = 64  # bytes


def aligned_zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Allocate an array of zeros that starts on a cache line, as vector loads prefer.

    Uninitialized memory would not do: it may hold denormals, which make arithmetic many times as
    slow.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype-like

    Returns
    -------
    ndarray, C-contiguous

    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    buffer = np.zeros(size + CACHE_LINE, np.uint8)
    first = -buffer.ctypes.data % CACHE_LINE
    return buffer[first : first + size].view(dtype).reshape(shape)


def check_numbers(name: str, values: npt.ArrayLike) -> npt.NDArray[np.generic]:
    """Return `values` as an array of real numbers; booleans are 0 and 1.

    Raises
    ------
    ValueError
        They are complex, text, dates or other objects, or some of them are masked.

    """
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked numbers; fill them in first")
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must be real numbers, not {array.dtype}")
    return array
