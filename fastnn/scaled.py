"""Images as they came: bytes, which count as numbers from 0 to 1."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.mixins import NDArrayOperatorsMixin

Bytes = npt.NDArray[np.uint8]


class ScaledBytes(NDArrayOperatorsMixin):
    """An array of bytes that counts as one of floats, each byte divided by 255.

    It takes a quarter of the memory of float32. `fastnn.fit` and `fastnn.evaluate` keep it as it
    is and divide batch by batch, with the same bits. Everything else sees the floats: whatever
    NumPy does with it, and every attribute of an array but those below, is done with a copy in
    floats. Rows that are taken by a slice, a mask or an array of integers stay bytes.

    Parameters
    ----------
    values : ndarray of uint8, shape (samples, features)
    dtype : {"float32", "float64"}
        What the bytes become.

    Attributes
    ----------
    values, dtype, shape, ndim, size
        Of the bytes; the dtype is that of the floats.

    """

    def __init__(self, values: Bytes, dtype: npt.DTypeLike = "float32") -> None:
        if values.dtype != np.uint8 or values.ndim != 2:
            raise ValueError(
                f"values must be uint8 of shape (samples, features), "
                f"not {values.dtype} {values.shape}"
            )
        self.values: Bytes = np.ascontiguousarray(values)
        self.dtype = np.dtype(dtype)
        self.shape, self.ndim, self.size = values.shape, values.ndim, values.size

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - rows, or whatever NumPy gives
        if isinstance(index, slice | np.ndarray | list):
            rows = self.values[index]
            if rows.ndim == 2:
                return ScaledBytes(rows, self.dtype)
        return np.asarray(self)[index]

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[np.generic]:
        if copy is False:
            raise ValueError("bytes become floats in a copy, never without one")
        # A divisor of the wanted dtype makes NumPy convert in small buffers: no copy of the whole.
        floats = np.divide(self.values, self.dtype.type(255))
        return floats if dtype is None else floats.astype(dtype, copy=False)

    def __array_ufunc__(
        self,
        ufunc: np.ufunc,
        method: str,
        *inputs: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        floats = (np.asarray(x) if isinstance(x, ScaledBytes) else x for x in inputs)
        return getattr(ufunc, method)(*floats, **options)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(np.asarray(self), name)

    def __repr__(self) -> str:
        return f"ScaledBytes({self.shape[0]} × {self.shape[1]}, as {self.dtype})"
