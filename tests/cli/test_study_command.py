import subprocess
import sys
import time

import numpy as np
import pytest

import fastnn as package
import kernels
from fastnn.comparison import Comparison, ComparisonError, find_fault
from fastnn.experiment import Experiment

QUICK = ("--rounds", "2", "--seconds", "0.001", "--hidden", "8")


def wrong(a, b, out):
    np.matmul(a, b, out)
    out *= 1.01


def failing(a, b, out):
    raise RuntimeError("no such instruction")


@pytest.fixture
def ladder(monkeypatch):
    """Return a function that adds a kernel to the ladder."""

    def add(kernel):
        monkeypatch.setattr(kernels, "LADDER", (*kernels.LADDER, kernel))

    return add


def test_the_ladder(fastnn, ladder):
    ladder(kernels.Kernel("wrong", "wrong by a hundredth", wrong))
    ladder(kernels.Kernel("failing", "needs another processor", failing))
    rows = {row["name"]: row for row in fastnn("kernels", "--json").json["kernels"]}
    assert tuple(rows) == kernels.names()
    assert [name for name, row in rows.items() if not row["usable"]] == ["wrong", "failing"]
    assert rows["naive"]["summary"] == kernels.get("naive").summary
    assert rows["failing"]["fault"] == "RuntimeError: no such instruction"
    assert "5.05" in rows["wrong"]["fault"]
    text = fastnn("kernels").out
    assert all(name in text for name in kernels.names())


def test_an_unknown_kernel_is_a_fault():
    assert "'fast'" in find_fault("fast")


def test_comparison_of_the_whole_ladder(fastnn):
    report = fastnn("compare", *QUICK, "--json").json
    rows = {row["kernel"]: row for row in report["kernels"]}
    assert tuple(rows) == kernels.names()
    assert report["loss_difference"] < 1e-4
    assert rows["numpy"]["ratio"] == rows["numpy"]["inference_ratio"] == 1
    assert rows["naive"]["ratio"] > 1
    assert rows["naive"]["steps"] == 1
    for row in rows.values():
        assert row["ratio"] == row["epoch_seconds"] / rows["numpy"]["epoch_seconds"]
        assert row["inference_seconds"] > 0
        assert row["loss"] == pytest.approx(rows["numpy"]["loss"], rel=1e-4)


def test_text_of_a_comparison(fastnn):
    result = fastnn("compare", *QUICK, "--kernels", "numba", "--dtype", "float64")
    assert (result.status, result.err) == (0, "")
    assert "64-8-10 network in float64" in result.out
    assert "losses of 4 steps agree" in result.out
    assert [
        line.split()[0] for line in result.out.splitlines() if "µs" in line or "ns" in line
    ] == [
        "numba",
        "numpy",
    ]


def test_a_kernel_that_computes_something_else(fastnn, ladder):
    ladder(kernels.Kernel("wrong", "wrong by a hundredth", wrong))
    fastnn("compare", *QUICK, "--kernels", "wrong").assert_error(
        "kernel wrong trains to a loss of", "more than rounding"
    )


def test_a_kernel_that_gives_no_numbers():
    comparison = Comparison(Experiment(hidden=(4,), kernel="numpy"), ["numpy", "numba"])
    comparison.contenders[1].net.parameters.flat[0] = np.nan
    with pytest.raises(ComparisonError, match="numba trains to a loss of nan"):
        comparison.verify()


def test_a_product_too_large_for_a_kernel_is_not_waited_for(fastnn, ladder):
    small = kernels.Kernel("small", "small products only", np.matmul, max_multiplications=1000)
    ladder(small)
    report = fastnn("compare", *QUICK, "--kernels", "small", "--json").json
    row = report["kernels"][0]
    assert row["epoch_seconds"] is None
    assert "16,384 multiplications, more than the 1,000" in row["skipped"]
    assert "small: a product has" in fastnn("compare", *QUICK, "--kernels", "small").out


def test_help_does_not_wait_for_numba():
    code = (
        "import sys\nfrom fastnn.cli import main\nmain(['train', '--help'])\n"
        "assert 'numba' not in sys.modules\nassert 'fastnn.cli' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert "Usage: fastnn train" in done.stdout


def test_the_package_gives_its_names_when_they_are_asked_for():
    assert set(package.__all__) <= set(dir(package))
    assert all(getattr(package, name).__name__ == name for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Dens'"):
        getattr(package, "Dens")  # noqa: B009


def test_version(fastnn):
    assert fastnn("--version").out == f"{package.__version__}\n"


def test_the_median_of_the_rounds_counts(monkeypatch):
    comparison = Comparison(Experiment(hidden=(4,)), ["numpy"], rounds=3, seconds=1e-4)
    comparison.verify()
    comparison.measure()
    (contender,) = comparison.contenders
    contender.epoch_seconds[:] = [5.0, 1.0, 2.0]
    contender.sample_seconds[:] = [1.0, 9.0, 4.0]
    (row,) = comparison.report()["kernels"]
    assert (row["epoch_seconds"], row["inference_seconds"]) == (2.0, 4.0)


def test_an_epoch_is_extrapolated_from_the_steps_that_were_timed():
    def slow(a, b, out):
        time.sleep(0.002)
        np.matmul(a, b, out)

    comparison = Comparison(Experiment(hidden=()), ["numpy"], rounds=1, seconds=0.01)
    (contender,) = comparison.contenders
    contender.net.kernel = kernels.Kernel("slow", "sleeps", slow)
    comparison.verify()
    comparison.measure()
    assert contender.steps < comparison.steps_per_epoch == 45
    assert 45 * 2 * 0.002 <= contender.epoch_seconds[0] < 2  # two products a step
