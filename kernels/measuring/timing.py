"""How things are timed here: in turns, in one process, and what counts is the median.

A slow moment of the machine is to meet all that is compared alike, so they take turns, round
after round; a ratio is formed within a round, and its median taken over the rounds.

Threads need more care. Those that a library leaves behind do not sleep at once but wait for
more work in a loop, OpenBLAS's for a tenth of a second, and would take the cores from whatever
has the next turn. Hence `settle` before each turn; a process for each library would gain
nothing, since threads wait there as long. Those that are woken then may start on the core of
whoever woke them, and share it until the system moves one of them, milliseconds later. What is
timed is a steady stream of calls, as a training is, so a `Stopwatch` waits for that too. So
that all this does not add up, one turn covers many calls.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Watch: TypeAlias = Callable[[], float]  # does something; returns the seconds that count
Seconds: TypeAlias = npt.NDArray[np.float64]

SHORT = 0.02  # seconds; to wake threads is nothing beside a longer call
PATIENCE = 0.01  # seconds
STEADY = 1.5  # times the quickest call
NAP = 0.005  # seconds
MOST_NAPS = 200


@dataclass(frozen=True)
class Spread:
    """A median and the quartiles below and above: the middle half of what was measured."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: npt.ArrayLike) -> "Spread":
        """Return the quartiles of `values`, of which there is at least one."""
        low, median, high = np.quantile(np.asarray(values, np.float64), (0.25, 0.5, 0.75))
        return cls(float(low), float(median), float(high))

    @property
    def width(self) -> float:
        """How wide the middle half is, relative to the median."""
        return (self.high - self.low) / self.median


class Stopwatch:
    """Times a call in a steady stream of such calls.

    Parameters
    ----------
    call : callable
        Without arguments, compiled. It is called a few times at once, to see how long it takes.
    seconds : float
        About how long one reading is to last; many calls in a row where one is shorter.
    threads : int
        That the call may use, and that may have to be woken.

    Attributes
    ----------
    repeats : int
        Calls in a row.
    cost : float
        Seconds that a reading takes.

    """

    def __init__(self, call: Callable[[], object], seconds: float, threads: int = 1) -> None:
        self._call = call
        self._patience = PATIENCE if threads > 1 else 0.0
        self._once = self._read(1)
        self._warms = self._once < SHORT
        if self._warms:
            deadline = time.perf_counter() + self._patience
            self._once = min(self._once, self._read(1), self._read(1))
            while time.perf_counter() < deadline:
                self._once = min(self._once, self._read(1))
        self.repeats = max(1, int(seconds / max(self._once, 1e-9)))
        self.cost = self._once * (self.repeats + self._warms)

    def __call__(self) -> float:
        """Return the seconds of a call, a mean over those in a row."""
        if self._warms:
            self._warm()
        return self._read(self.repeats)

    def _warm(self) -> None:
        """Call until it takes about as long as it can, but do not wait for that too long."""
        deadline = time.perf_counter() + self._patience
        while self._read(1) > STEADY * self._once and time.perf_counter() < deadline:
            pass

    def _read(self, repeats: int) -> float:
        call = self._call
        began = time.perf_counter()
        for _ in range(repeats):
            call()
        return (time.perf_counter() - began) / repeats


def settle() -> None:
    """Sleep until the threads of this process do too, but no longer than a second."""
    for _ in range(MOST_NAPS):
        before = time.process_time()
        time.sleep(NAP)
        if time.process_time() - before < NAP / 10:
            return


def rounds_within(seconds: float, one: float, *, least: int, most: int = 101) -> int:
    """Return how many rounds of `one` second each fit into `seconds`, within limits."""
    return min(max(int(seconds / max(one, 1e-9)), least), most)


def alternate(
    parties: Sequence[Sequence[Watch]],
    rounds: int,
    *,
    settles: bool = False,
    begins: Callable[[int], object] = lambda party: None,
) -> list[Seconds]:
    """Read the watches of all parties, in turns.

    Parameters
    ----------
    parties : sequence of sequences of callables
        What is compared. In its turn a party's watches are read one after the other.
    rounds : int
        How often each party has its turn.
    settles : bool
        Whether to `settle` before each turn, as is needed where there are threads.
    begins : callable, optional
        Is told the number of the party before each of its turns.

    Returns
    -------
    list of ndarray of shape (rounds, watches)
        For each party what its watches said, in seconds.

    """
    seconds = [np.empty((rounds, len(watches))) for watches in parties]
    for turn in range(rounds):
        for party, watches in enumerate(parties):
            begins(party)
            if settles:
                settle()
            seconds[party][turn] = [watch() for watch in watches]
    return seconds


@dataclass(frozen=True)
class Case:
    """Calls to compare with each other, and what to call them together.

    Attributes
    ----------
    name : str
    calls : sequence of callables
        Without arguments; the first is what is measured, the others what it is measured by.

    """

    name: str
    calls: Sequence[Callable[[], object]]


def measure(
    cases: Sequence[Case], seconds: float, *, threads: int, least: int = 7
) -> list[Seconds]:
    """Time the calls of some cases against each other.

    Parameters
    ----------
    cases : sequence of Case
        All of one number of calls.
    seconds : float
        About how long to take for a case.
    threads : int
        That calls may use. On one, calls take turns; on more, whole turns have all cases.
    least : int
        How many rounds there are even if they take longer.

    Returns
    -------
    list of ndarray of shape (rounds, calls)
        For each case the seconds of its calls.

    """
    if threads == 1:
        return [_measure([case], seconds, threads, least)[0] for case in cases]
    return _measure(cases, seconds * len(cases), threads, least)


def _measure(cases: Sequence[Case], seconds: float, threads: int, least: int) -> list[Seconds]:
    reading = 2e-4 if threads == 1 else 2e-3
    parties = [
        [Stopwatch(call, reading, threads) for call in calls]
        for calls in zip(*(case.calls for case in cases), strict=True)
    ]
    cost = sum(watch.cost for watches in parties for watch in watches)
    rounds = rounds_within(seconds, cost, least=least)
    turns = alternate(parties, rounds, settles=threads > 1)
    return [np.stack([party[:, number] for party in turns], axis=1) for number in range(len(cases))]
