"""Ceilings of the machine: multiply-adds a second, bytes a second.

No matrix product is faster than the *FMA peak*: multiply-adds on vectors, in as many chains as
there are registers for, with nothing loaded or stored. No op on large arrays is faster than memory.

>>> from fastnn.kernels.measuring import ceilings
>>> ceilings.measure(threads=1).peak("float32")  # FLOP/s

Figures are medians of short bursts, with their quartiles. The best burst would not be a better
ceiling: on a processor that changes its clock, no longer work can hold it. What measures for long
therefore measures the peak again in between and keeps the highest median
(`Ceilings.remeasure_peak`).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from fastnn.kernels.interface import DTYPES
from fastnn.kernels.measuring.timing import Spread, Stopwatch, alternate, repeated
from fastnn.kernels.runtime.compiling import compiled, compiled_for
from fastnn.kernels.runtime.hardware import caches, vector_unit
from fastnn.kernels.runtime.intrinsics import Definition, NumbaType, intrinsic
from fastnn.kernels.runtime.threads import MAX_THREADS
from fastnn.kernels.runtime.vectors import POINTER, Vectors, advance, index, phi

BURST_SECONDS = 0.02
BURST_SECONDS_OF_THREADS = 0.1  # since waking them takes up to a millisecond
CALIBRATION_ITERATIONS = 2**15
CALIBRATION_ROUNDS = 5
REMEASURING_ROUNDS = 3
MAX_ARRAY_BYTES = 256 * 2**20


@dataclass
class Ceilings:
    """The ceilings of a number of threads that work together.

    Attributes
    ----------
    threads : int
    float32, float64 : Spread
        FMA peak in FLOP/s; a multiply-add is two operations.
    read, copy : Spread
        Memory bandwidth in bytes/s. A copy counts what it reads and what it writes.
    array_bytes : int
        Size of the arrays that the bandwidth was measured with.

    """

    threads: int
    float32: Spread
    float64: Spread
    read: Spread
    copy: Spread
    array_bytes: int

    def peak(self, dtype: str) -> float:
        """Return the FMA peak in FLOP/s."""
        peak: Spread = getattr(self, dtype)
        return peak.median

    def remeasure_peak(self, dtype: str) -> None:
        """Measure an FMA peak again, in less than a second, and keep the higher one."""
        with Crew(self.threads) as crew:
            later = _peak(np.dtype(dtype), crew, REMEASURING_ROUNDS)
        if later.median > self.peak(dtype):
            setattr(self, dtype, later)


def measure(threads: int, *, rounds: int = 9) -> Ceilings:
    """Measure the ceilings of a number of threads, in a few seconds.

    Parameters
    ----------
    threads : int
    rounds : int
        Bursts of each kind; the median counts.

    Raises
    ------
    ValueError
        There are not that many threads.

    """
    with Crew(threads) as crew:
        float32, float64 = (_peak(dtype, crew, rounds) for dtype in DTYPES)
        array_bytes = min(4 * caches().l3, MAX_ARRAY_BYTES)
        values = np.ones(array_bytes // 8, np.int64)
        parts = np.array_split(values, threads)
        halves = np.array_split(values.reshape(2, -1), threads, axis=1)
        watches = [
            Stopwatch(repeated(lambda: crew.run(_sum, parts)), 0.0),
            Stopwatch(repeated(lambda: crew.run(_copy, halves)), 0.0),
        ]
        (seconds,) = alternate([watches], rounds)
    read, copy = (Spread.of(array_bytes / each) for each in seconds.T)
    return Ceilings(threads, float32, float64, read, copy, array_bytes)


def _peak(dtype: np.dtype[np.floating], crew: "Crew", rounds: int) -> Spread:
    burst = FMABurst(dtype, crew)
    watch = Stopwatch(repeated(burst), 0.0)
    (seconds,) = alternate([[watch]], rounds, settles=crew.threads > 1)
    return Spread.of(burst.flops / seconds)


class Crew:
    """Python threads that do compiled work side by side, outside Python's lock.

    They sleep when there is none, and end with the ``with`` block.

    Parameters
    ----------
    threads : int

    """

    def __init__(self, threads: int) -> None:
        if not 1 <= threads <= MAX_THREADS:
            raise ValueError(f"the number of threads must be 1 to {MAX_THREADS}, not {threads}")
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()

    def run(self, work: Callable[[Any], object], parts: Sequence[Any]) -> None:
        """Call ``work(part)`` for each of as many parts as there are threads."""
        if self.threads == 1:
            work(parts[0])
        else:
            list(self._pool.map(work, parts))


class FMABurst:
    """A call that does nothing but multiply-adds, on each thread of a crew.

    Parameters
    ----------
    dtype : numpy.dtype
        float32 or float64.
    crew : Crew

    Attributes
    ----------
    flops : int
        Floating-point operations of one call.

    """

    def __init__(self, dtype: np.dtype[np.floating], crew: Crew) -> None:
        self._crew = crew
        self._loop = _compile_loop(dtype)
        lanes = vector_unit().width // dtype.itemsize
        values = np.ones((crew.threads, _chains() + 1, lanes), dtype)
        self._addresses = [part.ctypes.data for part in values]
        self._values = values  # keeps the memory at these addresses
        self._iterations = CALIBRATION_ITERATIONS
        (rounds,) = alternate([[Stopwatch(repeated(self), 0.0)]], CALIBRATION_ROUNDS)
        burst = BURST_SECONDS if crew.threads == 1 else BURST_SECONDS_OF_THREADS
        self._iterations = max(1, int(CALIBRATION_ITERATIONS * burst / rounds.min()))
        self.flops = 2 * lanes * _chains() * self._iterations * crew.threads

    def __call__(self) -> None:
        """Do the multiply-adds of one burst."""
        iterations = self._iterations
        loop = self._loop
        self._crew.run(lambda address: loop(address, iterations), self._addresses)


def _chains() -> int:
    """Return the number of independent chains of multiply-adds: all registers but four.

    That is more than the latency of a multiply-add times those that start in a cycle, on any core.
    """
    return vector_unit().registers - 4


@cache
def _compile_loop(dtype: np.dtype[np.floating]) -> Any:  # noqa: ANN401 - Numba's own type
    element = numba.from_dtype(dtype)

    def loop(address: int, iterations: int) -> None:
        _multiply_add(element, address, iterations)

    return compiled_for(types.void(types.intp, types.intp), loop)


@intrinsic
def _multiply_add(
    typing_context: object, element: NumbaType, address: NumbaType, iterations: NumbaType
) -> Definition:
    """Do ``sum = x · x + sum`` on vectors in registers, with x and all sums in memory at `address`.

    The sums are loaded before the loop and stored after it, so that the compiler can neither
    merge two of them nor drop one that nothing uses.
    """

    def generate(context: object, builder: ir.IRBuilder, signature: object, values: Any) -> object:  # noqa: ANN401
        unit = vector_unit()
        itemsize = element.instance_type.bitwidth // 8
        simd = Vectors(builder, element.instance_type, unit.width // itemsize, unit.fused)
        pointer = builder.inttoptr(values[1], POINTER)
        places = [advance(builder, pointer, index(i * unit.width)) for i in range(_chains() + 1)]
        *starts, factor = map(simd.load, places)
        sums = _emit_loop(simd, starts, factor, values[2])
        for value, place in zip(sums, places[:-1], strict=True):
            simd.store(value, place)
        return builder.inttoptr(values[1], POINTER)

    return types.void(element, types.intp, types.intp), generate


def _emit_loop(
    simd: Vectors, starts: list[ir.Value], factor: ir.Value, iterations: ir.Value
) -> list[ir.Value]:
    """Emit the loop, whose sums and counter are phi nodes; return the sums after it."""
    builder = simd.builder
    before = builder.block
    loop = builder.append_basic_block("multiply_add")
    done = builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    left = phi(builder, [before], [iterations])
    sums = [phi(builder, [before], [start]) for start in starts]
    new_sums = [simd.multiply_add(factor, factor, value) for value in sums]
    new_left = builder.sub(left, index(1))
    for old, new in zip([left, *sums], [new_left, *new_sums], strict=True):
        old.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed(">", new_left, index(0)), loop, done)
    builder.position_at_end(done)
    return new_sums


@compiled
def _sum(values: npt.NDArray[np.int64]) -> int:
    """Read an array; of integers, since LLVM vectorizes their additions."""
    total = 0
    for value in values:
        total += value
    return total


def _copy(halves: npt.NDArray[np.int64]) -> None:
    """Copy one half of an array to the other, outside Python's lock as `numpy.copyto` is."""
    np.copyto(halves[0], halves[1])
