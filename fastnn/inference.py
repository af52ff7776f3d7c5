"""Inference: a network's outputs, with little around the arithmetic."""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fastnn.kernels.interface import Array
from fastnn.plan import Plan

if TYPE_CHECKING:
    from fastnn.network import Sequential

ROWS_AT_ONCE = 1024  # larger inputs are walked through in pieces of this size
SIZES_KEPT = 8

# Reads x[m, n_in], writes out[m, n_out]. False or a TypeError: this is no `x` for it.
Program = Callable[[Array, Array], bool]


class Predictor:
    """Computes the outputs ``[m, n_out]`` of a network for the inputs ``x[m, n_in]``.

    What lies between inputs and outputs is kept from call to call, once for each batch size,
    of which the last few are remembered, and for each Python thread that calls at the same time.
    Where the kernel is a compiled one, `x` is read where it is.

    Parameters
    ----------
    net : Sequential
    batch_size : int, optional
        The only number of rows that is going to come.

    """

    def __init__(self, net: "Sequential", batch_size: int | None = None) -> None:
        self._net, self._kernel = net, net.kernel
        self._dtype, self._n_in, self._n_out = net.dtype, net.n_in, net.n_out
        self.batch_size = batch_size
        # Programs that nobody is running. Threads take them by pop and append, which are atomic.
        self._idle: dict[int, list[Program]] = {}
        self._remembering = Lock()
        if batch_size is not None:
            if batch_size < 1:
                raise ValueError(f"batch_size must be at least 1, not {batch_size}")
            for rows in {min(batch_size, ROWS_AT_ONCE), batch_size % ROWS_AT_ONCE} - {0}:
                self._remember(rows).append(self._plan(rows))

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Return the outputs, a new array.

        Raises
        ------
        ValueError
            `x` has another shape than is needed.

        """
        # The usual case first, without a question: the program refuses what it can't take.
        try:
            rows = self.batch_size or len(x)  # type: ignore[arg-type]
            idle = self._idle[rows]
            program = idle.pop()
        except (TypeError, LookupError):
            return self._call_checked(x)
        out = np.empty((rows, self._n_out), self._dtype)
        try:
            fits = program(x, out)  # type: ignore[arg-type]
        except TypeError:
            fits = False
        idle.append(program)
        return out if fits else self._call_checked(x)

    def _call_checked(self, x: npt.ArrayLike) -> Array:
        # What a program takes: a read-only array, or one at an odd address, is copied.
        inputs = np.require(self._net.check_inputs(x), requirements=["C", "A", "W"])
        rows = len(inputs)
        if self.batch_size is not None and rows != self.batch_size:
            raise ValueError(f"x has {rows} rows; this was compiled for {self.batch_size}")
        out = np.empty((rows, self._n_out), self._dtype)
        for start in range(0, rows, ROWS_AT_ONCE):
            piece = slice(start, start + ROWS_AT_ONCE)
            idle = self._remember(len(out[piece]))
            try:
                program = idle.pop()
            except IndexError:
                program = self._plan(len(out[piece]))
            program(inputs[piece], out[piece])
            idle.append(program)
        return out

    def _remember(self, rows: int) -> list[Program]:
        """Return the idle programs for a number of rows; forget the oldest number for a new one."""
        with self._remembering:
            if rows not in self._idle and len(self._idle) == SIZES_KEPT:
                del self._idle[next(iter(self._idle))]
            return self._idle.setdefault(rows, [])

    def _plan(self, rows: int) -> Program:
        # `between` finds arrays in this table alone, not in those that are run at once.
        plan = Plan(self._kernel, self._dtype, threads=False)
        inputs = plan.empty(rows, self._n_in)
        outputs = self._net.plan_forward(plan, inputs)[-1]
        if plan.table is not None:
            return plan.table.between(inputs, outputs)

        def run(x: Array, out: Array) -> bool:
            if type(x) is not np.ndarray or x.shape != inputs.shape or x.dtype != inputs.dtype:
                return False
            inputs[...] = x
            plan.run()
            out[...] = outputs
            return True

        return run
