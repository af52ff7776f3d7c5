"""`fastnn.study.products`: products are verified before they are timed."""

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels import Kernel
from fastnn.kernels.measuring import timing
from fastnn.study.products import (
    Product,
    VerificationError,
    dense_products,
    measure_kernel,
    squares,
)


def misses_the_last_row(a, b, out):
    np.matmul(a[:-1], b, out=out[:-1])


def wrong_beyond_the_first_rows(a, b, out):
    np.matmul(a, b, out=out)
    out[1:, 0] *= 1.01


@pytest.mark.parametrize("product", dense_products(3, 4, 5), ids=str)
def test_operands_are_those_of_a_dense_layer(product):
    a, b, out = product.operands("float32")
    assert (a.shape, b.shape) == ((product.m, product.k), (product.k, product.n))
    assert a.T.flags.c_contiguous == ("a" in product.transposed)
    assert b.T.flags.c_contiguous == ("b" in product.transposed)
    assert np.isnan(out).all()
    assert out.shape == (product.m, product.n)


@pytest.mark.parametrize("compute", [misses_the_last_row, wrong_beyond_the_first_rows])
@pytest.mark.parametrize("product", [Product(3, 4, 5), Product(700, 200, 200)], ids=str)
def test_measure_kernel_does_not_time_a_wrong_kernel(monkeypatch, compute, product):
    monkeypatch.setattr(timing, "compare", pytest.fail)
    with pytest.raises(VerificationError, match="wrong: out"):
        measure_kernel(Kernel("wrong", "", compute), [product], "float32")


@pytest.mark.parametrize(("reach", "sides"), [(1.0, [4, 8]), (0.2, [4])])
def test_measure_kernel_leaves_out_what_is_beyond_its_reach(reach, sides):
    kernel = Kernel("small", "", np.matmul, max_multiplications=512)
    timings = measure_kernel(kernel, squares(4, 8, 16), "float32", seconds=0, reach=reach)
    assert [each.product.n for each in timings] == sides
    assert measure_kernel(kernel, squares(16), "float32") == []


def test_measure_kernel_compares_with_numpy_or_with_itself(monkeypatch):
    called = []

    def compare(cases, seconds, *, threads):
        for case in cases:
            called.append([(call.func, call.args[0].shape) for call in case])
        return [np.array([[1.0, 2.0]])]

    def mine(a, b, out):
        np.matmul(a, b, out=out)

    monkeypatch.setattr(timing, "compare", compare)
    reference = kernels.get("numpy").compute
    kernel, product = Kernel("mine", "", mine), Product(2, 3, 4)
    for against, other in ((None, (reference, (2, 3))), (Product(5, 6, 7), (mine, (5, 6)))):
        (found,) = measure_kernel(kernel, [product], "float64", against=against)
        assert called.pop() == [(mine, (2, 3)), other]
        assert (found.kernel, found.ratio.tolist()) == ("mine", [2.0])
        assert found.flops.tolist() == [2 * 2 * 3 * 4]


def test_timing_reports_shares_of_the_peak():
    (found,) = measure_kernel(kernels.get("numpy"), squares(8), "float32", seconds=0)
    report = found.report(peak=1e9)
    assert (report["kernel"], report["product"], report["n"]) == ("numpy", "8×8·8×8", 8)
    assert report["rounds"] == 3
    for key in ("low", "median", "high"):
        assert report["share"][key] == pytest.approx(report["flops"][key] / 1e9)
