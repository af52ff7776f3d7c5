"""Ops called by the address of their entry point are the ops called from Python."""

import numba
import numpy as np
import pytest

from fastnn.kernels import ops
from fastnn.kernels.runtime.abi import entry_point, record
from fastnn.kernels.runtime.compiling import compiled
from fastnn.kernels.runtime.program import Program
from tests.kernels.calls import line, run


@compiled
def combine(a, b, factor, flag, labels, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = a[i, j] + (factor if flag else 0) * b[j] + labels[i]


@compiled
def count(total):
    total[0] += 1


@compiled
def add_all(out, *numbers):
    for number in numbers:
        out[0] = 10 * out[0] + number


@compiled
def pick(out, *numbers):
    out[0], out[1], out[2], out[3] = numbers[0], numbers[1], numbers[2], numbers[3]


@compiled
def how_many(out, *numbers):
    out[0] = len(numbers)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("strided", [False, True])
def test_entry_point_takes_all_kinds_of_arguments(dtype, strided):
    a, b = np.arange(6, dtype=dtype).reshape(2, 3), np.array([10, 20, 30], dtype)
    labels, out = np.array([100, 200], np.uint8), np.full((2, 3), np.nan, dtype)
    for matrix in (a, np.asfortranarray(a), np.repeat(a, 2, axis=1)[:, ::2], a[::-1]):
        for flag in (True, False):
            arguments = (matrix, b, dtype(0.5), flag, labels, out)
            Program([line(combine, *arguments, strided=strided)]).run()
            expected = matrix + 0.5 * flag * b + labels[:, np.newaxis]
            assert (out == expected).all()


@pytest.mark.parametrize("numbers", [(1,), (1, 2, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_entry_point_takes_any_number_of_numbers(numbers, dtype):
    out = np.zeros(1, dtype)
    run(add_all, out, *map(dtype, numbers))
    assert out[0] == int("".join(map(str, numbers)))


def test_entry_point_takes_no_numbers_where_there_could_be_some():
    out = np.full(1, 7.0)
    run(how_many, out)
    assert out[0] == 0


def test_entry_point_takes_numbers_of_several_types_at_the_end():
    out = np.zeros(4)
    run(pick, out, np.float32(0.5), 7, 0.1, True)
    assert out.tolist() == [0.5, 7, 0.1, 1]


@pytest.mark.parametrize(
    "arguments", [("text",), ((np.ones(3), np.ones(3)),), (None,), ([1.0],)], ids=repr
)
def test_entry_point_is_none_for_what_a_record_cannot_hold(arguments):
    assert entry_point(count, arguments) is None


def test_entry_point_is_none_for_what_is_not_compiled():
    x = np.ones(3)
    assert entry_point(np.negative, (x, x)) is None
    assert entry_point(lambda x: None, (x,)) is None


def test_entry_point_is_one_for_an_op_and_its_types():
    relu = ops.elementwise(ops.function("relu"))
    a, b = np.zeros((2, 3)), np.zeros((4, 5))
    address = entry_point(relu, (a, a))
    assert entry_point(relu, (b, b)) == address
    assert entry_point(relu, (a.astype(np.float32),) * 2) != address
    read_only = a.copy()
    read_only.flags.writeable = False
    assert entry_point(relu, (read_only, a)) == address


def test_entry_points_of_closures_of_one_name_differ():
    def adding(number):
        @numba.njit
        def add(total):
            total[0] += number

        return add

    total = np.zeros(1, np.int64)
    Program([line(adding(5), total), line(adding(30), total)]).run()
    assert total[0] == 35


def test_entry_points_of_functions_on_one_line_differ():
    two, three = [ops.elementwise(f) for f in (lambda x: x * 2, lambda x: x * 3)]
    x, y = np.ones((1, 2)), np.empty((1, 2))
    for op, expected in ((two, 2), (three, 3)):
        run(op, x, y)
        assert (y == expected).all()


def test_entry_points_of_functions_with_other_defaults_differ():
    def times(factor):
        return lambda x, factor=factor: x * factor

    x, y = np.ones((1, 2)), np.empty((1, 2))
    for factor in (2.0, 3.0):
        run(ops.elementwise(times(factor)), x, y)
        assert (y == factor).all()


def test_record_of_an_array_is_its_address_shape_and_strides():
    x = np.zeros((4, 6), np.float32)[1::2, ::-1]
    assert record(x).tolist() == [x.ctypes.data, 2, 6, 48, -4]


@pytest.mark.parametrize("number", [7, True, -1.5, np.float32(0.1), np.int8(-3)], ids=repr)
def test_record_of_a_number_is_its_value_in_its_own_type(number):
    (slot,) = record(number)
    dtype = np.asarray(number).dtype
    assert np.array([slot]).view(dtype)[0] == number
