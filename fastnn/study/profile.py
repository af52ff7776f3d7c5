"""Where the time of a step goes: line by line, and between the lines.

A line may take less time than Python needs to call it, and is repeated by compiled code. That
is why there is a loop of its own here beside `fastnn.kernels.measuring.timing.Stopwatch`, which calls from Python.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastnn.plan import Call, Plan

ROUNDS = 5


@dataclass(frozen=True)
class Profile:
    """What the calls of a plan took.

    Attributes
    ----------
    calls : tuple of (Call, float)
        Each call and its seconds.
    python : float
        Seconds of the whole list when Python starts it, as the engine ``python`` does.
    compiled : float or None
        Seconds when compiled code repeats it, as the engine ``compiled`` does; None where a
        call is not compiled.

    """

    calls: tuple[tuple[Call, float], ...]
    python: float
    compiled: float | None

    @property
    def python_share(self) -> float | None:
        """The share of a step that Python takes under the engine ``python``."""
        return None if self.compiled is None else max(0.0, 1 - self.compiled / self.python)

    @property
    def product_share(self) -> float:
        """The share of the calls' time that the matrix products take."""
        products = sum(seconds for call, seconds in self.calls if call.flops)
        return products / sum(seconds for _, seconds in self.calls)

    @property
    def amdahl(self) -> float:
        """How many times as fast a step would be if its matrix products took no time.

        No kernel gains more: Amdahl's law, 1 / (1 - `product_share`).
        """
        other = 1 - self.product_share
        return 1 / other if other else math.inf

    def lines(self) -> list[dict[str, Any]]:
        """Return the calls as dictionaries: where each belongs, its work and its seconds."""
        return [
            {
                "part": call.part,
                "layer": call.layer,
                "call": call.name,
                "shapes": call.shapes,
                "flops": call.flops,
                "bytes": call.bytes,
                "seconds": seconds,
            }
            for call, seconds in self.calls
        ]

    def __str__(self) -> str:
        whole = sum(seconds for _, seconds in self.calls)
        rows = [
            f"{call.part:9} {call.layer:12} {call.name:28} {seconds * 1e6:9.2f} µs "
            f"{seconds / whole:6.1%}{_rate(call, seconds)}"
            for call, seconds in self.calls
        ]
        totals = [f"a step from Python {self.python * 1e6:.2f} µs"]
        if self.compiled is not None:
            share = f"{self.python_share:.1%}"
            totals += [f"in compiled code {self.compiled * 1e6:.2f} µs", f"Python's share {share}"]
        return "\n".join([*rows, ", ".join(totals)])


def profile(plan: Plan, seconds: float = 0.5) -> Profile:
    """Run a plan again and again, whole and line by line, and return what took how long.

    Each figure is the least of several rounds. A line is repeated on its own, so that what it
    reads is in the caches; the whole tells what that is worth. It is the plan's own arrays that
    are computed with: a step of a network with a learning rate above 0 trains it.

    Parameters
    ----------
    plan : Plan
        As `Sequential.plan` returns it, say, whose learning rate is 0.
    seconds : float
        About how long it may take; where a step takes longer, each call is made twice.

    """
    plan.run()
    budget = seconds / (2 * ROUNDS)
    table = plan.table
    python = _time(_repeated(plan.run), budget / 2)
    compiled = None if table is None else _time(table.run, budget / 2)
    each = budget / len(plan.calls)
    calls = []
    for number, call in enumerate(plan.calls):
        if table is not None:
            taken = _time(partial(table.run_row, number), each)
        else:
            taken = _time(_repeated(partial(call.function, *call.args)), each)
        calls.append((call, taken))
    return Profile(tuple(calls), python, compiled)


def _rate(call: Call, seconds: float) -> str:
    return f" {call.flops / seconds / 1e9:8.1f} GFLOP/s" if call.flops else ""


def _repeated(function: Callable[[], object]) -> Callable[[int], None]:
    def repeat(times: int) -> None:
        for _ in range(times):
            function()

    return repeat


def _once(repeat: Callable[[int], object]) -> float:
    began = time.perf_counter()
    repeat(1)
    return time.perf_counter() - began


def _time(repeat: Callable[[int], object], budget: float) -> float:
    """Return the seconds of one of many repetitions, the least of some rounds.

    What takes longer than all rounds should is called twice: the first call may be waiting for
    compiled code.
    """
    best = min(_once(repeat), _once(repeat))
    if best > ROUNDS * budget:
        return best
    times = max(1, int(budget / max(best, 1e-9)))
    for _ in range(ROUNDS):
        began = time.perf_counter()
        repeat(times)
        best = min(best, (time.perf_counter() - began) / times)
    return best
