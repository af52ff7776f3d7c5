"""Kernels with one mistake each: the contract must catch every one of them."""

import numpy as np
import pytest

from fastnn.kernels import Kernel
from fastnn.kernels import jit as loops
from fastnn.kernels.testing import contract
from tests.kernels.testing.mistakes import MISTAKES, misses_a_row_above_a_tile, right


@pytest.mark.parametrize("check", contract.CONTRACT, ids=lambda check: check.__name__)
def test_a_right_one_passes(check):
    check(Kernel("right", "", right))


@pytest.mark.parametrize(("mistake", "check"), MISTAKES, ids=lambda item: item.__name__)
def test_mistake_is_caught(mistake, check):
    with pytest.raises(AssertionError, match=f"^{mistake.__name__}"):
        check(Kernel(mistake.__name__, "", mistake))


def test_the_smallest_example_is_reported():
    with pytest.raises(AssertionError, match=r"\(17, 5\) @ \(5, 7\) in float32"):
        contract.check_shapes(Kernel("wrong", "", misses_a_row_above_a_tile))


def test_empty_sums_are_caught():
    class Unchecked(Kernel):
        def __call__(self, a, b, out=None):
            return out  # what a product without multiplications comes to if nobody thinks of it

    with pytest.raises(AssertionError, match="must be zeros"):
        contract.check_empty(Unchecked("unchecked", "", right))


def test_another_product_in_compiled_code_is_caught():
    def prepare(a, b, out):
        return loops.prepare_naive(a, b[:, ::-1], out)

    kernel = Kernel("wrong", "", loops.compute_naive, prepare=prepare)
    with pytest.raises(AssertionError, match=r"compiled code gets other bits, \(3, 5\) @ \(5, 2\)"):
        contract.check_prepared(kernel)


def test_another_order_for_single_rows_is_caught():
    def compute(a, b, out):
        if len(a) == 1:
            a, b = a[:, ::-1].copy(), b[::-1].copy()
        np.einsum("ik,kj->ij", a, b, out=out)

    with pytest.raises(AssertionError, match=r"rows .* have other bits alone"):
        contract.check_rows_alone(Kernel("wrong", "", compute))


def test_a_sum_split_between_threads_is_caught(monkeypatch):
    # Threads that this machine may not have are not needed to ask for their number.
    number = [1]
    monkeypatch.setattr(contract, "MAX_THREADS", 3)
    monkeypatch.setattr(contract, "set_num_threads", lambda n: number.__setitem__(0, n))

    def compute(a, b, out):
        out[...] = 0
        for part in np.array_split(np.arange(a.shape[1]), number[0]):
            out += a[:, part] @ b[part]

    with pytest.raises(AssertionError, match="threads give other bits than 1"):
        contract.check_threads(Kernel("wrong", "", compute))


def test_chance_is_caught():
    rng = np.random.default_rng(0)

    def compute(a, b, out):
        order = rng.permutation(a.shape[1])
        np.matmul(a[:, order], b[order], out=out)

    with pytest.raises(AssertionError, match="other bits again"):
        contract.check_repeatable(Kernel("wrong", "", compute))
