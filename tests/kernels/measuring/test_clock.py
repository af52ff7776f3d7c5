"""`fastnn.kernels.measuring.clock`: compiled code reads Python's clock, line by line."""

import time

import numpy as np

from fastnn.kernels.measuring.clock import nanoseconds, run_timed
from fastnn.kernels.runtime.abi import entry_point
from fastnn.kernels.runtime.compiling import compiled
from fastnn.kernels.runtime.program import Program


@compiled
def read():
    return nanoseconds()


@compiled
def wait(duration, waited):
    """Count a call that lasts some nanoseconds."""
    end = nanoseconds() + duration[0]
    while nanoseconds() < end:
        pass
    waited[0] += 1


def test_compiled_code_reads_the_clock_of_python():
    read()
    before = time.perf_counter_ns()
    between = read()
    assert before <= between <= time.perf_counter_ns()


def test_lines_are_timed_as_they_run():
    counts = np.zeros((2, 1), np.int64)
    durations = np.array([[50_000], [200_000]])
    arguments = list(zip(durations, counts, strict=True))
    lines = [(entry_point(wait, each), each) for each in arguments]
    program, watch = Program(lines), np.zeros(4, np.int64)
    began = watch[0] = time.perf_counter_ns()
    run_timed(program.lines, watch, 2, 3)
    passed = time.perf_counter_ns() - began
    assert counts.ravel().tolist() == [3, 3]
    assert watch[1] == 0  # no line has this place
    assert (watch[2:] >= 3 * durations.ravel()).all()
    assert watch[2:].sum() == watch[0] - began <= passed
