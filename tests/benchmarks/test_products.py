"""`benchmarks.products`: its products, its table, its rows. Figures themselves decide no test."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks import products
from benchmarks.products import ROWS, LaidOut, Outcome, Row, measure
from benchmarks.suites.layouts import LAYOUTS
from fastnn import kernels
from fastnn.kernels import Kernel
from fastnn.kernels.measuring.timing import Spread
from fastnn.study.products import Product, Timing, VerificationError, squares

WRONG = Kernel("numba", "", lambda a, b, out: out.fill(0))


def outcome(*medians):
    ratios = {str(i): Spread(m - 0.1, m, m + 0.1) for i, m in enumerate(medians)}
    return Outcome("work", "float32", 1, ratios, ratios)


@pytest.fixture
def command(quiet, monkeypatch):
    monkeypatch.setattr(products, "QUICK_FACTOR", 0.02)
    app = typer.Typer()
    app.command()(products.main)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


def test_outcome_has_the_geometric_mean_and_the_lowest():
    found = outcome(4.0, 1.0)
    assert found.mean == pytest.approx(2.0)
    assert found.lowest(1) == [("1", Spread(0.9, 1.0, 1.1))]
    assert found.report()["worst"] == {"shape": "1", "low": 0.9, "median": 1.0, "high": 1.1}


def test_outcome_has_the_spread_of_a_typical_product():
    assert outcome(1.0, 2.0, 20.0).spread == pytest.approx(0.1)


def test_network_products_are_those_of_the_networks_each_once():
    found = products.network_products(quick=False)
    assert len(found) == len(set(found)) == 7 * 9 * 3
    assert Product(1, 784, 128) in found
    assert Product(512, 1024, 10, "a") in found
    assert Product(100, 7, 200, "b") in found


def test_random_products_are_the_same_every_time_and_within_limits():
    found = products.random_products(quick=False)
    assert found == products.random_products(quick=False)
    sizes = [size for product in found for size in (product.m, product.k, product.n)]
    assert min(sizes) >= 1
    assert max(sizes) <= 1024
    assert sum(size < 32 for size in sizes) > len(sizes) / 3
    assert {product.transposed for product in found} == {"", "a", "b"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_laid_out_operands_hold_the_same_numbers(layout):
    product = LaidOut(3, 4, 5, layout=layout)
    assert str(product) == layout
    operands = zip(product.operands("float32"), Product(3, 4, 5).operands("float32"), strict=True)
    for ours, contiguous in operands:
        np.testing.assert_array_equal(ours, contiguous)


def test_measure_measures_the_lowest_again_and_the_new_figure_counts(monkeypatch, quiet):
    asked = []

    def measure_kernel(kernel, chosen, dtype, **options):
        asked.append([product.n for product in chosen])
        return [
            Timing("numba", p, np.ones(1), np.array([len(asked) * (1.0 + p.n)])) for p in chosen
        ]

    monkeypatch.setattr(products, "measure_kernel", measure_kernel)
    row = Row("", lambda quick: squares(*range(1, 21)), dtypes=("float32",))
    (found,) = measure(row, threads=1, quick=True)
    assert asked == [list(range(1, 21)), list(range(1, products.REMEASURED + 1))]
    assert found.ratios["1×1·1×1"].median == 2 * 2
    assert found.ratios["20×20·20×20"].median == 21


def test_command_prints_tables_and_writes_json(command, tmp_path):
    path = tmp_path / "products.json"
    result = command("--quick", "--rows", "overhead,layouts", "--threads", 1, "--json", path)
    assert result.exit_code == 0, result.output
    report = json.loads(path.read_text())
    assert [(each["work"], each["dtype"]) for each in report["outcomes"]] == [
        ("call overhead", "float32"),
        ("call overhead", "float64"),
        ("layouts, to contiguous", "float32"),
        ("layouts, to contiguous", "float64"),
    ]
    for each in report["outcomes"]:
        assert each["work"] in result.output
        assert each["mean"] > 0
        assert 0 < each["share"] < 2
    assert "every 2nd row" in result.output
    assert report["machine"]["blas"]["architecture"] in result.output


def test_rows_for_several_threads_are_measured_on_one_too(monkeypatch, quiet):
    monkeypatch.setattr(products, "LARGE_SIDES", (32, 64, 96))
    monkeypatch.setattr(products, "QUICK_FACTOR", 0.0)
    threads = kernels.get_num_threads()
    found = list(measure(ROWS["large"], threads, quick=True))
    assert [each.threads for each in found] == sorted({1, threads})
    for each in found:
        assert list(each.ratios) == list(each.shares) == ["32×32·32×32", "64×64·64×64"]


def test_command_prints_the_other_rows_where_one_fails(command, monkeypatch):
    def failing(quick):
        raise VerificationError("not timed")

    monkeypatch.setitem(ROWS, "squares", Row("squares", failing))
    result = command("--quick", "--rows", "squares,overhead")
    assert result.exit_code == 1
    assert "call overhead" in result.output
    assert "squares: not timed" in result.output


def test_wrong_kernel_gets_no_figure(monkeypatch, quiet):
    monkeypatch.setitem(kernels.LADDER, "numba", f"{__name__}:WRONG")
    with pytest.raises(VerificationError):
        list(measure(ROWS["squares"], threads=1, quick=True))


def test_avx2_holds_both_libraries_to_it(monkeypatch):
    seen = {}

    def run(command, **options):
        seen.update(options["env"])
        path = command[command.index("--json") + 1]
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"outcomes": [outcome(1.5).report()]}, file)
        return products.subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(products.subprocess, "run", run)
    (found,) = products.measure_avx2(quick=True)
    assert (seen["NUMBA_CPU_NAME"], seen["OPENBLAS_CORETYPE"]) == ("haswell", "Haswell")
    assert found.work == "network shapes, AVX2"
    assert found.ratios == outcome(1.5).ratios


def test_command_refuses_unknown_rows(command):
    result = command("--rows", "cubes")
    assert result.exit_code == 2
    assert "no rows cubes" in result.output
