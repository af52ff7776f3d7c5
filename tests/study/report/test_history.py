"""`fastnn.study.report.history`: what it reads of asv's results."""

import json
import math
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from asv.results import Results

from fastnn.study.report.history import read_history

BENCHMARK = {
    "name": "matmul.Square.time_matmul",
    "version": "1",
    "params": [["'naive'", "'numba'"], ["64", "128"]],
}


def keep(directory, commit, day, times, *, machine="here", benchmark=BENCHMARK):
    results = Results({"machine": machine}, {}, commit * 40, day, "3.11", "virtualenv-py3.11", {})
    count = len(times)
    results.add_result(
        benchmark,
        SimpleNamespace(
            result=times,
            samples=[None] * count,
            number=[None] * count,
            stderr="",
            errcode=0,
            profile=None,
        ),
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    results.save(str(directory))
    (directory / machine / "machine.json").write_text(
        json.dumps({"machine": machine, "version": 1})
    )


def test_read_history_of_no_results_is_empty(tmp_path):
    assert read_history(tmp_path / "nowhere") == []
    (tmp_path / "benchmarks.json").write_text("{}")
    assert read_history(tmp_path) == []


def test_read_history_has_a_line_for_each_kernel_over_commits_in_order(tmp_path):
    keep(tmp_path, "b", 2000, [1.0, 4.0, 0.01, 0.04])
    keep(tmp_path, "a", 1000, [2.0, 8.0, 0.02, 0.02])
    (past,) = read_history(tmp_path)
    assert past["benchmark"] == BENCHMARK["name"]
    assert past["commits"] == ["a" * 8, "b" * 8]
    assert past["kernels"]["naive"] == pytest.approx([4.0, 2.0])
    assert past["kernels"]["numba"] == pytest.approx([0.02, 0.02])


def test_read_history_averages_what_all_commits_have(tmp_path):
    keep(tmp_path, "a", 1000, [2.0, None, 0.02, math.nan])
    keep(tmp_path, "b", 2000, [1.0, 4.0, None, None])
    (past,) = read_history(tmp_path)
    assert past["kernels"] == {"naive": [2.0, 1.0], "numba": [0.02, None]}


def test_read_history_leaves_other_machines_out(tmp_path):
    keep(tmp_path, "a", 1000, [1.0, 1.0, 1.0, 1.0], machine="there")
    keep(tmp_path, "b", 2000, [2.0, 2.0, 2.0, 2.0])
    (past,) = read_history(tmp_path)
    assert past["commits"] == ["b" * 8]


@pytest.mark.parametrize(
    "others",
    [{"name": "matmul.Square.track_gflops"}, {"params": [["1", "2"], ["64", "128"]]}],
)
def test_read_history_has_only_times_by_kernel(tmp_path, others):
    keep(tmp_path, "a", 1000, [1.0] * 4, benchmark=BENCHMARK | others)
    assert read_history(tmp_path) == []


def test_read_history_keeps_the_order_of_commits_that_lack_a_kernel(tmp_path):
    keep(tmp_path, "a", 1000, [1.0, 1.0, None, None])
    keep(tmp_path, "b", 2000, [None, None, 2.0, 2.0])
    keep(tmp_path, "c", 3000, [4.0, 4.0, 4.0, 4.0])
    (past,) = read_history(tmp_path)
    assert past["commits"] == ["a" * 8, "b" * 8, "c" * 8]
    assert past["kernels"]["naive"] == pytest.approx([1.0, None, 4.0])
