"""What timing rests on: turns, their order, and quartiles. No test asks how fast anything is."""

import time

import numpy as np
import pytest

from fastnn.kernels.measuring import timing
from fastnn.kernels.measuring.timing import Spread, Stopwatch, repeated


def test_spread_is_a_median_and_its_quartiles():
    assert Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(2.0, 3.0, 4.0)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)
    assert Spread(3.0, 4.0, 5.0).width == 0.5


def test_alternate_reads_all_watches_of_a_party_on_its_turn():
    log = []

    def watch(name, seconds):
        return lambda: log.append(name) or seconds

    parties = [[watch("a", 1.0), watch("b", 2.0)], [watch("c", 3.0)]]
    begun = []
    ours, theirs = timing.alternate(parties, 2, on_turn=begun.append)
    assert log == ["a", "b", "c"] * 2
    assert begun == [0, 1, 0, 1]
    np.testing.assert_array_equal(ours, [[1.0, 2.0]] * 2)
    np.testing.assert_array_equal(theirs, [[3.0]] * 2)


def test_alternate_settles_before_each_turn_if_asked_to(monkeypatch):
    log = []
    monkeypatch.setattr(timing, "settle", lambda: log.append("settle"))
    parties = [[lambda: log.append("a") or 1.0], [lambda: log.append("b") or 1.0]]
    timing.alternate(parties, 1, settles=True)
    assert log == ["settle", "a", "settle", "b"]


def test_settle_sleeps_until_nothing_runs(monkeypatch):
    naps = []
    busy = iter([1.0, 1.0, 1.0, 0.0])
    clock = [0.0]

    def sleep(seconds):
        naps.append(seconds)
        clock[0] += seconds * next(busy)

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    timing.settle()
    assert naps == [timing.SETTLE_STEP_SECONDS] * 4


def test_stopwatch_reads_the_mean_of_many_calls():
    calls = []
    watch = Stopwatch(repeated(lambda: calls.append(time.sleep(0.001))), 0.01)
    assert 1 < watch.repeats <= 10
    before = len(calls)
    assert 0.001 <= watch() < 0.1
    assert len(calls) - before == watch.repeats + 1  # one warms up
    assert watch.cost >= watch.repeats * 0.001


def test_stopwatch_makes_a_long_call_once():
    calls = []
    pause = 1.5 * timing.LONG_CALL_SECONDS
    watch = Stopwatch(repeated(lambda: calls.append(time.sleep(pause))), 0.0)
    watch()
    assert len(calls) == 2


def test_stopwatch_leaves_repeating_to_what_it_times():
    asked = []
    watch = Stopwatch(lambda times: asked.append(times) or time.sleep(0.001 * times), 0.005)
    asked.clear()
    watch()
    assert asked == [1, watch.repeats]


def test_stopwatch_prepares_each_reading_and_does_not_time_it():
    log = []
    watch = Stopwatch(log.append, 1.0, max_repeats=3, prepare=lambda: log.append(time.sleep(0.02)))
    assert watch.repeats == 3
    log.clear()
    assert watch() < 0.01
    assert log == [None, 1, None, 3]


@pytest.mark.parametrize("threads", [1, 2])
def test_compare_times_the_calls_of_each_case(threads):
    def sleeping(milliseconds):
        return lambda: time.sleep(milliseconds / 1000)

    cases = [(sleeping(1), sleeping(9)), (sleeping(9), sleeping(1))]
    x, y = timing.compare(cases, 0.0, threads=threads)
    assert x.shape == y.shape == (timing.MIN_ROUNDS, 2)
    assert (np.median(x, axis=0) >= [0.001, 0.009]).all()
    assert (np.median(y, axis=0) >= [0.009, 0.001]).all()
    assert np.median(x[:, 0]) < 0.009
    assert np.median(y[:, 1]) < 0.009


@pytest.mark.parametrize(
    ("seconds", "rounds"), [(0.0, timing.MIN_ROUNDS), (0.05, 10), (1e9, timing.MAX_ROUNDS)]
)
def test_compare_makes_the_rounds_that_fit_into_the_time(monkeypatch, seconds, rounds):
    class Watch:
        cost = 0.005

        def __init__(self, repeat, seconds, threads):
            pass

        def __call__(self):
            return 1.0

    monkeypatch.setattr(timing, "Stopwatch", Watch)
    (found,) = timing.compare([(print,)], seconds, threads=1)
    assert len(found) == rounds
