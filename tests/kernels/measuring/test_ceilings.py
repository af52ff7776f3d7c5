"""The ceilings: structure and units. That they are ceilings, `benchmarks.products` shows."""

import threading

import numpy as np
import pytest

from fastnn.kernels.gemm.blocksizes import caches, vector_unit
from fastnn.kernels.interface import DTYPES
from fastnn.kernels.measuring import ceilings as machine
from fastnn.kernels.measuring.ceilings import Crew, FMABurst
from fastnn.kernels.runtime.threads import MAX_THREADS


@pytest.fixture(scope="module")
def measured():
    return machine.measure(rounds=3)


def test_there_are_ceilings_for_one_thread_and_for_all(measured):
    assert [each.threads for each in measured.ceilings] == sorted({1, MAX_THREADS})
    assert measured.caches == caches()
    assert measured.vector_unit == vector_unit().name


def test_figures_are_in_single_operations_and_bytes(measured):
    one = measured.ceilings[0]
    for spread in (one.float32, one.float64, one.read, one.copy):
        assert 0 < spread.low <= spread.median <= spread.high
    # Any processor since 2010 with the vectors it has: from 1 GHz on, below 8 GHz and 4 units.
    lanes = vector_unit().width // 4
    assert 0.2e9 * lanes < one.float32.median < 8e9 * 4 * 2 * lanes
    assert 1e8 < one.read.median < 1e13
    assert 1e8 < one.copy.median < 1e13
    # Twice as many float32 in a vector: far off either way is a wrong count, not noise.
    assert 1.2 < one.float32.median / one.float64.median < 3.3


def test_a_burst_does_the_multiply_adds_that_it_counts():
    for dtype in DTYPES:
        with Crew(1) as crew:
            burst = FMABurst(dtype, crew)
            burst._values.fill(1)
            burst._iterations = 1000
            burst()
        *sums, factor = burst._values[0]
        assert (np.array(sums) == 1 + 1000).all()  # 1 · 1 was added so many times
        assert (factor == 1).all()


def test_flops_count_all_threads():
    crews = [Crew(threads) for threads in sorted({1, MAX_THREADS})]
    for crew in crews:
        with crew:
            burst = FMABurst(DTYPES[0], crew)
            lanes = vector_unit().width // 4
            vectors = burst._values.shape[1] - 1
            assert burst.flops == 2 * lanes * vectors * burst._iterations * crew.threads


@pytest.mark.skipif(MAX_THREADS == 1, reason="there is one thread only")
def test_a_crew_works_side_by_side():
    together = threading.Barrier(2)
    with Crew(2) as crew:
        crew.run(lambda part: together.wait(timeout=10), [0, 1])  # raises where they do not meet


@pytest.mark.parametrize("threads", [0, MAX_THREADS + 1])
def test_a_number_of_threads_that_is_not_there(threads):
    with pytest.raises(ValueError, match=f"1 to {MAX_THREADS} are allowed"):
        machine.measure([threads])
