"""``fastnn kernels --measure``."""

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels.measuring import ceilings as machine_ceilings
from fastnn.kernels.measuring.timing import Spread
from fastnn.study import products as measuring
from fastnn.study.products import Product, VerificationError, dense_products, measure_kernel

MEASURE = ("kernels", "--measure", "--kernels", "numba-naive,numpy", "--threads", "1")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Measure little, for little time."""
    original = machine_ceilings.measure
    monkeypatch.setattr(machine_ceilings, "measure", lambda threads: original(threads, rounds=1))
    monkeypatch.setattr(measuring.measure_ladder, "__defaults__", (None, PRODUCTS, lambda _: None))
    monkeypatch.setattr(measure_kernel, "__defaults__", (0.001,))


PRODUCTS = (Product(4, 5, 6), Product(1, 784, 10), Product(600, 1000, 1000))


def misses_the_last_row(a, b, out):
    np.matmul(a[:-1], b, out=out[:-1])


def wrong_beyond_the_first_rows(a, b, out):
    np.matmul(a, b, out=out)
    out[1:, 0] *= 1.01


@pytest.fixture
def without_restraints(monkeypatch):
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        monkeypatch.delenv(name, raising=False)


def test_each_kernel_at_each_product_that_is_reasonable_for_it(fastnn, without_restraints):
    result = fastnn(*MEASURE, "--dtype", "float64", "--json")
    assert result.err == ""
    report = result.json
    assert (report["dtype"], report["threads"], report["blas_restraints"]) == ("float64", 1, {})
    assert report["machine"]["blas"]["architecture"]
    measured = [(speed["kernel"], speed["product"]) for speed in report["speeds"]]
    names = list(map(str, PRODUCTS))
    assert measured == [("numba-naive", name) for name in names[:2]] + [
        ("numpy", name) for name in names
    ]
    peak = report["ceilings"]["ceilings"][0]["float64"]["median"]
    for speed in report["speeds"]:
        assert speed["rounds"] >= 3
        assert speed["share"]["median"] == pytest.approx(speed["flops"]["median"] / peak)
        for key in ("flops", "share", "ratio"):
            assert 0 < speed[key]["low"] <= speed[key]["median"] <= speed[key]["high"]


def test_the_fastest_of_the_peaks_counts(fastnn, monkeypatch, without_restraints):
    """Which are measured before the kernels and after each."""
    peaks = [Spread(2e15, 2e15, 2e15), Spread(1e15, 1e15, 1e15)]
    monkeypatch.setattr(machine_ceilings, "_peak", lambda dtype, threads: peaks.pop())
    report = fastnn(*MEASURE, "--json").json
    assert report["ceilings"]["ceilings"][0]["float32"]["median"] == 2e15
    assert report["ceilings"]["ceilings"][0]["float64"]["median"] < 1e15
    assert peaks == []
    for speed in report["speeds"]:
        assert speed["share"]["median"] == pytest.approx(speed["flops"]["median"] / 2e15)


def test_text(fastnn, without_restraints):
    lines = fastnn(*MEASURE).out.splitlines()
    assert "float32, threads 1, BLAS " in lines[1]
    assert lines[2].startswith("FMA peak ")
    assert [line.split()[0] for line in lines if "·" in line] == ["numba-naive"] * 2 + ["numpy"] * 3


def test_a_restrained_blas_is_told(fastnn, monkeypatch, without_restraints):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    result = fastnn(*MEASURE, "--json")
    assert "warning: OPENBLAS_CORETYPE=Haswell is set" in result.err
    assert result.json["blas_restraints"] == {"OPENBLAS_CORETYPE": "Haswell"}


@pytest.mark.parametrize("compute", [misses_the_last_row, wrong_beyond_the_first_rows])
@pytest.mark.parametrize("product", [Product(3, 4, 5), Product(700, 200, 200)], ids=str)
def test_a_wrong_kernel_is_not_timed(monkeypatch, compute, product):
    monkeypatch.setattr(measuring.timing, "measure", pytest.fail)
    kernel = kernels.Kernel("wrong", "", compute)
    with pytest.raises(VerificationError, match="wrong: out"):
        measure_kernel(kernel, [product], "float32")


def test_a_wrong_kernel_is_an_error(fastnn, monkeypatch):
    wrong = kernels.Kernel("wrong", "", misses_the_last_row)
    monkeypatch.setattr(kernels, "LADDER", (*kernels.LADDER, wrong))
    fastnn("kernels", "--measure", "--kernels", "wrong").assert_error("not timed", "wrong")


@pytest.mark.parametrize("option", [("--dtype", "float64"), ("--threads", "1")])
def test_what_says_how_to_measure_needs_measuring(fastnn, option):
    fastnn("kernels", *option).assert_error(option[0], "--measure")


def test_other_values_than_are_allowed(fastnn):
    fastnn("kernels", "--measure", "--dtype", "float16").assert_error("float16", "float32")
    fastnn("kernels", "--measure", "--kernels", "fast").assert_error("'fast'")
    fastnn("kernels", "--measure", "--threads", "0").assert_error("threads")


@pytest.mark.parametrize("product", dense_products(3, 4, 5), ids=str)
def test_operands_are_those_of_a_dense_layer(product):
    a, b, out = product.operands("float32")
    assert (a.shape, b.shape) == ((product.m, product.k), (product.k, product.n))
    assert a.T.flags.c_contiguous == ("a" in product.transposed)
    assert b.T.flags.c_contiguous == ("b" in product.transposed)
    assert np.isnan(out).all()
    assert out.shape == (product.m, product.n)
