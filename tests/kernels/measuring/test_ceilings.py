"""Ceilings: structure and units. That no product exceeds them, `benchmarks.products` shows."""

import threading

import numpy as np
import pytest

from fastnn.kernels.interface import DTYPES
from fastnn.kernels.measuring import ceilings
from fastnn.kernels.measuring.ceilings import Ceilings, Crew, FMABurst
from fastnn.kernels.measuring.timing import Spread
from fastnn.kernels.runtime.hardware import caches, vector_unit
from fastnn.kernels.runtime.threads import MAX_THREADS

ALL_THREADS = sorted({1, MAX_THREADS})


@pytest.mark.parametrize("threads", ALL_THREADS)
def test_measure_gives_operations_and_bytes_a_second(threads):
    measured = ceilings.measure(threads, rounds=3)
    assert measured.threads == threads
    for spread in (measured.float32, measured.float64, measured.read, measured.copy):
        assert 0 < spread.low <= spread.median <= spread.high
    # Any processor since 2010 with the vectors it has: from 1 GHz on, below 8 GHz and 4 units.
    lanes = vector_unit().width // 4
    assert 0.2e9 * lanes < measured.peak("float32") < threads * 8e9 * 4 * 2 * lanes
    assert 1e8 < measured.read.median < 1e13
    assert 1e8 < measured.copy.median < 1e13
    assert measured.array_bytes <= max(4 * caches().l3, ceilings.MAX_ARRAY_BYTES)


def test_peak_of_float32_is_twice_that_of_float64():
    measured = ceilings.measure(1, rounds=3)
    # Twice as many in a vector: far off either way is a wrong count, not noise.
    assert 1.2 < measured.peak("float32") / measured.peak("float64") < 3.3


@pytest.mark.parametrize(("later", "kept"), [(1.0, 2.0), (3.0, 3.0)])
def test_remeasure_peak_keeps_the_higher_one(monkeypatch, later, kept):
    def spread(value):
        return Spread(value, value, value)

    monkeypatch.setattr(ceilings, "_peak", lambda dtype, crew, rounds: spread(later))
    measured = Ceilings(1, spread(2.0), spread(1.0), spread(4.0), spread(4.0), 8)
    measured.remeasure_peak("float32")
    assert (measured.peak("float32"), measured.peak("float64")) == (kept, 1.0)


def test_burst_does_the_multiply_adds_that_it_counts():
    for dtype in DTYPES:
        with Crew(1) as crew:
            burst = FMABurst(dtype, crew)
            burst._values.fill(1)
            burst._iterations = 1000
            burst()
        *sums, factor = burst._values[0]
        assert (np.array(sums) == 1 + 1000).all()  # 1 · 1 was added so many times
        assert (factor == 1).all()


@pytest.mark.parametrize("threads", ALL_THREADS)
def test_burst_counts_the_operations_of_all_threads(threads):
    with Crew(threads) as crew:
        burst = FMABurst(DTYPES[0], crew)
        lanes = vector_unit().width // 4
        vectors = burst._values.shape[1] - 1
        assert burst.flops == 2 * lanes * vectors * burst._iterations * crew.threads


@pytest.mark.skipif(MAX_THREADS == 1, reason="there is one thread only")
def test_crew_works_side_by_side():
    together = threading.Barrier(2)
    with Crew(2) as crew:
        crew.run(lambda part: together.wait(timeout=10), [0, 1])  # raises where they do not meet


@pytest.mark.parametrize("threads", [0, MAX_THREADS + 1])
def test_measure_refuses_threads_that_are_not_there(threads):
    with pytest.raises(ValueError, match=f"must be 1 to {MAX_THREADS}, not {threads}"):
        ceilings.measure(threads)
