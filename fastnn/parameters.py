"""All parameters of a network in one flat vector, and shaped views into it by name.

An update is then one op over the vector, and a checkpoint the views by name. The gradients live
in a second vector of the same layout.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from fastnn.kernels.arrays import aligned_zeros
from fastnn.kernels.interface import Array


class Parameters(Mapping[str, Array]):
    """A read-only mapping from name to array; the arrays themselves are writeable views.

    Parameters
    ----------
    shapes : mapping from str to tuple of int
        Names and shapes, in the order in which the vector holds them.
    dtype : dtype-like

    Attributes
    ----------
    flat : ndarray of shape (size,)
        The one vector behind every view, zeros at first.

    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dtype: npt.DTypeLike) -> None:
        sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
        self.flat: Array = aligned_zeros((sum(sizes.values()),), dtype)
        self._views: dict[str, Array] = {}
        start = 0
        for name, shape in shapes.items():
            self._views[name] = self.flat[start : start + sizes[name]].reshape(shape)
            start += sizes[name]

    def __getitem__(self, name: str) -> Array:
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {view.shape}" for name, view in self.items())
        return f"Parameters({shapes}; {self.flat.size} numbers, {self.flat.dtype})"
