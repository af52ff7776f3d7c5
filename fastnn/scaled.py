"""Images kept as bytes, which count as numbers from 0 to 1."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.mixins import NDArrayOperatorsMixin

from fastnn.kernels.interface import DTYPES

Bytes = npt.NDArray[np.uint8]
STATISTICS = ("min", "max", "mean", "std")


class ScaledBytes(NDArrayOperatorsMixin):
    """A matrix of bytes that counts as one of floats, each byte divided by 255.

    It takes a quarter of the memory of float32. `fastnn.fit` and `fastnn.evaluate` keep the bytes
    and divide batch by batch, to the same bits as the floats; rows that are taken by a slice, a
    mask or an array of integers stay bytes.

    ``numpy.asarray(x)`` makes the array of floats. Arithmetic, comparisons, NumPy's functions and
    the methods ``min``, ``max``, ``mean`` and ``std`` compute with such a copy; for anything else,
    call ``numpy.asarray`` first.

    Parameters
    ----------
    values : ndarray of uint8, shape (samples, features)
    dtype : {"float32", "float64"}
        Type of the floats.

    Attributes
    ----------
    values, shape, ndim, size
        The bytes, and their shape.
    dtype : numpy.dtype
        Type of the floats.

    """

    def __init__(self, values: Bytes, dtype: npt.DTypeLike = "float32") -> None:
        if values.dtype != np.uint8 or values.ndim != 2:
            raise ValueError(
                f"values must be uint8 of shape (samples, features), "
                f"not {values.dtype} {values.shape}"
            )
        self.values: Bytes = np.ascontiguousarray(values)
        self.dtype = np.dtype(dtype)
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype must be float32 or float64, not {self.dtype}")
        self.shape, self.ndim, self.size = values.shape, values.ndim, values.size

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - of NumPy's many kinds
        chosen = self.values[index]
        rows = isinstance(index, slice | np.ndarray | list) and chosen.ndim == 2
        return ScaledBytes(chosen, self.dtype) if rows else self._floats(chosen)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[np.generic]:
        if copy is False:
            raise ValueError("bytes become floats in a copy, never without one")
        floats: npt.NDArray[np.generic] = self._floats(self.values)
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

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a method of the floats
        if name in STATISTICS:
            return getattr(np.asarray(self), name)
        raise AttributeError(f"ScaledBytes has no {name!r}; numpy.asarray(x) makes an array of it")

    def __repr__(self) -> str:
        return f"ScaledBytes({self.shape[0]} × {self.shape[1]}, as {self.dtype})"

    def as_dtype(self, dtype: npt.DTypeLike) -> "ScaledBytes":
        """Return the same bytes as floats of another type, or these where it is the same."""
        return self if self.dtype == dtype else ScaledBytes(self.values, dtype)

    def _floats(self, values: Any) -> Any:  # noqa: ANN401 - an array or a number
        # A divisor of the wanted dtype makes NumPy convert in small buffers: no copy of the whole.
        return np.divide(values, self.dtype.type(255))
