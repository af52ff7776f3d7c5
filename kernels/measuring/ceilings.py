"""Measured ceilings of the machine: multiply-adds a second, bytes a second, caches.

No matrix product is faster than the *FMA peak*: multiply-adds on vectors, as many chains of
them as there are registers for, and nothing loaded or stored. No pass over large arrays is
faster than the memory.

>>> from fastnn.kernels.measuring import ceilings
>>> ceilings.measure().ceilings[0].float32.median  # FLOP/s

Figures are medians of short bursts, with their quartiles. The best burst would be no better a
ceiling: on a processor that changes its clock it is one that no longer work can hold. What lasts
long measures the peak again in between, and takes the highest median (`measure_again`).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from fastnn.kernels.gemm.blocksizes import Caches, caches, vector_unit
from fastnn.kernels.interface import DTYPES
from fastnn.kernels.measuring.timing import Spread, Stopwatch, alternate
from fastnn.kernels.runtime.compiling import compiled, compiled_for
from fastnn.kernels.runtime.intrinsics import Definition, NumbaType, intrinsic
from fastnn.kernels.runtime.threads import MAX_THREADS
from fastnn.kernels.runtime.vectors import POINTER, Vectors, advance, index, phi

BURST = 0.02  # seconds
BURST_OF_THREADS = 0.1  # since waking them takes up to a millisecond
ROUNDS_AGAIN = 3
MOST_BYTES = 256 * 2**20  # for the arrays that the memory is measured with
_CALIBRATION = 2**15  # iterations


@dataclass(frozen=True)
class Ceilings:
    """What some threads do together at best.

    Attributes
    ----------
    threads : int
    float32, float64 : Spread
        FMA peak in FLOP/s; a multiply-add is two operations.
    read, copy : Spread
        Memory bandwidth in bytes/s. A copy counts what it reads and what it writes.

    """

    threads: int
    float32: Spread
    float64: Spread
    read: Spread
    copy: Spread


@dataclass(frozen=True)
class Machine:
    """The ceilings of this machine.

    Attributes
    ----------
    vector_unit : str
        The instruction set that Numba compiles for.
    caches : Caches
        Sizes in bytes.
    memory : int
        Bytes of the arrays that the bandwidth was measured with.
    ceilings : tuple of Ceilings
        One for each number of threads.

    """

    vector_unit: str
    caches: Caches
    memory: int
    ceilings: tuple[Ceilings, ...]


def measure(threads: Sequence[int] = (), *, rounds: int = 9) -> Machine:
    """Measure the ceilings; takes a few seconds.

    Parameters
    ----------
    threads : sequence of int, optional
        Numbers of threads; 1 and all there are without.
    rounds : int
        Bursts of each kind; the median counts.

    Raises
    ------
    ValueError
        A number of threads is outside of 1 to all there are.

    """
    numbers = tuple(threads) or tuple(sorted({1, MAX_THREADS}))
    memory = min(4 * caches().l3, MOST_BYTES)
    ceilings = tuple(_ceilings(number, memory, rounds) for number in numbers)
    return Machine(vector_unit().name, caches(), memory, ceilings)


def measure_again(machine: Machine, dtype: str) -> Machine:
    """Measure the FMA peaks once more, less than a second each, and keep the faster ones.

    A processor changes its clock: what is measured later may be above an earlier peak.

    Parameters
    ----------
    machine : Machine
    dtype : str
        float32 or float64: the peaks that are measured.

    """

    def faster(ceilings: Ceilings) -> Ceilings:
        peaks = _peak(dtype, ceilings.threads), getattr(ceilings, dtype)
        return replace(ceilings, **{dtype: max(peaks, key=lambda peak: peak.median)})

    return replace(machine, ceilings=tuple(map(faster, machine.ceilings)))


def _peak(dtype: str, threads: int) -> Spread:
    with Crew(threads) as crew:
        burst = FMABurst(np.dtype(dtype), crew)
        watch = Stopwatch(burst, 0.0)
        (seconds,) = alternate([[watch]], ROUNDS_AGAIN, settles=threads > 1)
    return Spread.of(burst.flops / seconds)


def _ceilings(threads: int, memory: int, rounds: int) -> Ceilings:
    with Crew(threads) as crew:
        bursts = [FMABurst(dtype, crew) for dtype in DTYPES]
        watches = [Stopwatch(burst, 0.0) for burst in bursts]
        works = [burst.flops for burst in bursts]
        (seconds,) = alternate([watches], rounds)
        values = np.ones(memory // 8, np.int64)
        parts = np.array_split(values, threads)
        reading = Stopwatch(lambda: crew.run(_sum, parts), 0.0)
        halves = np.array_split(values.reshape(2, -1), threads, axis=1)
        copying = Stopwatch(lambda: crew.run(_copy, halves), 0.0)
        (memory_seconds,) = alternate([[reading, copying]], rounds)
    rates = [Spread.of(work / each) for work, each in zip(works, seconds.T, strict=True)]
    return Ceilings(threads, *rates, *(Spread.of(memory / each) for each in memory_seconds.T))


class Crew:
    """Python threads that do compiled work side by side, outside of Python's lock.

    They sleep while there is none. With ``with``, they end at its end.

    Parameters
    ----------
    threads : int

    """

    def __init__(self, threads: int) -> None:
        if not 1 <= threads <= MAX_THREADS:
            raise ValueError(f"{threads} threads were asked for; 1 to {MAX_THREADS} are allowed")
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()

    def run(self, work: Callable[[Any], object], parts: Sequence[Any]) -> None:
        """Call ``work(part)`` for each part, of which there are as many as threads."""
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
        Operations of one call.

    """

    def __init__(self, dtype: np.dtype[np.floating], crew: Crew) -> None:
        self._crew = crew
        self._loop = _compile_loop(dtype)
        lanes = vector_unit().width // dtype.itemsize
        values = np.ones((crew.threads, _sums() + 1, lanes), dtype)
        self._addresses = [part.ctypes.data for part in values]
        self._values = values  # keeps what the addresses point to
        self._iterations = _CALIBRATION
        seconds = alternate([[Stopwatch(self, 0.0)]], 5)[0].min()
        burst = BURST if crew.threads == 1 else BURST_OF_THREADS
        self._iterations = max(1, int(_CALIBRATION * burst / seconds))
        self.flops = 2 * lanes * _sums() * self._iterations * crew.threads

    def __call__(self) -> None:
        """Do the multiply-adds of one burst."""
        iterations = self._iterations
        loop = self._loop
        self._crew.run(lambda address: loop(address, iterations), self._addresses)


