"""Where the time of a step goes: line by line, as the steps of a training run."""

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from time import perf_counter_ns
from typing import Any

import numpy as np

from fastnn.engine import Execution
from fastnn.formats import NOTHING, duration, percent
from fastnn.kernels import get_num_threads
from fastnn.kernels.arrays import Integers
from fastnn.kernels.measuring.clock import run_timed
from fastnn.kernels.measuring.timing import MAX_ROUNDS, Spread, Stopwatch, repeated
from fastnn.kernels.runtime.denormals import flushed
from fastnn.plan import Call, Plan
from fastnn.study import denormals_mode

MIN_ROUNDS = 5  # where a step is quick enough
MAX_STEPS = 128  # of a reading: more of them on the same samples, and gradients begin to fade
MAX_GAP = 0.25  # between the sum of the lines and a step, relative to the step


@dataclass(frozen=True)
class Profile:
    """How long a plan and each of its calls take, in seconds."""

    calls: tuple[tuple[Call, Spread], ...]
    python: Spread  # of a step that Python starts, as the engine ``python`` does
    compiled: Spread | None  # of a step that compiled code repeats; None where it can't
    flush_denormals: bool = True  # whether they were

    @property
    def seconds(self) -> float:
        """The time of all calls."""
        return sum(spread.median for _, spread in self.calls)

    @property
    def step(self) -> float:
        """The time of a step that nothing interrupts, which that of all calls should be."""
        return (self.compiled or self.python).median

    @property
    def doubt(self) -> str | None:
        """Why nothing follows from the calls: their sum is not the time of a step."""
        if abs(self.seconds - self.step) <= MAX_GAP * self.step:
            return None
        return (
            f"the lines add up to {duration(self.seconds)}, a step takes {duration(self.step)}: "
            "no shares are given"
        )

    @property
    def python_share(self) -> float | None:
        """The share of a step that Python takes under the engine ``python``."""
        if self.compiled is None:
            return None
        return max(0.0, 1 - self.compiled.median / self.python.median)

    @property
    def product_share(self) -> float | None:
        """The share of the calls' time that the matrix products take; None where in `doubt`."""
        if self.doubt:
            return None
        return sum(spread.median for call, spread in self.calls if call.flops) / self.seconds

    @property
    def amdahl(self) -> float | None:
        """How many times as fast a step would be if its matrix products took no time.

        No kernel gains more: Amdahl's law, 1 / (1 - `product_share`). None where in `doubt`.
        """
        if self.product_share is None:
            return None
        other = 1 - self.product_share
        return 1 / other if other else math.inf

    def lines(self) -> list[dict[str, Any]]:
        """Return for each call where it belongs, its work, and its median in seconds."""
        return [
            {
                "part": call.part,
                "layer": call.layer,
                "call": call.name,
                "shapes": call.shapes,
                "flops": call.flops,
                "bytes": _bytes(call),
                "seconds": spread.median,
            }
            for call, spread in self.calls
        ]

    def __str__(self) -> str:
        rows = []
        for call, spread in self.calls:
            seconds = spread.median
            share = NOTHING if self.doubt else percent(seconds / self.seconds)
            rate = f" {call.flops / seconds / 1e9:8.1f} GFLOP/s" if call.flops else ""
            place = f"{call.part:9} {call.layer:12} {call.name:28}"
            rows.append(f"{place} {seconds * 1e6:9.2f} µs {share:>6}{rate}")
        totals = f"a step from Python {self.python.median * 1e6:.2f} µs"
        if self.compiled is not None:
            totals += f", in compiled code {self.compiled.median * 1e6:.2f} µs"
            totals += f", Python's share {percent(self.python_share or 0.0)}"
        totals += f"; {denormals_mode(self.flush_denormals)}"
        return "\n".join([*rows, totals, *([self.doubt] if self.doubt else [])])


