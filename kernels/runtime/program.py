"""A table of calls: what compiled code runs without going through Python in between.

A row is the address of a pass's entrance and that of its record (`fastnn.kernels.runtime.abi`). Nothing is
compiled for a table, however long it is and whatever it computes: the loop over rows is the same
for all.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from fastnn.kernels.interface import Array
from fastnn.kernels.runtime.abi import SLOT
from fastnn.kernels.runtime.compiling import compiled, compiled_for
from fastnn.kernels.runtime.intrinsics import Definition, NumbaType, intrinsic

Integers = npt.NDArray[np.int64]


class Table:
    """Calls of compiled passes, ready to be run.

    Parameters
    ----------
    calls : sequence of (int, tuple)
        The address of an entrance, and the arguments it is called with each time. Arrays are
        read and written where they are; numbers keep the value that they have now.

    """

    def __init__(self, calls: Sequence[tuple[int, Sequence[object]]]) -> None:
        self._arguments = [arguments for _, arguments in calls]  # what the addresses lead to
        records: list[Integers] = []
        self._arrays: list[tuple[int, int]] = []  # the slot of each array, and its address
        starts, end = [], 0
        for arguments in self._arguments:
            starts.append(end)
            for argument in arguments:
                record = _record(argument)
                if isinstance(argument, np.ndarray):
                    self._arrays.append((end, int(record[0])))
                records.append(record)
                end += len(record)
        self._slots: Integers = np.concatenate([*records, np.zeros(0, np.int64)])
        first = self._slots.ctypes.data
        self.rows: Integers = np.array(
            [
                (entrance, first + SLOT * start)
                for (entrance, _), start in zip(calls, starts, strict=True)
            ],
            np.int64,
        ).reshape(-1, 2)
        run_rows(self.rows, 0)  # compiled or loaded now, not by the first step

    def run(self, times: int = 1) -> None:
        """Run all rows from top to bottom, `times` times."""
        run_rows(self.rows, times)

    def run_row(self, number: int, times: int = 1) -> None:
        """Run one row, `times` times."""
        run_rows(self.rows[number : number + 1], times)

    def between(self, inputs: Array, outputs: Array) -> Callable[[Array, Array], bool]:
        """Return a function ``run(x, out)``: this table, with two of its arrays replaced.

        It takes C-contiguous, aligned, writeable arrays of the dtype of `inputs`, and raises
        TypeError for others. If `x` has another shape than `inputs`, nothing is computed, and it
        returns False. It keeps the table for itself: nobody else may run it meanwhile.

        Parameters
        ----------
        inputs, outputs : ndarray
            2-D, and each an argument of a call.

        """
        first = self._slots.ctypes.data
        places = [
            [first + SLOT * slot for slot, address in self._arrays if address == array.ctypes.data]
            for array in (inputs, outputs)
        ]
        header = [*inputs.shape, *map(len, places), len(self.rows)]
        program = np.array([*header, *places[0], *places[1], *self.rows.flat], np.int64)
        run_program = _compile_program(inputs.dtype)

        def run(x: Array, out: Array, table: Table = self) -> bool:
            fits: bool = run_program(program, x, out)
            return fits

        return run


def _record(argument: object) -> Integers:
    """Return the slots of an argument, as `fastnn.kernels.runtime.abi` reads them."""
    if isinstance(argument, np.ndarray):
        return np.array([argument.ctypes.data, *argument.shape, *argument.strides], np.int64)
    slot = np.zeros(1, np.int64)
    number = np.asarray(argument)
    slot.view(number.dtype)[0] = number
    return slot


@intrinsic
def invoke(typing_context: object, address: NumbaType, record: NumbaType) -> Definition:
    """Call the entrance at `address`."""

    def emit(context, builder: ir.IRBuilder, signature: object, operands) -> ir.Value:  # type: ignore[no-untyped-def]  # noqa: ANN001
        function = ir.FunctionType(ir.VoidType(), [ir.IntType(64)])
        builder.call(builder.inttoptr(operands[0], function.as_pointer()), [operands[1]])
        return context.get_dummy_value()

    return types.void(address, record), emit


@intrinsic
def _store(typing_context: object, address: NumbaType, value: NumbaType) -> Definition:
    """Write an integer to `address`."""

    def emit(context, builder: ir.IRBuilder, signature: object, operands) -> ir.Value:  # type: ignore[no-untyped-def]  # noqa: ANN001
        builder.store(operands[1], builder.inttoptr(operands[0], operands[1].type.as_pointer()))
        return context.get_dummy_value()

    return types.void(address, value), emit


@compiled
def run_rows(rows: Integers, times: int) -> None:
    """Run the rows of a table, from top to bottom, `times` times."""
    for _ in range(times):
        for i in range(len(rows)):
            invoke(rows[i, 0], rows[i, 1])


def _run_program(program: Integers, x: Array, out: Array) -> bool:
    """Put the addresses of `x` and `out` where a table has its own, and run its rows."""
    if x.shape[0] != program[0] or x.shape[1] != program[1]:
        return False
    inputs, outputs, rows = program[2], program[3], program[4]
    place = 5
    for _ in range(inputs):
        _store(program[place], x.ctypes.data)
        place += 1
    for _ in range(outputs):
        _store(program[place], out.ctypes.data)
        place += 1
    for _ in range(rows):
        invoke(program[place], program[place + 1])
        place += 2
    return True


@cache
def _compile_program(dtype: np.dtype[np.floating]) -> Callable[[Integers, Array, Array], bool]:
    """Compile `_run_program` for one dtype, and for nothing else that may come."""
    matrix = types.Array(numba.from_dtype(dtype), 2, "C")
    signature = types.boolean(types.Array(types.int64, 1, "C"), matrix, matrix)
    return compiled_for(signature, _run_program)
