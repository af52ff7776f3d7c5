"""Inference: a network's outputs, with little around the arithmetic."""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fastnn.plan import Plan
from kernels.interface import Array

if TYPE_CHECKING:
    from fastnn.network import Sequential

ROWS_AT_ONCE = 1024  # larger inputs are walked through in pieces of this size
SIZES_KEPT = 8

Program = Callable[[Array, Array], object]  # reads x[m, n_in], writes out[m, n_out]


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
            rest = batch_size % ROWS_AT_ONCE
            for rows in {min(batch_size, ROWS_AT_ONCE), rest or ROWS_AT_ONCE}:
                self._remember(rows).append(self._plan(rows))

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Return the outputs, a new array.

        Raises
        ------
        ValueError
            `x` has another shape than is needed.

        """
        if not (
            type(x) is np.ndarray
            and x.dtype is self._dtype
            and x.ndim == 2
            and x.shape[1] == self._n_in
            and x.flags.c_contiguous
        ):
            x = self._net.check_inputs(x)
        rows = len(x)
        if self.batch_size is not None and rows != self.batch_size:
            raise ValueError(f"x has {rows} rows; this was compiled for {self.batch_size}")
        out = np.empty((rows, self._n_out), self._dtype)
        if 0 < rows <= ROWS_AT_ONCE:
            self._run(rows, x, out)
        else:
            for start in range(0, rows, ROWS_AT_ONCE):
                piece = slice(start, start + ROWS_AT_ONCE)
                self._run(len(out[piece]), x[piece], out[piece])
        return out

    def _run(self, rows: int, x: Array, out: Array) -> None:
        idle = self._idle.get(rows)
        if idle is None:
            idle = self._remember(rows)
        try:
            program = idle.pop()
        except IndexError:
            program = self._plan(rows)
        program(x, out)
        idle.append(program)

    def _remember(self, rows: int) -> list[Program]:
        with self._remembering:
            if len(self._idle) == SIZES_KEPT:
                del self._idle[next(iter(self._idle))]
            return self._idle.setdefault(rows, [])

    def _plan(self, rows: int) -> Program:
        plan = Plan(self._kernel, self._dtype)
        inputs = plan.empty(rows, self._n_in)
        outputs = self._net.plan_forward(plan, inputs)[-1]
        if plan.table is not None:
            return plan.table.between(inputs, outputs)

        def run(x: Array, out: Array) -> None:
            inputs[...] = x
            plan.run()
            out[...] = outputs

        return run
