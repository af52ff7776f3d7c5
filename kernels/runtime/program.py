"""A program: a list of compiled ops, which runs without going through Python in between.

A line of it is the address of an op's entry point and that of its argument record
(`fastnn.kernels.runtime.abi`). Nothing is compiled for a program, however long it is and whatever
it computes: the loop over its lines is the same for all.

An op on large matrices takes as many threads as the products around it, which have left each part
of the rows in the cache of one core. It is cut into calls of the same entry point for parts of the
rows, and these are a program too, which one line of the other runs side by side.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numba
import numpy as np
from llvmlite import ir
from numba import njit, prange, types

from fastnn.kernels.arrays import Integers
from fastnn.kernels.interface import Array
from fastnn.kernels.runtime.abi import SLOT, entry_point, record
from fastnn.kernels.runtime.compiling import compiled, compiled_for
from fastnn.kernels.runtime.denormals import (
    exchange_mode,
    flush_to_zero,
    leave_worker,
    read_mode,
    restore_mode,
)
from fastnn.kernels.runtime.intrinsics import Definition, NumbaType, intrinsic
from fastnn.kernels.runtime.threads import (
    get_numba_threads,
    load_threads,
    number_of_threads,
    set_numba_threads,
)

Line = tuple[int, Sequence[object]]  # an entry point, and the arguments it is called with


class Program:
    """Calls of compiled ops, ready to be run.

    Parameters
    ----------
    lines : sequence of (int, tuple) or Program
        The address of an entry point, and the arguments it is called with each time. Arrays are
        read and written where they are; numbers keep the value that they have now. The lines of a
        program among them are run side by side, each on a thread of its own, as far as the number
        of threads allows that is set when it runs.

    """

    def __init__(self, lines: "Sequence[Line | Program]") -> None:
        self._kept = [*lines]  # what the addresses lead to
        calls = [_side_by_side(line) if isinstance(line, Program) else line for line in lines]
        records: list[Integers] = []
        self._arrays: list[tuple[int, Array]] = []  # the slot that has the address of an array
        starts, end = [], 0
        for _, arguments in calls:
            starts.append(end)
            for argument in arguments:
                if isinstance(argument, np.ndarray):
                    self._arrays.append((end, argument))
                records.append(record(argument))
                end += len(records[-1])
        self._slots: Integers = np.concatenate([*records, np.zeros(0, np.int64)])
        first = self._slots.ctypes.data
        self.lines: Integers = np.array(
            [
                (address, first + SLOT * start)
                for (address, _), start in zip(calls, starts, strict=True)
            ],
            np.int64,
        ).reshape(-1, 2)
        run_lines(self.lines, 0)  # compiled or loaded now, not by the first step

    def run(self, times: int = 1) -> None:
        """Run all lines from top to bottom, `times` times."""
        run_lines(self.lines, times)

    def run_line(self, number: int, times: int = 1) -> None:
        """Run one line, `times` times."""
        run_lines(self.lines[number : number + 1], times)

    def bind(
        self, inputs: Array, outputs: Array, *, flush_denormals: bool = False
    ) -> Callable[[Array, Array], bool]:
        """Return a function ``run(x, out)``: this program, with two of its arrays replaced.

        Every argument that lies in `inputs` or in `outputs`, whole or a part of it, then lies at
        the same place of `x` or of `out`. The function takes C-contiguous, aligned, writeable
        arrays of the dtype of `inputs`, and raises TypeError for others. If `x` has another shape
        than `inputs`, nothing is computed, and it returns False. Until it returns, the program must
        not be run in any other way.

        Parameters
        ----------
        inputs, outputs : ndarray
            2-D and C-contiguous; neither has memory in common with the other.
        flush_denormals : bool
            See `fastnn.kernels.runtime.denormals`.

        """
        places = [self._places(inputs), self._places(outputs)]
        header = [*inputs.shape, *map(len, places), len(self.lines), int(flush_denormals)]
        numbers = [number for place in places for pair in place for number in pair]
        code = np.array([*header, *numbers, *self.lines.flat], np.int64)
        run_bound = _compile_bound(inputs.dtype)

        def run(x: Array, out: Array, program: Program = self) -> bool:
            fits: bool = run_bound(code, x, out)
            return fits

        return run

    def _places(self, whole: Array) -> list[tuple[int, int]]:
        """Return where addresses within an array are kept, and how far in they lie."""
        first = self._slots.ctypes.data
        offsets = [(slot, part.ctypes.data - whole.ctypes.data) for slot, part in self._arrays]
        return [(first + SLOT * slot, at) for slot, at in offsets if 0 <= at < whole.nbytes]


def _side_by_side(program: Program) -> Line:
    """Return one line that runs those of a program at the same time."""
    load_threads()
    arguments = program.lines, number_of_threads
    address = entry_point(run_lines_side_by_side, arguments)
    assert address is not None
    return address, arguments


@intrinsic
def _call(typing_context: object, address: NumbaType, record: NumbaType) -> Definition:
    """Call the entry point at `address`."""

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
def run_lines(lines: Integers, times: int) -> None:
    """Run the lines of a program, from top to bottom, `times` times."""
    for _ in range(times):
        for i in range(len(lines)):
            _call(lines[i, 0], lines[i, 1])


@njit(parallel=True)
def _launch(lines: Integers) -> None:
    mode = read_mode()
    for i in prange(len(lines)):
        exchange_mode(mode)
        _call(lines[i, 0], lines[i, 1])
        leave_worker()
    restore_mode(mode)


@njit
def run_lines_side_by_side(lines: Integers, threads: Integers) -> None:
    """Run the lines of a program in any order, on at most ``threads[0]`` threads.

    `load_threads` comes before compiling it.
    """
    count = min(threads[0], len(lines))
    if count > 1:
        before = get_numba_threads()
        set_numba_threads(count)
        _launch(lines)
        set_numba_threads(before)
    else:
        for i in range(len(lines)):
            _call(lines[i, 0], lines[i, 1])


def _run_bound(code: Integers, x: Array, out: Array) -> bool:
    """Write the addresses of `x` and `out` into the argument records, and run the lines.

    ``code`` holds the shape of `x`; how many places lead to `x`, and how many to `out`; the number
    of lines; whether denormals are flushed; for each place the address of its slot and how far into
    the array it leads; and the lines.
    """
    if x.shape[0] != code[0] or x.shape[1] != code[1]:
        return False
    inputs, outputs, lines = code[2], code[3], code[4]
    before = flush_to_zero(code[5] != 0)
    at = 6
    for _ in range(inputs):
        _store(code[at], x.ctypes.data + code[at + 1])
        at += 2
    for _ in range(outputs):
        _store(code[at], out.ctypes.data + code[at + 1])
        at += 2
    for _ in range(lines):
        _call(code[at], code[at + 1])
        at += 2
    restore_mode(before)
    return True


@cache
def _compile_bound(dtype: np.dtype[np.floating]) -> Callable[[Integers, Array, Array], bool]:
    """Compile `_run_bound` for arrays of one dtype; any others are a TypeError."""
    matrix = types.Array(numba.from_dtype(dtype), 2, "C")
    signature = types.boolean(types.Array(types.int64, 1, "C"), matrix, matrix)
    return compiled_for(signature, _run_bound)
