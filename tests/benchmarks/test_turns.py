"""`benchmarks.turns`: both ways are measured by turns. Figures themselves decide no test."""

import json

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import turns
from fastnn.study.products import squares


def test_command_measures_every_product_both_ways(quiet, tmp_path):
    app, path = typer.Typer(), tmp_path / "turns.json"
    app.command()(turns.main)
    result = CliRunner().invoke(app, ["--rounds", "2", "--threads", "1", "--json", str(path)])
    assert result.exit_code == 0, result.output
    report = json.loads(path.read_text())
    assert [row["product"] for row in report["turns"]] == list(map(str, turns.PRODUCTS))
    for row in report["turns"]:
        assert row["product"] in result.output
        for way in ("together", "apart"):
            assert 0 < row[way]["flops"]["low"] <= row[way]["flops"]["median"]


def test_summary_compares_within_a_round(monkeypatch):
    monkeypatch.setattr(turns, "PRODUCTS", squares(10))
    # A round in one process and in a process each: what numba takes, then numpy.
    rounds = [([[1.0], [2.0]], [[1.0], [1.0]]), ([[4.0], [8.0]], [[2.0], [2.0]])]
    (row,) = turns.summary(rounds)
    assert row["together"]["ratio"]["median"] == 2.0
    assert row["apart"]["ratio"]["median"] == 1.0
    assert row["together_to_apart"]["median"] == 2.0
    assert turns.table_of_ratios({"turns": [row]})[1] == [
        ["10×10·10×10", "2.00 (2.00–2.00)", "1.00 (1.00–1.00)", "2.00 (2.00–2.00)"]
    ]
    assert row["apart"]["flops"]["median"] == pytest.approx((2000 + 1000) / 2)
