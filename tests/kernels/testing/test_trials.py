"""`Trial` and `shrink`: a mistake is shown by the smallest product that has it."""

import re

import numpy as np
import pytest

from fastnn.kernels import Kernel
from fastnn.kernels.testing import contract
from fastnn.kernels.testing.trials import (
    Counterexample,
    Trial,
    close,
    equal,
    equal_and_signed,
    shrink,
)
from tests.kernels.testing.mistakes import (
    MISTAKES,
    misreads_transposes,
    misses_a_row_above_a_tile,
    misses_a_step_of_k_above_a_tile,
    misses_the_last_column_below_a_tile,
    overwrites_an_operand,
    reads_out,
    skips_zeros,
)


def smallest(compute, check):
    found = contract.examine(Kernel("wrong", "", compute), check)
    assert isinstance(found, Counterexample)
    a, b = found.trial.operands()
    return found, (len(a), len(b), b.shape[1])


@pytest.mark.parametrize(
    ("compute", "check", "shape"),
    [
        (reads_out, contract.check_shapes, (1, 1, 1)),
        (misses_a_row_above_a_tile, contract.check_shapes, (17, 1, 1)),
        (misses_a_step_of_k_above_a_tile, contract.check_shapes, (1, 513, 1)),
        (misses_the_last_column_below_a_tile, contract.check_shapes, (1, 1, 63)),
        (misreads_transposes, contract.check_layouts, (2, 2, 1)),
        (skips_zeros, contract.check_special_values, (1, 1, 1)),
    ],
)
def test_shrink_leaves_out_all_it_can(compute, check, shape):
    assert smallest(compute, check)[1] == shape


@pytest.mark.parametrize(("compute", "check"), MISTAKES, ids=lambda item: item.__name__)
def test_shrink_ends_with_a_product_that_is_still_wrong(compute, check):
    found, _ = smallest(compute, check)
    with pytest.raises(Counterexample) as again:
        found.trial.put_to(found.kernel)
    assert str(again.value) == str(found)


def test_shrink_simplifies_values():
    found, _ = smallest(misses_a_row_above_a_tile, contract.check_shapes)
    a, b = found.trial.operands()
    assert (a == 1).all()
    assert (b == 1).all()
    assert (found.expected == 1).all()
    assert np.isnan(found.out[-1, 0])
    a, _ = smallest(misreads_transposes, contract.check_layouts)[0].trial.operands()
    assert sorted(a.flat) == [1, 1, 1, 2]


def test_shrink_simplifies_layouts():
    found, _ = smallest(misreads_transposes, contract.check_layouts)
    assert found.trial.layouts == ("Fortran", "C", "C")
    assert "(a: Fortran, b: C, out: C)" in str(found)
    assert found.trial.a.dtype == np.float32

    def needs_contiguous_out(a, b, out):
        np.matmul(a, b, out=out)
        out *= 1 if out.flags.c_contiguous else 2

    found, _ = smallest(needs_contiguous_out, contract.check_layouts)
    assert found.trial.layouts[:2] == ("C", "C")
    assert found.trial.layouts[2] != "C"


def test_counterexample_shows_an_overwritten_operand_as_it_was():
    found, _ = smallest(overwrites_an_operand, contract.check_shapes)
    assert "changed b" in str(found)
    assert [matrix.tolist() for matrix in found.trial.operands()] == [[[1]], [[1]]]
    assert found.expected.tolist() == [[1]]


def test_trial_catches_a_kernel_that_raises():
    def raises(a, b, out):
        if len(b) > 2:
            raise IndexError("no such row")
        np.matmul(a, b, out=out)

    found, shape = smallest(raises, contract.check_shapes)
    assert shape == (1, 3, 1)
    assert "raised IndexError: no such row; (1, 3) @ (3, 1) in float32" in str(found)


def test_examine_finds_nothing_in_a_right_kernel():
    right = Kernel("right", "", lambda a, b, out: np.matmul(a, b, out=out))
    assert contract.examine(right, contract.check_empty) is None
    Trial(np.ones((2, 3)), np.ones((3, 2))).put_to(right)


def test_examine_returns_what_cannot_be_shrunk():
    rng = np.random.default_rng(0)

    def compute(a, b, out):
        order = rng.permutation(a.shape[1])
        np.matmul(a[:, order], b[order], out=out)

    found = contract.examine(Kernel("wrong", "", compute), contract.check_repeatable)
    assert not isinstance(found, Counterexample)
    assert "other bits again" in str(found)


@pytest.mark.parametrize(
    ("prepare", "complaint"),
    [
        (lambda a, b, out: (print, (a, b, out)), "print>?, which is not compiled"),
        (lambda a, b, out: 1 / 0, "wrong raised ZeroDivisionError"),
    ],
)
def test_check_prepared_catches_a_failing_prepare(prepare, complaint):
    kernel = Kernel("wrong", "", np.matmul, prepare=prepare)
    assert re.search(complaint, str(contract.examine(kernel, contract.check_prepared)))


def test_checks_try_small_products_whatever_a_kernel_calls_reasonable():
    kernel = Kernel("timid", "", misreads_transposes, max_multiplications=1)
    with pytest.raises(Counterexample):
        contract.check_layouts(kernel)


def test_shrink_ends_for_a_kernel_that_fails_by_chance():
    calls = []

    def sometimes_right(a, b, out):
        calls.append(1)
        out[...] = len(calls) % 2

    size = (40, 40)
    with pytest.raises(Counterexample) as found:
        Trial(np.ones(size), np.ones(size)).put_to(Kernel("odd", "", sometimes_right))
    assert isinstance(shrink(found.value), Counterexample)
    assert len(calls) < 6000


@pytest.mark.parametrize(
    ("judge", "a", "out", "right"),
    [
        (close, [[1.0]], [[1.0]], True),
        (close, [[1.0]], [[1.01]], False),
        (close, [[1.0]], [[np.nan]], False),
        (equal, [[np.nan]], [[np.nan]], True),
        (equal, [[np.inf]], [[np.nan]], False),
        (equal, [[0.0]], [[-0.0]], True),
        (equal_and_signed, [[0.0]], [[-0.0]], False),
        (equal_and_signed, [[-0.0]], [[-0.0]], True),
        (equal_and_signed, [[-0.0]], [[0.0]], True),
        (equal_and_signed, [[0.0]], [[1.0]], False),
    ],
)
def test_judge(judge, a, out, right):
    _, wrong = judge(np.array(a), np.ones((1, 1)), np.array(out))
    assert wrong.tolist() == [[not right]]
