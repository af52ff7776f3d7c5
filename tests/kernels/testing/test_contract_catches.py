"""Kernels with one mistake each: the contract must catch every one."""

import numpy as np
import pytest

from fastnn.kernels import Kernel, jit
from fastnn.kernels.testing import contract
from tests.kernels.testing.mistakes import MISTAKES, misses_a_row_above_a_tile, right


@pytest.mark.parametrize("check", contract.CONTRACT, ids=lambda check: check.__name__)
def test_contract_passes_a_right_kernel(check):
    check(Kernel("right", "", right))


@pytest.mark.parametrize(("mistake", "check"), MISTAKES, ids=lambda item: item.__name__)
def test_contract_catches_a_mistake(mistake, check):
    with pytest.raises(AssertionError, match=f"^{mistake.__name__}"):
        check(Kernel(mistake.__name__, "", mistake))


def test_check_reports_the_smallest_example():
    with pytest.raises(AssertionError, match=r"\(17, 5\) @ \(5, 7\) in float32"):
        contract.check_shapes(Kernel("wrong", "", misses_a_row_above_a_tile))


def test_check_empty_catches_sums_that_are_not_written():
    class Unchecked(Kernel):
        def __call__(self, a, b, out=None):
            return out  # as loops without a single turn leave it

    with pytest.raises(AssertionError, match="must be zeros"):
        contract.check_empty(Unchecked("unchecked", "", right))


def test_check_prepared_catches_another_product():
    def prepare(a, b, out):
        return jit.prepare_naive(a, b[:, ::-1], out)

    kernel = Kernel("wrong", "", jit.compute_naive, prepare=prepare)
    complaint = r"a compiled program gets other bits, \(3, 5\) @ \(5, 2\)"
    with pytest.raises(AssertionError, match=complaint):
        contract.check_prepared(kernel)


def test_check_rows_alone_catches_another_order():
    def compute(a, b, out):
        if len(a) == 1:
            a, b = a[:, ::-1].copy(), b[::-1].copy()
        np.einsum("ik,kj->ij", a, b, out=out)

    with pytest.raises(AssertionError, match=r"rows .* have other bits alone"):
        contract.check_rows_alone(Kernel("wrong", "", compute))


def test_check_threads_catches_a_sum_split_between_threads(monkeypatch):
    # The number of threads alone matters here, so that the machine need not have as many.
    number = [1]
    monkeypatch.setattr(contract, "MAX_THREADS", 3)
    monkeypatch.setattr(contract, "set_num_threads", lambda n: number.__setitem__(0, n))

    def compute(a, b, out):
        out[...] = 0
        for part in np.array_split(np.arange(a.shape[1]), number[0]):
            out += a[:, part] @ b[part]

    with pytest.raises(AssertionError, match="threads give other bits than 1"):
        contract.check_threads(Kernel("wrong", "", compute))


def test_check_repeatable_catches_chance():
    rng = np.random.default_rng(0)

    def compute(a, b, out):
        order = rng.permutation(a.shape[1])
        np.matmul(a[:, order], b[order], out=out)

    with pytest.raises(AssertionError, match="other bits again"):
        contract.check_repeatable(Kernel("wrong", "", compute))
