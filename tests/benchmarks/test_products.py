"""The table of bars: what it holds, when a bar holds. Figures themselves decide no test."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks import bars, products
from benchmarks.bars import Outcome
from fastnn import kernels
from fastnn.kernels.measuring.timing import Spread
from fastnn.study.products import Product, VerificationError


def outcome(*medians, **limits):
    ratios = {str(i): Spread(m - 0.1, m, m + 0.1) for i, m in enumerate(medians)}
    return Outcome("work", "float32", 1, ratios, **limits)


@pytest.fixture
def command():
    app = typer.Typer()
    app.command()(products.main)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


def test_a_bar_holds_for_the_mean_and_for_every_shape():
    assert outcome(1.0, 4.0).mean == pytest.approx(2.0)
    assert outcome(1.0, 4.0).worst == ("0", Spread(0.9, 1.0, 1.1))
    assert outcome(1.0, 4.0, mean_bar=1.99, worst_bar=1.0).holds
    assert not outcome(1.0, 4.0, mean_bar=2.01).holds
    assert not outcome(1.0, 4.0, worst_bar=1.01).holds


def test_the_spread_is_that_of_a_typical_shape():
    assert outcome(1.0, 2.0, 20.0).spread == pytest.approx(0.1)


def test_network_products_are_those_of_the_issue_each_once():
    found = products.network_products(products.BATCHES)
    assert len(found) == len(set(found)) == 7 * 9 * 3
    assert Product(1, 784, 128) in found
    assert Product(512, 1024, 10, "a") in found
    assert Product(100, 7, 200, "b") in found


def test_random_products_are_the_same_every_time_and_within_limits():
    found = products.random_products(200)
    assert found == products.random_products(200)
    sizes = [size for product in found for size in (product.m, product.k, product.n)]
    assert min(sizes) >= 1
    assert max(sizes) <= 1024
    assert sum(size < 32 for size in sizes) > len(sizes) / 3
    assert {product.transposed for product in found} == {"", "a", "b"}


def test_the_lowest_are_measured_again_and_the_new_figure_counts(monkeypatch):
    asked = []

    def measure(cases, seconds, threads):
        asked.append([case.name for case in cases])
        return [np.array([[1.0, len(asked) * (1 + int(case.name))]]) for case in cases]

    monkeypatch.setattr(products.timing, "measure", measure)
    cases = [products.Case(str(number), ()) for number in range(20)]
    ratios = products.speeds(cases, products.Options(quick=True, threads=1), 1)
    assert asked == [[str(i) for i in range(20)], [str(i) for i in range(products.LOWEST)]]
    assert ratios["0"].median == 2
    assert ratios["19"].median == 20


def test_the_command_prints_bars_and_worst_shapes_and_writes_json(command, tmp_path, monkeypatch):
    monkeypatch.setattr(products.Options, "seconds", 0.002)
    path = tmp_path / "bars.json"
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
        assert isinstance(each["holds"], bool)
    assert "every 2nd row" in result.output
    assert report["machine"]["blas"]["architecture"] in result.output


def test_a_row_that_fails_leaves_the_others(command, monkeypatch):
    def failing(options):
        raise VerificationError("not timed")

    monkeypatch.setattr(products.Options, "seconds", 0.002)
    monkeypatch.setitem(products.ROWS, "squares", failing)
    result = command("--quick", "--rows", "squares,overhead")
    assert result.exit_code == 1
    assert "call overhead" in result.output
    assert "squares: not timed" in result.output


def test_a_wrong_kernel_gets_no_figure(monkeypatch):
    def wrong(a, b, out):
        out.fill(0)

    monkeypatch.setattr(kernels, "LADDER", (kernels.Kernel("numba", "", wrong), kernels.LADDER[-1]))
    with pytest.raises(VerificationError):
        list(products.squares(products.Options(quick=True, threads=1)))


def test_the_row_on_avx2_has_both_libraries_held_to_it(monkeypatch):
    seen = {}

    def run(command, **options):
        seen.update(options["env"])
        path = command[command.index("--json") + 1]
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"outcomes": [outcome(1.5).report()]}, file)
        return products.subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(products.subprocess, "run", run)
    (found,) = products.avx2(products.Options(quick=True, threads=2))
    assert (seen["NUMBA_CPU_NAME"], seen["OPENBLAS_CORETYPE"]) == ("haswell", "Haswell")
    assert found.holds
    assert found.ratios == outcome(1.5).ratios


def test_unknown_rows_are_refused(command):
    result = command("--rows", "cubes")
    assert result.exit_code == 2
    assert "no rows cubes" in result.output


def test_a_missing_bar_is_a_dash():
    assert bars.bar(None) == "–"
    assert bars.bar(0.9) == "0.90"
