"""``fastnn compare``: its tables, and what it warns of and refuses."""

import re

import numpy as np
import pytest

from fastnn.kernels import Kernel
from fastnn.study import comparison, profile

pytestmark = pytest.mark.usefixtures("quiet")

QUICK = ("--rounds", "2", "--seconds", "0.001", "--hidden", "8")
SMALL = Kernel("small", "small products only", np.matmul, max_multiplications=1000)
WRONG = Kernel("wrong", "zeros", lambda a, b, out: out.fill(0))


def test_compare_prints_three_tables(fastnn):
    result = fastnn("compare", *QUICK, "--kernels", "naive,numba", "--dtype", "float64")
    assert (result.status, result.err) == (0, "")
    assert "64-8-10 network in float64" in result.out
    assert "losses of 4 steps agree" in result.out
    starts = [line.split()[0] for line in result.out.splitlines() if line.strip()]
    tables = ["training", "products", "inference"]
    assert [word for word in starts if word in tables] == tables
    assert starts.count("numba") == starts.count("numpy") == 1 + 1 + 3
    (training,) = re.findall(r"^ naive +.*†.*", result.out, re.MULTILINE)[:1]
    assert training.split()[4] in ("s†", "ms†")  # the epoch's; the step's is as it was timed
    assert "† extrapolated from fewer than the 45 steps" in result.out
    assert max(map(len, result.out.splitlines()[4:-1])) <= 80


def test_compare_prints_markdown(fastnn):
    arguments = ("--kernels", "numba", "--inference", "2,3", "--markdown")
    lines = fastnn("compare", *QUICK, *arguments).out.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert rows[:2] == [
        "| training | step | epoch | × naive | × numpy |",
        "| --- | --: | --: | --: | --: |",
    ]
    assert len(rows) == 4 + 4 + 6
    assert {row.count("|") for row in rows} == {6}
    assert rows[2].split(" | ")[3] == "–"  # naive was not asked for
    assert [row.split(" | ")[1] for row in rows[-4:]] == ["2", "3"] * 2
    fastnn("compare", "--markdown", "--json").assert_error("--json", "--markdown")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--flush-denormals", "denormals flushed to zero"),
        ("--no-flush-denormals", "denormals kept"),
    ],
)
def test_compare_states_the_mode_of_denormals(fastnn, option, said):
    assert said in fastnn("compare", *QUICK, "--kernels", "numpy", option).out


def test_compare_says_where_the_lines_of_a_step_do_not_add_up(fastnn, monkeypatch):
    monkeypatch.setattr(profile, "MAX_GAP", -1.0)
    out = fastnn("compare", *QUICK, "--kernels", "numpy").out
    assert "numpy: the lines add up to" in out
    rows = [line.split() for line in out.splitlines() if line.strip()]
    products = rows[[row[0] for row in rows].index("products") + 2]
    assert (products[0], products[-2:]) == ("numpy", ["–", "–"])


def test_compare_warns_of_a_busy_machine(fastnn, monkeypatch):
    monkeypatch.setattr(comparison, "MAX_QUIET_NOISE", -1.0)
    result = fastnn("compare", *QUICK, "--kernels", "numpy", "--json")
    assert "warning: the machine is busy" in result.err
    assert result.json["noise"] >= 0


def test_compare_warns_of_a_restrained_blas(fastnn, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    result = fastnn("compare", *QUICK, "--kernels", "numpy", "--json")
    assert "warning: OPENBLAS_CORETYPE=Haswell is set" in result.err
    assert result.json["blas_restraints"] == {"OPENBLAS_CORETYPE": "Haswell"}


@pytest.mark.parametrize("sizes", ["x", "", "0", "4,-1"])
def test_compare_checks_batch_sizes_of_inference(fastnn, sizes):
    fastnn("compare", "--kernels", "numpy", "--inference", sizes).assert_error("inference")


def test_compare_refuses_a_wrong_kernel(fastnn):
    fastnn("compare", *QUICK, "--kernels", f"{__name__}:WRONG").assert_error(
        "kernel wrong trains to a loss of", "more than rounding"
    )


def test_compare_skips_a_kernel_that_a_product_is_too_large_for(fastnn):
    arguments = ("compare", *QUICK, "--kernels", f"{__name__}:SMALL")
    row = fastnn(*arguments, "--json").json["kernels"][0]
    assert set(row) == {"kernel", "summary", "skipped"}
    assert "16,384 multiplications, more than the 1,000" in row["skipped"]
    assert "small: a product has" in fastnn(*arguments).out
