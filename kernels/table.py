"""A table of calls: what compiled code runs without going through Python in between.

A row is the address of a pass's entrance and that of its record (`kernels.entrance`). Nothing is
compiled for a table, however long it is and whatever it computes: the loop over rows is the same
for all.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from kernels.compiling import compiled
from kernels.entrance import SLOT
from kernels.interface import Array
from kernels.intrinsics import Definition, NumbaType, intrinsic

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

    def run(self, times: int = 1) -> None:
        """Run all rows from top to bottom, `times` times."""
        run_rows(self.rows, times)

    def between(self, inputs: Array, outputs: Array) -> Callable[[Array, Array], object]:
        """Return a function of other arrays that runs this table in place of these two.

        It keeps the table for itself: nobody else may run it meanwhile, in any thread.

        Parameters
        ----------
        inputs, outputs : ndarray
            C-contiguous, and each an argument of a call.

        """
        first = self._slots.ctypes.data
        places = [
            [first + SLOT * slot for slot, address in self._arrays if address == array.ctypes.data]
            for array in (inputs, outputs)
        ]
        counts = [len(places[0]), len(places[1]), len(self.rows)]
        program = np.array([*counts, *places[0], *places[1], *self.rows.flat], np.int64)

        def run(x: Array, out: Array, program: Integers = program, table: Table = self) -> None:
            run_between(program, x, out)

        return run


def _record(argument: object) -> Integers:
    """Return the slots of an argument, as `kernels.entrance` reads them."""
    if isinstance(argument, np.ndarray):
        return np.array([argument.ctypes.data, *argument.shape, *argument.strides], np.int64)
    slot = np.zeros(1, np.int64)
    number = np.asarray(argument)
    slot.view(number.dtype)[0] = number
    return slot


@intrinsic
def _invoke(typing_context: object, address: NumbaType, record: NumbaType) -> Definition:
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
            _invoke(rows[i, 0], rows[i, 1])


@compiled
def run_between(program: Integers, x: Array, out: Array) -> None:
    """Run a table that reads `x` and writes `out`, see `Table.between`."""
    inputs, outputs, rows = program[0], program[1], program[2]
    place = 3
    for _ in range(inputs):
        _store(program[place], x.ctypes.data)
        place += 1
    for _ in range(outputs):
        _store(program[place], out.ctypes.data)
        place += 1
    for _ in range(rows):
        _invoke(program[place], program[place + 1])
        place += 2
