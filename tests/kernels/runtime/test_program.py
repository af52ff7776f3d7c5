"""Programs: all lines, in order or side by side, between the arrays that are given."""

import gc

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels import ops
from fastnn.kernels.arrays import aligned_zeros
from fastnn.kernels.runtime.compiling import compiled
from fastnn.kernels.runtime.denormals import flushed
from fastnn.kernels.runtime.program import Program
from fastnn.kernels.runtime.threads import MAX_THREADS
from tests.kernels.calls import line

RELU = ops.elementwise(ops.function("relu"))
ADD_BIAS = ops.after_bias(ops.function("identity"))
COPY = ops.get("copy_rows")


@compiled
def count(total):
    total[0] += 1


@compiled
def halve(x):
    for i in range(x.size):
        x[i] *= x.dtype.type(0.5)


@compiled
def enumerate_elements(out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = 10 * i + j


@compiled
def combine(a, b, factor, out):
    """Take matrices of any layout: ``out = a + factor * b``."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = a[i, j] + factor * b[i, j]


def test_program_runs_lines_in_order_and_as_often_as_asked():
    x, y = np.array([[1.0, -1.0]]), np.empty((1, 2))
    total = np.zeros(1, np.int64)
    program = Program(
        [line(RELU, x, y), line(ADD_BIAS, np.array([1.0, 2.0]), x), line(count, total)]
    )
    program.run()
    assert (y == [[1, 0]]).all()
    assert (x == [[2, 1]]).all()
    program.run(4)
    assert total[0] == 5
    assert (x == [[6, 9]]).all()


def test_program_runs_nothing_when_it_is_built_or_for_0_times():
    total = np.zeros(1, np.int64)
    Program([line(count, total)]).run(0)
    assert total[0] == 0


def test_program_run_line_runs_one_alone():
    totals = np.zeros((3, 1), np.int64)
    program = Program([line(count, total) for total in totals])
    program.run_line(1, 5)
    program.run_line(2)
    assert totals.ravel().tolist() == [0, 5, 1]


def test_program_keeps_its_arrays_alive():
    total = np.zeros(1, np.int64)
    view = total[:]
    program = Program([line(count, view)])
    del view
    gc.collect()
    program.run()
    assert total[0] == 1


def test_program_keeps_the_values_that_numbers_had():
    x, number = np.ones((1, 2)), np.array(2.0)
    program = Program([line(combine, x, x, number[()], x)])
    number[()] = 100
    program.run()
    assert (x == 3).all()


def test_program_without_lines():
    Program([]).run()


# `bind`: an op that reads or writes a part of the input or of the output.

VIEWS = {
    "whole": lambda x: x,
    "columns from 1": lambda x: x[:, 1:],
    "columns up to the last": lambda x: x[:, :-1],
    "rows from 1": lambda x: x[1:],
    "the last element": lambda x: x[-1:, -1:],
    "every second column": lambda x: x[:, ::2],
    "rows reversed": lambda x: x[::-1],
    "columns reversed": lambda x: x[:, ::-1],
    "transpose": lambda x: x.T,
    "transpose of a part": lambda x: x[1:, 2:].T,
    "one row": lambda x: np.broadcast_to(x[2], (3, x.shape[1])),
}
views = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def matrices(*shape, dtype):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(dtype) for _ in range(3)]


@dtypes
@views
def test_bind_reads_views_of_the_input_where_they_are(view, dtype):
    x, *others = matrices(4, 7, dtype=dtype)
    y = np.empty(view(x).shape, dtype)
    run = Program([line(COPY, view(x), y)]).bind(x, y)
    for other in others:
        out = np.full_like(y, np.nan)
        assert run(other, out)
        np.testing.assert_array_equal(out, view(other))


@dtypes
@views
def test_bind_reads_several_views_of_the_input_in_one_op(view, dtype):
    x, *others = matrices(4, 7, dtype=dtype)
    y, between = np.empty(view(x).shape, dtype), np.empty(view(x).shape, dtype)
    factor = dtype(2)
    lines = [
        line(combine, view(x), view(x), factor, between),
        line(combine, between, view(x), factor, y),
    ]
    run = Program(lines).bind(x, y)
    for other in others:
        out = np.full_like(y, np.nan)
        assert run(other, out)
        np.testing.assert_allclose(out, 5 * view(other), rtol=1e-6)


@dtypes
@pytest.mark.parametrize("name", [name for name in VIEWS if name != "one row"])
def test_bind_writes_views_of_the_output_where_they_are(name, dtype):
    view = VIEWS[name]
    x, y = np.ones((4, 7), dtype), np.empty((4, 7), dtype)
    run = Program([line(COPY, x, y), line(enumerate_elements, view(y))]).bind(x, y)
    for number in (8, 9):
        out, expected = np.full_like(y, np.nan), np.full_like(y, number)
        places = np.indices(view(y).shape)
        view(expected)[...] = 10 * places[0] + places[1]
        assert run(np.full_like(x, number), out)
        np.testing.assert_array_equal(out, expected)


def test_bind_leaves_the_arrays_of_the_plan_alone():
    x, y = np.array([[1.0, -1.0]]), np.empty((1, 2))
    run = Program([line(RELU, x, y), line(ADD_BIAS, np.ones(2), y)]).bind(x, y)
    other, out = np.array([[-3.0, 5.0]]), np.empty((1, 2))
    assert run(other, out)
    assert (out == [[1, 6]]).all()
    y.fill(7)
    assert run(x, out)
    assert (out == [[2, 1]]).all()
    assert (y == 7).all()
    assert (x == [[1, -1]]).all()


def test_bind_replaces_no_array_that_lies_beside_the_input():
    """Two matrices and a bias that share one buffer: only what lies in the input is its part."""
    buffer = aligned_zeros((3, 4), np.float64)
    before, x, after = buffer[:1], buffer[1:2], buffer[2:]
    before.fill(10)
    after.fill(100)
    y = np.empty((1, 4))
    lines = [line(combine, before, after, 1.0, y), line(combine, y, x, 1.0, y)]
    run = Program(lines).bind(x, y)
    out = np.empty((1, 4))
    assert run(np.array([[1.0, 2, 3, 4]]), out)
    assert out.tolist() == [[111, 112, 113, 114]]


def test_bind_computes_nothing_for_another_shape():
    x, y = np.ones((2, 3)), np.empty((2, 3))
    run = Program([line(RELU, x, y)]).bind(x, y)
    out = np.full((2, 3), 7.0)
    assert not run(np.ones((3, 2)), out)
    assert not run(np.ones((1, 3)), out)
    assert (out == 7).all()


def test_bind_refuses_other_kinds_of_arrays():
    x, y = np.ones((2, 3)), np.empty((2, 3))
    run = Program([line(RELU, x, y)]).bind(x, y)
    out = np.full((2, 3), 7.0)
    read_only = np.ones((2, 3))
    read_only.flags.writeable = False
    kinds = (x.astype(np.float32), x[0], np.asfortranarray(x), x[::-1], x.tolist(), read_only)
    for other in kinds:
        with pytest.raises(TypeError):
            run(other, out)
    assert (out == 7).all()


def test_bind_keeps_the_program_alive():
    x, y = np.ones((1, 2)), np.empty((1, 2))
    run = Program([line(ADD_BIAS, np.array([1.0, 2.0]), x), line(COPY, x, y)]).bind(x, y)
    gc.collect()
    out = np.empty((1, 2))
    assert run(np.zeros((1, 2)), out)
    assert out.tolist() == [[1, 2]]


# A program among the lines of another: its own lines run side by side.


@pytest.fixture(params=sorted({1, 2, MAX_THREADS} & set(range(1, MAX_THREADS + 1))))
def threads(request):
    before = kernels.get_num_threads()
    kernels.set_num_threads(request.param)
    yield request.param
    kernels.set_num_threads(before)


@pytest.mark.parametrize("lines", [0, 1, 2, 7])
def test_side_by_side_runs_every_line_once(threads, lines):
    x = np.arange(40.0).reshape(8, 5)
    expected = x.copy()
    expected[:lines] += 1
    one, total = np.ones(5), np.zeros(1, np.int64)
    inner = Program([line(ADD_BIAS, one, x[i : i + 1]) for i in range(lines)])
    program = Program([line(count, total), inner, line(count, total)])
    program.run()
    np.testing.assert_array_equal(x, expected)
    assert total[0] == 2
    program.run_line(1, 3)
    expected[:lines] += 3
    np.testing.assert_array_equal(x, expected)
    assert total[0] == 2


def test_side_by_side_flushes_denormals_where_the_caller_does(threads):
    x = np.full((4, 3), np.finfo(np.float32).tiny)
    program = Program([Program([line(halve, row) for row in x])])
    program.run()
    assert (x > 0).all()
    with flushed():
        program.run()
    assert (x == 0).all()


def test_side_by_side_keeps_its_lines_alive():
    total = np.zeros(1, np.int64)
    program = Program([Program([line(count, total[:])])])
    gc.collect()
    program.run()
    assert total[0] == 1
