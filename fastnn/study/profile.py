"""Where the time of a step goes: line by line, and between the lines."""

import math
from copy import copy
from dataclasses import dataclass
from typing import Any

from fastnn.engine import Execution
from fastnn.kernels import get_num_threads
from fastnn.kernels.measuring.timing import Repeat, Spread, Stopwatch, alternate, repeated
from fastnn.plan import Call, Plan

ROUNDS = 5


@dataclass(frozen=True)
class Profile:
    """How long a plan and each of its calls take, in seconds."""

    calls: tuple[tuple[Call, Spread], ...]
    python: Spread  # of a step that Python starts, as the engine ``python`` does
    compiled: Spread | None  # of a step that compiled code repeats; None where it can't

    @property
    def seconds(self) -> float:
        """The time of all calls."""
        return sum(spread.median for _, spread in self.calls)

    @property
    def python_share(self) -> float | None:
        """The share of a step that Python takes under the engine ``python``."""
        if self.compiled is None:
            return None
        return max(0.0, 1 - self.compiled.median / self.python.median)

    @property
    def product_share(self) -> float:
        """The share of the calls' time that the matrix products take."""
        return sum(spread.median for call, spread in self.calls if call.flops) / self.seconds

    @property
    def amdahl(self) -> float:
        """How many times as fast a step would be if its matrix products took no time.

        No kernel gains more: Amdahl's law, 1 / (1 - `product_share`).
        """
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
                "bytes": call.bytes,
                "seconds": spread.median,
            }
            for call, spread in self.calls
        ]

    def __str__(self) -> str:
        rows = []
        for call, spread in self.calls:
            seconds, share = spread.median, spread.median / self.seconds
            rate = f" {call.flops / seconds / 1e9:8.1f} GFLOP/s" if call.flops else ""
            place = f"{call.part:9} {call.layer:12} {call.name:28}"
            rows.append(f"{place} {seconds * 1e6:9.2f} µs {share:6.1%}{rate}")
        totals = f"a step from Python {self.python.median * 1e6:.2f} µs"
        if self.compiled is not None:
            totals += f", in compiled code {self.compiled.median * 1e6:.2f} µs"
            totals += f", Python's share {self.python_share:.1%}"
        return "\n".join([*rows, totals])


def profile(plan: Plan, seconds: float = 0.5) -> Profile:
    """Run a plan again and again, whole and line by line, and return how long each takes.

    A line is repeated on its own, so that the caches hold what it reads; the time of the whole
    step shows how much that saves. The plan computes with its own arrays: a step of a network
    whose learning rate is above 0 trains it.

    Parameters
    ----------
    plan : Plan
        Such as ``net.plan(64)``, whose learning rate is 0.
    seconds : float
        About how long the profile may take. A call is timed once where a step takes longer.

    """
    whole = Execution(plan)
    whole.run()
    steps = [repeated(whole.run), *([whole.program.run] if whole.program else [])]
    reading = seconds / (2 * ROUNDS)
    lines, threads = [_alone(call, plan) for call in plan.calls], get_num_threads()
    watches = [Stopwatch(step, reading / len(steps), threads) for step in steps]
    watches += [Stopwatch(line, reading / len(lines), threads) for line in lines]
    rounds = min(ROUNDS, max(1, int(seconds / sum(watch.cost for watch in watches))))
    (times,) = alternate([watches], rounds)
    python, *spreads = map(Spread.of, times.T)
    compiled = spreads.pop(0) if whole.program else None
    return Profile(tuple(zip(plan.calls, spreads, strict=True)), python, compiled)


def _alone(call: Call, plan: Plan) -> Repeat:
    """Return what repeats a call of a plan, in compiled code where that is possible."""
    part = copy(plan)
    part.calls = [call]
    execution = Execution(part)
    return execution.program.run if execution.program else repeated(execution.run)
