"""The one stopwatch of this project, and its one notion of spread.

What is compared takes turns in one process, round after round, so that a slow moment of the
machine meets all of it alike. A ratio is formed within a round; the median over the rounds counts.

Threads need more care:

- Threads that have finished do not sleep at once but wait for more work in a loop, OpenBLAS's for
  a tenth of a second, and take the cores from whatever has the next turn. `settle` waits until
  they sleep. (``python -m benchmarks.turns`` compares this with a process for each party.)
- Threads that have just been woken may share the core of the thread that woke them, until the
  system moves one of them some milliseconds later. A training is a steady stream of calls, so a
  `Stopwatch` waits for that too.

One turn covers many calls, lest these pauses add up.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Call: TypeAlias = Callable[[], object]
Repeat: TypeAlias = Callable[[int], object]  # does something a number of times in a row
Watch: TypeAlias = Callable[[], float]  # does something; returns the seconds that count
FloatArray: TypeAlias = npt.NDArray[np.float64]

LONG_CALL_SECONDS = 0.02  # beside a call this long, waking threads does not count
MAX_WARM_UP_SECONDS = 0.01
MAX_STEADY_RATIO = 1.5  # a call is steady if it takes no longer than this times the quickest
READING_SECONDS = 2e-4  # of a call that is compared with others, on one thread
READING_SECONDS_OF_THREADS = 2e-3
SETTLE_STEP_SECONDS = 0.005
MAX_SETTLE_STEPS = 200
MIN_ROUNDS, MAX_ROUNDS = 3, 101


@dataclass(frozen=True)
class Spread:
    """A median between its quartiles, which enclose the middle half of what was measured."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: npt.ArrayLike) -> "Spread":
        """Return the quartiles of one or more `values`."""
        low, median, high = np.quantile(np.asarray(values, np.float64), (0.25, 0.5, 0.75))
        return cls(float(low), float(median), float(high))

    @property
    def width(self) -> float:
        """The width of the middle half, relative to the median."""
        return (self.high - self.low) / self.median


def repeated(call: Call) -> Repeat:
    """Return a function that makes a call a number of times in a row."""

    def repeat(times: int) -> None:
        for _ in range(times):
            call()

    return repeat


class Stopwatch:
    """Time a call in a steady stream of such calls.

    Parameters
    ----------
    repeat : callable
        Makes the call a number of times, such as ``repeated(call)``; all that it needs has been
        compiled. A few calls are made at once, to see how long they take.
    seconds : float
        About how long one reading lasts: many calls where one is shorter.
    threads : int
        How many threads the call may have to wake.
    max_repeats : int, optional
        The most calls of a reading.
    prepare : callable, optional
        Called before the calls of a reading, and not timed: brings back what they change, such as
        weights.

    Attributes
    ----------
    repeats : int
        Calls of a reading.
    cost : float
        Seconds that a reading takes.

    """

    def __init__(
        self,
        repeat: Repeat,
        seconds: float,
        threads: int = 1,
        *,
        max_repeats: int | None = None,
        prepare: Call = lambda: None,
    ) -> None:
        self._repeat, self._prepare = repeat, prepare
        self._max_warm_up = MAX_WARM_UP_SECONDS if threads > 1 else 0.0
        self._quickest = self._read(1)
        self._warms_up = self._quickest < LONG_CALL_SECONDS
        if self._warms_up:
            deadline = time.perf_counter() + self._max_warm_up
            self._quickest = min(self._quickest, self._read(1), self._read(1))
            while time.perf_counter() < deadline:
                self._quickest = min(self._quickest, self._read(1))
        affordable = max(1, int(seconds / max(self._quickest, 1e-9)))
        self.repeats = min(affordable, max_repeats or affordable)
        self.cost = self._quickest * (self.repeats + self._warms_up)

    def __call__(self) -> float:
        """Return the seconds of a call, as the mean of a reading."""
        if self._warms_up:
            self._warm_up()
        return self._read(self.repeats)

    def _warm_up(self) -> None:
        """Call at least once, and on until a call is steady or the time is up."""
        deadline = time.perf_counter() + self._max_warm_up
        max_seconds = MAX_STEADY_RATIO * self._quickest
        while self._read(1) > max_seconds and time.perf_counter() < deadline:
            pass

    def _read(self, repeats: int) -> float:
        self._prepare()
        began = time.perf_counter()
        self._repeat(repeats)
        return (time.perf_counter() - began) / repeats


def settle() -> None:
    """Sleep until all threads of this process do, for a second at most."""
    for _ in range(MAX_SETTLE_STEPS):
        before = time.process_time()
        time.sleep(SETTLE_STEP_SECONDS)
        if time.process_time() - before < SETTLE_STEP_SECONDS / 10:
            return


def alternate(
    parties: Sequence[Sequence[Watch]],
    rounds: int,
    *,
    settles: bool = False,
    on_turn: Callable[[int], object] = lambda party: None,
) -> list[FloatArray]:
    """Read the watches of all parties, by turns.

    Parameters
    ----------
    parties : sequence of sequences of callables
        What is compared. On its turn a party's watches are read one after the other.
    rounds : int
        How many turns each party has.
    settles : bool
        Whether to `settle` before each turn, as is needed where there are threads.
    on_turn : callable, optional
        Called before each turn with the number of the party.

    Returns
    -------
    list of ndarray of shape (rounds, watches)
        For each party the seconds that its watches read.

    """
    seconds = [np.empty((rounds, len(watches))) for watches in parties]
    for turn in range(rounds):
        for party, watches in enumerate(parties):
            on_turn(party)
            if settles:
                settle()
            seconds[party][turn] = [watch() for watch in watches]
    return seconds


def compare(cases: Sequence[Sequence[Call]], seconds: float, *, threads: int) -> list[FloatArray]:
    """Time the calls of each case against each other.

    Parameters
    ----------
    cases : sequence of sequences of callables
        All of one length.
    seconds : float
        About how long a case takes; it takes longer where that is less than `MIN_ROUNDS`.
    threads : int
        How many the calls may use. On one, the calls of a case take turns; on more, a turn covers
        the calls of all cases, so that fewer turns have to wait for threads to settle.

    Returns
    -------
    list of ndarray of shape (rounds, calls)
        For each case the seconds of its calls.

    """
    if threads == 1 and len(cases) > 1:
        return [compare([case], seconds, threads=1)[0] for case in cases]
    reading = READING_SECONDS if threads == 1 else READING_SECONDS_OF_THREADS
    parties = [
        [Stopwatch(repeated(call), reading, threads) for call in calls]
        for calls in zip(*cases, strict=True)
    ]
    cost = sum(watch.cost for watches in parties for watch in watches)
    rounds = min(max(int(seconds * len(cases) / max(cost, 1e-9)), MIN_ROUNDS), MAX_ROUNDS)
    turns = alternate(parties, rounds, settles=threads > 1)
    return [np.stack([party[:, number] for party in turns], axis=1) for number in range(len(cases))]
