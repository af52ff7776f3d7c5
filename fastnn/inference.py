"""Inference: a network's outputs, with little overhead around the arithmetic."""

from collections.abc import Callable
from threading import Lock

import numpy as np
import numpy.typing as npt

from fastnn.checks import check_whole
from fastnn.data import check_inputs
from fastnn.engine import Bound
from fastnn.kernels.interface import Array

MAX_ROWS_AT_ONCE = 1024  # larger inputs are walked through in pieces of this size
SIZES_KEPT = 8


class Predictor:
    """Computes the outputs ``[m, n_out]`` of a network for the inputs ``x[m, n_in]``.

    What lies between inputs and outputs is kept from call to call, once for each batch size,
    of which the last few are remembered, and for each Python thread that calls at the same time.
    Where the kernel is a compiled one, `x` is read where it is.

    Parameters
    ----------
    prepare : callable
        Takes a number of rows, and returns what computes the outputs for them.
    n_in, n_out : int
    dtype : numpy.dtype
    batch_size : int, optional
        The only number of rows that is going to come.

    """

    def __init__(
        self,
        prepare: Callable[[int], Bound],
        n_in: int,
        n_out: int,
        dtype: np.dtype[np.floating],
        batch_size: int | None = None,
    ) -> None:
        self._prepare = prepare
        self._n_in, self._n_out, self._dtype = n_in, n_out, dtype
        self.batch_size = batch_size
        # What is not running at present. Threads use pop and append, which are atomic.
        self._idle: dict[int, list[Bound]] = {}
        self._remembering = Lock()
        if batch_size is not None:
            self.batch_size = batch_size = check_whole("batch_size", batch_size, at_least=1)
            for rows in {min(batch_size, MAX_ROWS_AT_ONCE), batch_size % MAX_ROWS_AT_ONCE} - {0}:
                self._remember(rows).append(prepare(rows))

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Return the outputs, a new array.

        Raises
        ------
        ValueError
            The shape of `x` does not fit.

        """
        # Numba would take a masked array for its numbers; and numbers in another order of bytes
        # once for native ones, it takes later arrays for something else.
        if type(x) is not np.ndarray or x.dtype is not self._dtype:
            return self._call_checked(x)
        # The usual case first, unchecked: a bound function refuses what it can't take.
        try:
            rows = self.batch_size or len(x)
            idle = self._idle[rows]
            run = idle.pop()
        except (TypeError, LookupError):
            return self._call_checked(x)
        out = np.empty((rows, self._n_out), self._dtype)
        try:
            fits = run(x, out)
        except TypeError:
            fits = False
        idle.append(run)
        return out if fits else self._call_checked(x)

    def _call_checked(self, x: npt.ArrayLike) -> Array:
        # What a program takes: a read-only array, or one at an odd address, is copied.
        inputs = check_inputs(x, self._n_in, self._dtype)
        inputs = np.require(inputs, requirements=["C", "A", "W"])
        rows = len(inputs)
        if self.batch_size is not None and rows != self.batch_size:
            raise ValueError(f"x has {rows} rows; this predictor takes {self.batch_size}")
        out = np.empty((rows, self._n_out), self._dtype)
        for start in range(0, rows, MAX_ROWS_AT_ONCE):
            piece = slice(start, start + MAX_ROWS_AT_ONCE)
            idle = self._remember(len(out[piece]))
            try:
                run = idle.pop()
            except IndexError:
                run = self._prepare(len(out[piece]))
            run(inputs[piece], out[piece])
            idle.append(run)
        return out

    def _remember(self, rows: int) -> list[Bound]:
        """Return what is idle for a number of rows; forget the oldest number for a new one."""
        with self._remembering:
            if rows not in self._idle and len(self._idle) == SIZES_KEPT:
                del self._idle[next(iter(self._idle))]
            return self._idle.setdefault(rows, [])
