"""The clock as compiled code reads it, and programs whose lines are timed as they run."""

import time

from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastnn.kernels.arrays import Integers
from fastnn.kernels.runtime.compiling import compiled
from fastnn.kernels.runtime.intrinsics import Definition, emitter, with_twin
from fastnn.kernels.runtime.program import run_lines

_INT32, _INT64 = ir.IntType(32), ir.IntType(64)


@with_twin(time.perf_counter_ns)
def nanoseconds(typing_context: object) -> Definition:
    """Return what `time.perf_counter_ns` does: C's ``clock_gettime`` with the monotonic clock."""
    kind = ir.FunctionType(_INT32, [_INT32, _INT64.as_pointer()])

    def emit(builder: ir.IRBuilder) -> ir.Value:
        read = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")  # type: ignore[no-untyped-call]
        pair = cgutils.alloca_once(builder, _INT64, size=2)  # type: ignore[no-untyped-call]  # C's timespec: seconds, nanoseconds
        builder.call(read, [ir.Constant(_INT32, time.CLOCK_MONOTONIC), pair])
        seconds = builder.load(pair)
        rest = builder.load(builder.gep(pair, [ir.Constant(_INT64, 1)]))
        return builder.add(builder.mul(seconds, ir.Constant(_INT64, 10**9)), rest)

    return types.int64(), emitter(emit)


@compiled
def run_timed(lines: Integers, watch: Integers, first: int, times: int) -> None:
    """Run the lines of a program as `run_lines` does, and add up how long each of them takes.

    Parameters
    ----------
    lines : ndarray
        As `Program.lines` has them.
    watch : ndarray of int64
        ``watch[0]`` is when the line before ended, in `nanoseconds`, and moves on to the end of
        each line. The time in between is added to the line's own place.
    first : int
        The place of the first line in `watch`, from 1 on; the others follow it.
    times : int

    """
    for _ in range(times):
        for i in range(len(lines)):
            run_lines(lines[i : i + 1], 1)
            ended = nanoseconds()
            watch[first + i] += ended - watch[0]
            watch[0] = ended
