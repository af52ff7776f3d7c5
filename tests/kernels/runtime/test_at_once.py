"""Calls at the same time: all of them, whatever the number of threads."""

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels.ops import elementwise
from fastnn.kernels.runtime.abi import entrance
from fastnn.kernels.runtime.at_once import run_at_once
from fastnn.kernels.runtime.compiling import compiled
from fastnn.kernels.runtime.denormals import flushed
from fastnn.kernels.runtime.program import Table
from fastnn.kernels.runtime.threads import MAX_THREADS, load_threads, number_of_threads


@pytest.fixture(params=sorted({1, 2, MAX_THREADS} & set(range(1, MAX_THREADS + 1))))
def threads(request):
    before = kernels.get_num_threads()
    kernels.set_num_threads(request.param)
    yield request.param
    kernels.set_num_threads(before)


@compiled
def halve(x):
    for i in range(x.size):
        x[i] *= x.dtype.type(0.5)


def run(table):
    load_threads()
    run_at_once(table.rows, number_of_threads)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_row_runs_once(threads, count):
    x = np.arange(40.0).reshape(8, 5)
    expected = x.copy()
    expected[:count] += 1
    one = np.ones(5)
    address = entrance(elementwise.add_bias, (one, x[:1]))
    run(Table([(address, (one, x[i : i + 1])) for i in range(count)]))
    np.testing.assert_array_equal(x, expected)


def test_denormals_are_flushed_where_the_caller_flushes_them(threads):
    x = np.full((4, 3), np.finfo(np.float32).tiny)
    table = Table([(entrance(halve, (row,)), (row,)) for row in x])
    run(table)
    assert (x > 0).all()
    with flushed():
        run(table)
    assert (x == 0).all()
