"""What timing rests on: turns, their order, and quartiles. No test asks how fast anything is."""

import time

import numpy as np
import pytest

from fastnn.kernels.measuring import timing
from fastnn.kernels.measuring.timing import Case, Spread, Stopwatch


def test_a_spread_is_a_median_and_its_quartiles():
    assert Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(2.0, 3.0, 4.0)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


def test_parties_take_turns_and_read_all_their_watches():
    log = []

    def watch(name, seconds):
        return lambda: log.append(name) or seconds

    parties = [[watch("a", 1.0), watch("b", 2.0)], [watch("c", 3.0)]]
    begun = []
    ours, theirs = timing.alternate(parties, 2, begins=begun.append)
    assert log == ["a", "b", "c"] * 2
    assert begun == [0, 1, 0, 1]
    np.testing.assert_array_equal(ours, [[1.0, 2.0]] * 2)
    np.testing.assert_array_equal(theirs, [[3.0]] * 2)


def test_turns_wait_for_idle_threads_if_asked_to(monkeypatch):
    log = []
    monkeypatch.setattr(timing, "settle", lambda: log.append("settle"))
    parties = [[lambda: log.append("a") or 1.0], [lambda: log.append("b") or 1.0]]
    timing.alternate(parties, 1, settles=True)
    assert log == ["settle", "a", "settle", "b"]


def test_settling_ends_when_nothing_runs_and_goes_on_while_something_does(monkeypatch):
    naps = []
    busy = iter([1.0, 1.0, 1.0, 0.0])
    clock = [0.0]

    def sleep(seconds):
        naps.append(seconds)
        clock[0] += seconds * next(busy)

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    timing.settle()
    assert naps == [timing.NAP] * 4


def test_a_reading_is_the_mean_of_many_calls():
    calls = []
    watch = Stopwatch(lambda: calls.append(time.sleep(0.001)), 0.01)
    assert 1 < watch.repeats <= 10
    before = len(calls)
    assert 0.001 <= watch() < 0.1
    assert len(calls) - before == watch.repeats + 1  # one is not timed
    assert watch.cost >= watch.repeats * 0.001


def test_a_long_call_is_made_once():
    calls = []
    watch = Stopwatch(lambda: calls.append(time.sleep(1.5 * timing.SHORT)), 0.0)
    watch()
    assert len(calls) == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_calls_of_each_case_have_their_own_figures(threads):
    def sleeping(milliseconds):
        return lambda: time.sleep(milliseconds / 1000)

    cases = [Case("x", (sleeping(1), sleeping(9))), Case("y", (sleeping(9), sleeping(1)))]
    x, y = timing.measure(cases, 0.0, threads=threads, least=3)
    assert x.shape == y.shape == (3, 2)
    assert (np.median(x, axis=0) >= [0.001, 0.009]).all()
    assert (np.median(y, axis=0) >= [0.009, 0.001]).all()
    assert np.median(x[:, 0]) < 0.009
    assert np.median(y[:, 1]) < 0.009


def test_rounds_fit_into_the_time_within_limits():
    assert timing.rounds_within(1.0, 0.1, least=3) == 10
    assert timing.rounds_within(1.0, 10.0, least=3) == 3
    assert timing.rounds_within(1.0, 0.0, least=3, most=50) == 50


def test_the_width_of_a_spread_is_relative():
    assert Spread(3.0, 4.0, 5.0).width == 0.5
