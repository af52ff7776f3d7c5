"""Passes called by address must be the passes called from Python."""

import numba
import numpy as np
import pytest

from fastnn.kernels.ops import elementwise
from fastnn.kernels.runtime.abi import entrance
from fastnn.kernels.runtime.compiling import compiled
from fastnn.kernels.runtime.program import Table


@compiled
def combine(a, b, factor, flag, labels, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = a[i, j] + (factor if flag else 0) * b[j] + labels[i]


@compiled
def count(total):
    total[0] += 1


def call(function, *arguments, **options):
    address = entrance(function, arguments, **options)
    assert address is not None
    return address, arguments


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("strided", [False, True])
def test_all_kinds_of_arguments_arrive(dtype, strided):
    a, b = np.arange(6, dtype=dtype).reshape(2, 3), np.array([10, 20, 30], dtype)
    labels, out = np.array([100, 200], np.uint8), np.full((2, 3), np.nan, dtype)
    for matrix in (a, np.asfortranarray(a), np.repeat(a, 2, axis=1)[:, ::2], a[::-1]):
        for flag in (True, False):
            arguments = (matrix, b, dtype(0.5), flag, labels, out)
            Table([call(combine, *arguments, strided=strided)]).run()
            expected = matrix + 0.5 * flag * b + labels[:, np.newaxis]
            assert (out == expected).all()


def test_rows_run_in_order_and_as_often_as_asked():
    x, y = np.array([[1.0, -1.0]]), np.empty((1, 2))
    total = np.zeros(1, np.int64)
    table = Table(
        [
            call(elementwise.relu, x, y),
            call(elementwise.add_bias, np.array([1.0, 2.0]), x),
            call(count, total),
        ]
    )
    table.run()
    assert (y == [[1, 0]]).all()
    assert (x == [[2, 1]]).all()
    table.run(4)
    assert total[0] == 5
    assert (x == [[6, 9]]).all()


def test_a_table_keeps_its_arrays_alive():
    total = np.zeros(1, np.int64)
    view = total[:]
    table = Table([call(count, view)])
    del view
    table.run()
    assert total[0] == 1


def test_between_other_arrays():
    x, y = np.array([[1.0, -1.0]]), np.empty((1, 2))
    table = Table([call(elementwise.relu, x, y), call(elementwise.add_bias, np.ones(2), y)])
    run = table.between(x, y)
    other, out = np.array([[-3.0, 5.0]]), np.empty((1, 2))
    assert run(other, out)
    assert (out == [[1, 6]]).all()
    y.fill(7)
    assert run(x, out)
    assert (out == [[2, 1]]).all()
    assert (y == 7).all()


def test_between_arrays_that_do_not_fit():
    x, y = np.ones((2, 3)), np.empty((2, 3))
    run = Table([call(elementwise.relu, x, y)]).between(x, y)
    out = np.full((2, 3), 7.0)
    assert not run(np.ones((3, 2)), out)
    assert not run(np.ones((1, 3)), out)
    for other in (x.astype(np.float32), x[0], np.asfortranarray(x), x[::-1], x.tolist()):
        with pytest.raises(TypeError):
            run(other, out)
    assert (out == 7).all()


def test_an_empty_table():
    Table([]).run()


def test_what_cannot_be_called_by_address():
    x = np.ones(3)
    assert entrance(np.negative, (x, x)) is None
    assert entrance(count, ("text",)) is None
    assert entrance(count, ((x, x),)) is None


def test_one_entrance_for_a_pass_and_its_types():
    a, b = np.zeros((2, 3)), np.zeros((4, 5))
    address = entrance(elementwise.relu, (a, a))
    assert entrance(elementwise.relu, (b, b)) == address
    assert entrance(elementwise.relu, (a.astype(np.float32),) * 2) != address
    read_only = a.copy()
    read_only.flags.writeable = False
    assert entrance(elementwise.relu, (read_only, a)) == address


def test_closures_of_one_name_are_not_confused():
    def adding(number):
        @numba.njit
        def add(total):
            total[0] += number

        return add

    total = np.zeros(1, np.int64)
    Table([call(adding(5), total), call(adding(30), total)]).run()
    assert total[0] == 35
