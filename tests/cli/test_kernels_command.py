"""``fastnn kernels``: the list, and ``--measure``."""

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels import Kernel
from fastnn.kernels.measuring import ceilings
from fastnn.kernels.measuring.timing import Spread
from fastnn.kernels.testing.contract import find_fault
from fastnn.study import products
from fastnn.study.products import Product

MEASURE = ("kernels", "--measure", "--kernels", "numba-naive,numpy", "--threads", "1")
PRODUCTS = (Product(4, 5, 6), Product(1, 784, 10), Product(600, 1000, 1000))


def wrong(a, b, out):
    np.matmul(a, b, out)
    out *= 1.01


def failing(a, b, out):
    raise RuntimeError("no such instruction")


WRONG = Kernel("wrong", "wrong by a hundredth", wrong)
FAILING = Kernel("failing", "needs another processor", failing)


@pytest.fixture(autouse=True)
def small(monkeypatch, quiet):
    """Measure little, for little time."""
    monkeypatch.setattr(products, "PRODUCTS", PRODUCTS)
    monkeypatch.setattr(products, "PRODUCT_SECONDS", 0.001)


def test_kernels_lists_those_that_work_and_what_is_wrong_with_others(fastnn, monkeypatch):
    for name in ("wrong", "failing"):
        monkeypatch.setitem(kernels.LADDER, name, f"{__name__}:{name.upper()}")
    rows = {row["name"]: row for row in fastnn("kernels", "--json").json["kernels"]}
    assert tuple(rows) == kernels.names()
    assert [name for name, row in rows.items() if not row["usable"]] == ["wrong", "failing"]
    assert rows["naive"]["summary"] == kernels.get("naive").summary
    assert rows["failing"]["fault"] == "RuntimeError: no such instruction"
    assert "5.05" in rows["wrong"]["fault"]
    text = fastnn("kernels").out
    assert all(name in text for name in kernels.names())


def test_find_fault_names_a_kernel_that_is_not_there():
    assert "'fast'" in find_fault("fast")


def test_measure_covers_the_products_that_are_reasonable_for_a_kernel(fastnn):
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
    peak = report["ceilings"]["float64"]["median"]
    for speed in report["speeds"]:
        assert speed["rounds"] >= 3
        assert speed["share"]["median"] == pytest.approx(speed["flops"]["median"] / peak)
        for key in ("flops", "share", "ratio"):
            assert 0 < speed[key]["low"] <= speed[key]["median"] <= speed[key]["high"]


def test_measure_takes_the_highest_of_the_peaks(fastnn, monkeypatch):
    """Which are measured before the kernels (each dtype) and after each."""
    spreads = [Spread(peak, peak, peak) for peak in (2e15, 1e15, 9.0, 1.0)]
    monkeypatch.setattr(ceilings, "_peak", lambda dtype, crew, rounds: spreads.pop())
    report = fastnn(*MEASURE, "--json").json
    assert report["ceilings"]["float32"]["median"] == 2e15
    assert report["ceilings"]["float64"]["median"] == 9.0
    assert spreads == []
    for speed in report["speeds"]:
        assert speed["share"]["median"] == pytest.approx(speed["flops"]["median"] / 2e15)


def test_measure_prints_the_machine_and_a_row_for_each_speed(fastnn):
    lines = fastnn(*MEASURE).out.splitlines()
    assert "float32, threads 1, BLAS " in lines[1]
    assert lines[2].startswith("FMA peak ")
    assert [line.split()[0] for line in lines if "·" in line] == ["numba-naive"] * 2 + ["numpy"] * 3


def test_measure_warns_of_a_restrained_blas(fastnn, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    result = fastnn(*MEASURE, "--json")
    assert "warning: OPENBLAS_CORETYPE=Haswell is set" in result.err
    assert result.json["blas_restraints"] == {"OPENBLAS_CORETYPE": "Haswell"}


def test_measure_refuses_a_wrong_kernel(fastnn):
    result = fastnn("kernels", "--measure", "--kernels", f"{__name__}:WRONG")
    result.assert_error("not timed", "wrong")


@pytest.mark.parametrize("option", [("--dtype", "float64"), ("--threads", "1")])
def test_options_of_measure_are_refused_without_it(fastnn, option):
    fastnn("kernels", *option).assert_error(option[0], "--measure")


def test_measure_refuses_other_values_than_are_allowed(fastnn):
    fastnn("kernels", "--measure", "--dtype", "float16").assert_error("float16", "float32")
    fastnn("kernels", "--measure", "--kernels", "fast").assert_error("'fast'")
    fastnn("kernels", "--measure", "--threads", "0").assert_error("threads")
