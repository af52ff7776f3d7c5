"""``fastnn kernels check``."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn import (
    SGD,
    Dense,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    datasets,
    fit,
    kernels,
)
from fastnn.study import products
from fastnn.study.products import Product

ROOT = Path(__file__).parents[2]
CHAPTER = (ROOT / "kernels" / "README.md").read_text(encoding="utf-8")
EXAMPLE = CHAPTER[CHAPTER.index("## Add a kernel") :]

KERNELS = """
import numpy as np
from fastnn.kernels import Kernel

def skips_zeros(a, b, out):
    out[...] = 0
    for p in range(len(b)):
        nonzero = a[:, p] != 0
        out[nonzero] += np.multiply.outer(a[nonzero, p], b[p])

def misses_the_last(a, b, out):
    np.matmul(a, b, out=out)
    if len(a) == 12:
        out[-1] = 0

rng = np.random.default_rng(0)

def adds_in_any_order(a, b, out):
    order = rng.permutation(len(b))
    np.einsum("ik,kj->ij", a[:, order], b[order], out=out)

SKIPS = Kernel("skips", "no work for zeros", skips_zeros)
MISSES = Kernel("misses", "a row too few", misses_the_last)
CHANCE = Kernel("chance", "in any order", adds_in_any_order)
"""


@pytest.fixture(autouse=True)
def little(monkeypatch, quiet):
    """Measure little, for little time."""
    monkeypatch.setattr(products, "PRODUCTS", (Product(4, 5, 6), Product(1, 784, 10)))
    monkeypatch.setattr(products, "PRODUCT_SECONDS", 0.001)


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(KERNELS)
    return path


def test_check_measures_a_kernel_that_keeps_the_contract(fastnn):
    result = fastnn("kernels", "check", "numba-naive", "--dtype", "float64", "--threads", 1)
    assert (result.status, result.err) == (0, "")
    assert re.search(r"^ shapes +yes ", result.out, re.MULTILINE)
    assert re.search(r"^ threads +yes .*", result.out, re.MULTILINE)
    assert "float64, threads 1, BLAS " in result.out
    assert [line.split()[0] for line in result.out.splitlines() if "·" in line] == [
        "numba-naive",
        "numba-naive",
    ]


def test_check_prints_json(fastnn, mine):
    report = fastnn("kernels", "check", "numba-naive", "--threads", 1, "--json").json
    assert (report["kernel"], report["keeps_contract"]) == ("numba-naive", True)
    assert len(report["measured"]["speeds"]) == 2
    assert all(promise["fault"] is None for promise in report["promises"])
    result = fastnn("kernels", "check", f"{mine}:MISSES", "--json")
    assert result.status == 1
    report = result.json
    assert (report["keeps_contract"], report["measured"]) == (False, None)
    (example,) = (p["example"] for p in report["promises"] if p["promise"] == "shapes")
    assert (example["m"], example["k"], example["n"]) == (12, 1, 1)
    assert example["dtype"] == "float32"
    assert example["a"] is None  # too tall to be read


def test_check_shows_the_smallest_example_and_times_nothing(fastnn, mine):
    result = fastnn("kernels", "check", f"{mine}:SKIPS")
    assert (result.status, result.err) == (1, "")
    shown = result.out[result.out.index("special values: skips: out[0, 0] is 0.0, not nan") :]
    assert "(1, 1) @ (1, 1) in float32" in shown
    assert re.findall(r"^ *(a|b|expected|got) = +(\S+)$", shown, re.MULTILINE) == [
        ("a", "0.0"),
        ("b", "nan"),
        ("expected", "nan"),
        ("got", "0.0"),
    ]
    assert "GFLOP/s" not in result.out
    assert "beyond" not in result.out


def test_check_tells_of_promises_beyond_the_contract(fastnn, mine):
    result = fastnn("kernels", "check", f"{mine}:CHANCE", "--threads", 1)
    assert result.status == 0
    assert re.search(r"^ repeatable +no ", result.out, re.MULTILINE)
    assert "repeatable: chance: other bits again" in result.out
    assert "GFLOP/s" in result.out


@pytest.mark.parametrize(
    ("where", "parts"),
    [
        ("fast", ("'fast'", "numba-naive")),
        ("nowhere:KERNEL", ("nowhere", "cannot be imported")),
        ("nowhere.py:KERNEL", ("nowhere.py", "No such file")),
        ("fastnn.kernels.naive:compute", ("function", "Kernel")),
        ("fastnn.kernels.naive:KERNEL", ("'KERNEL'", "NAIVE")),
    ],
)
def test_check_refuses_what_is_not_a_kernel(fastnn, where, parts):
    fastnn("kernels", "check", where).assert_error(*parts)


@pytest.mark.parametrize("option", [("--measure",), ("--json",), ("--dtype", "float64")])
def test_check_takes_options_after_its_name_only(fastnn, option):
    fastnn("kernels", *option, "check", "naive").assert_error(option[0], "before check")


def test_measure_takes_kernels_from_files(fastnn, mine):
    arguments = ("--kernels", f"numpy,{mine}:CHANCE", "--threads", 1, "--json")
    report = fastnn("kernels", "--measure", *arguments).json
    assert {speed["kernel"] for speed in report["speeds"]} == {"numpy", "chance"}


def test_check_and_compare_the_worked_example(fastnn, tmp_path, monkeypatch):
    """Which stands in kernels/README.md, and does what is said there."""
    kernel_file, training = re.findall(r"^```python\n(.*?)^```$", EXAMPLE, re.MULTILINE | re.DOTALL)
    assert len(kernel_file.splitlines()) < 30
    (tmp_path / "outer.py").write_text(kernel_file)
    monkeypatch.chdir(tmp_path)
    (check, compare) = (
        line.removeprefix("fastnn ").split()
        for line in re.findall(r"^fastnn .*$", EXAMPLE, re.MULTILINE)
    )
    result = fastnn(*check, "--threads", 1)
    assert result.status == 0, result.out
    assert [line.split()[0] for line in result.out.splitlines() if "·" in line] == ["outer"] * 2

    kept = "NUMBA_CACHE_DIR"  # without it, code is kept beside the package
    compiled = {kept: os.environ[kept]} if kept in os.environ else {}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", training],
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": "", "HOME": str(tmp_path)} | compiled,
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) > 0.9

    compare[compare.index("naive,outer.py:OUTER")] = "outer.py:OUTER"  # the other takes long
    report = fastnn(*compare, "--hidden", 8, "--rounds", 1, "--seconds", 0.001, "--json").json
    assert [row["kernel"] for row in report["kernels"]] == ["outer", "numpy"]
    assert report["loss_difference"] < 1e-5


def test_worked_example_trains_like_numpy(tmp_path):
    kernel_file = re.search(r"^```python\n(.*?)^```$", EXAMPLE, re.MULTILINE | re.DOTALL)[1]
    (tmp_path / "outer.py").write_text(kernel_file)
    digits = datasets.load("digits")
    losses = []
    for kernel in (kernels.get(f"{tmp_path}/outer.py:OUTER"), "numpy"):
        net = Sequential([Dense(64, 8), ReLU(), Dense(8, 10)], kernel=kernel, dtype="float64")
        history = fit(
            *(net, digits.x_train, digits.y_train),
            loss=SoftmaxCrossEntropy(),
            optimizer=SGD(learning_rate=0.1),
            epochs=2,
        )
        losses.append([epoch.loss for epoch in history])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)