def _sums() -> int:
    """Return how many chains of multiply-adds there are: all registers but a few.

    They are more than any processor's latency times the multiply-adds it begins in a cycle.
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
    """Do ``sum = x · y + sum`` on vectors in registers.

    At `address` lie the sums and, behind them, the vector that is x and y. They come from memory
    and go back there, so that the compiler takes no two sums for the same and none for useless.
    """

    def generate(context: object, builder: ir.IRBuilder, signature: object, values: Any) -> object:  # noqa: ANN401
        unit = vector_unit()
        itemsize = element.instance_type.bitwidth // 8
        simd = Vectors(builder, element.instance_type, unit.width // itemsize, unit.fused)
        pointer = builder.inttoptr(values[1], POINTER)
        places = [advance(builder, pointer, index(i * unit.width)) for i in range(_sums() + 1)]
        *starts, factor = map(simd.load, places)
        sums = _emit_loop(simd, starts, factor, values[2])
        for value, place in zip(sums, places[:-1], strict=True):
            simd.store(value, place)
        return builder.inttoptr(values[1], POINTER)

    return types.void(element, types.intp, types.intp), generate


def _emit_loop(
    simd: Vectors, starts: list[ir.Value], factor: ir.Value, iterations: ir.Value
) -> list[ir.Value]:
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
    """Read an array; integers, since their additions can be made vectors of."""
    total = 0
    for value in values:
        total += value
    return total


def _copy(halves: npt.NDArray[np.int64]) -> None:
    np.copyto(halves[0], halves[1])  # which is outside of Python's lock
