"""Learning-rate schedules: functions of the number of steps taken so far.

An optimizer takes either a number or a schedule as its learning rate.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from fastnn.checks import check_whole

Schedule: TypeAlias = Callable[[int], float]


@dataclass(frozen=True)
class ConstantRate:
    """Keep one learning rate."""

    learning_rate: float

    def __post_init__(self) -> None:
        _check_numbers(self, "learning_rate")

    def __call__(self, step: int) -> float:
        return self.learning_rate


@dataclass(frozen=True)
class StepDecay:
    """Multiply the learning rate by `factor` after every `every` steps."""

    learning_rate: float
    every: int
    factor: float = 0.5

    def __post_init__(self) -> None:
        check_whole("every", self.every, at_least=1)
        _check_numbers(self, "learning_rate", "factor")

    def __call__(self, step: int) -> float:
        return float(self.learning_rate * self.factor ** (step // self.every))


@dataclass(frozen=True)
class CosineDecay:
    """Fall from `learning_rate` to `final` along half a cosine over `steps` steps, then stay there.

    Loshchilov and Hutter, 2017, without the restarts.
    """

    learning_rate: float
    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        check_whole("steps", self.steps, at_least=1)
        _check_numbers(self, "learning_rate", "final")

    def __call__(self, step: int) -> float:
        done = min(step / self.steps, 1.0)
        return self.final + (self.learning_rate - self.final) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class WarmUp:
    """Rise linearly over the first `steps` steps, then follow `then` from its beginning."""

    then: Schedule
    steps: int

    def __post_init__(self) -> None:
        check_whole("steps", self.steps, at_least=1)

    def __call__(self, step: int) -> float:
        if step < self.steps:
            return self.then(0) * (step + 1) / self.steps
        return self.then(step - self.steps)


# The names are those of the command line and of configuration files.
SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": ConstantRate,
    "step": StepDecay,
    "cosine": CosineDecay,
}


def _check_numbers(schedule: Schedule, *names: str) -> None:
    for name in names:
        value = getattr(schedule, name)
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be a finite number of at least 0, not {value!r}")