def profile(
    plan: Plan,
    seconds: float = 0.5,
    *,
    max_steps: int = MAX_STEPS,
    flush_denormals: bool = True,
) -> Profile:
    """Run steps of a plan, time them and each of their calls, and return how long these take.

    Calls are timed where they stand: the clock is read after each, while steps follow one another
    as in training. So a call finds its arrays, the caches and the threads as the call before it
    has left them, and none is repeated in place. What steps change, such as weights, is put back
    before each reading and in the end.

    Parameters
    ----------
    plan : Plan
        Such as ``net.plan(64)``.
    seconds : float
        About how long the profile may take. A step that takes longer is timed once.
    max_steps : int
        The most steps in a row, such as a plan has batches for.
    flush_denormals : bool
        Take numbers below the smallest normal one as 0, as networks do by default.

    """
    whole, timed = Execution(plan), _TimedCalls(plan)
    repeats = [repeated(whole.run), *([whole.program.run] if whole.program else []), timed.run]
    reading = seconds / (len(repeats) * MIN_ROUNDS)
    steps, calls = [], []
    with flushed(flush_denormals):
        changes = _Changes(plan, whole.run)
        watch = partial(
            Stopwatch, threads=get_num_threads(), max_repeats=max_steps, prepare=changes.undo
        )
        try:
            watches = [watch(repeat, reading) for repeat in repeats]
            rounds = int(seconds / sum(each.cost for each in watches))
            for _ in range(min(max(rounds, 1), MAX_ROUNDS)):
                steps.append([each() for each in watches])
                calls.append(timed.totals / (1e9 * watches[-1].repeats))
        finally:
            changes.undo()
    python, *others = map(Spread.of, np.transpose(steps))
    spreads = map(Spread.of, np.transpose(calls))
    return Profile(
        tuple(zip(plan.calls, spreads, strict=True)),
        python,
        others[0] if whole.program else None,
        flush_denormals,
    )


def _bytes(call: Call) -> int:
    """Return `Call.bytes`; of a data set, as many rows are read as a batch has."""
    if call.part != "batch":
        return call.bytes
    return sum(arg[: len(call.out)].nbytes for arg in call.args if isinstance(arg, np.ndarray))


class _Changes:
    """The arrays that a step changes, as they were before it."""

    def __init__(self, plan: Plan, step: Callable[[], object]) -> None:
        arrays = [a for call in plan.calls for a in call.args if isinstance(a, np.ndarray)]
        each = {id(array): (array, array.copy()) for array in arrays}.values()
        step()
        self._before = [(array, kept) for array, kept in each if not np.array_equal(array, kept)]

    def undo(self) -> None:
        for array, kept in self._before:
            array[...] = kept


class _TimedCalls:
    """A plan that reads the clock after each of its calls."""

    def __init__(self, plan: Plan) -> None:
        self._watch: Integers = np.zeros(1 + len(plan.calls), np.int64)  # as `run_timed` has it
        self._calls = [_alone(call, plan) for call in plan.calls]
        # What runs, and at what place of the watch, where it does not keep the time by itself.
        self._parts: list[tuple[Callable[[], object], int | None]] = []
        self._lines: Integers | None = None  # of a plan that is compiled
        places = enumerate(self._calls, 1)
        for is_compiled, group in groupby(places, lambda pair: pair[1].program is not None):
            calls = list(group)
            first, _ = calls[0]
            if is_compiled:
                lines = np.concatenate([call.program.lines for _, call in calls if call.program])
                run_timed(lines, self._watch, first, 0)  # compiled or loaded now
                self._parts.append((partial(run_timed, lines, self._watch, first, 1), None))
                self._lines = lines if len(lines) == len(self._calls) else None
            else:
                self._parts += [(call.run, place) for place, call in calls]

    @property
    def totals(self) -> Integers:
        """Nanoseconds of each call in the last run, each from the end of the call before it."""
        return self._watch[1:]

    def run(self, times: int) -> None:
        """Run some steps."""
        self._watch.fill(0)
        watch = self._watch.data  # quicker than NumPy at single numbers
        watch[0] = perf_counter_ns()
        if self._lines is not None:
            run_timed(self._lines, self._watch, 1, times)
            return
        for _ in range(times):
            for run, place in self._parts:
                run()
                if place is not None:
                    ended = perf_counter_ns()
                    watch[place] += ended - watch[0]
                    watch[0] = ended


def _alone(call: Call, plan: Plan) -> Execution:
    """Return a call of a plan, ready to run."""
    part = copy(plan)
    part.calls = [call]
    return Execution(part)
