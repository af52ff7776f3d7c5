"""``fastnn report``: it writes a page, and overwrites nothing but reports."""

import subprocess
import sys

import pytest

from fastnn.cli.report import check_replaceable
from fastnn.experiments.settings import ExperimentError
from fastnn.study.report import measurements, require
from fastnn.study.report.page import GENERATOR
from tests.study.report.conftest import TINY, machine_measured_shortly


def test_report_writes_a_page_and_replaces_an_older_one(fastnn, tmp_path, monkeypatch):
    monkeypatch.setattr(measurements, "QUICK", TINY)
    out = tmp_path / "report.html"
    arguments = ("--quick", "--out", out, "--kernels", "numpy", "--hidden", "4", "--epochs", "2")
    monkeypatch.setattr(sys, "argv", ["fastnn", "report", *map(str, arguments)])
    for _ in range(2):
        with machine_measured_shortly():
            result = fastnn("report", *arguments, "--threads", "1", "--asv", tmp_path)
        assert result.status == 0, result
        assert str(out) in result.out
    page = out.read_text(encoding="utf-8")
    assert f'content="{GENERATOR} ' in page
    assert "64-4-10" in page
    assert "--hidden 4" in page
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_report_does_not_overwrite_other_files(fastnn, tmp_path):
    mine = tmp_path / "thesis.html"
    mine.write_text("<html>three years of work</html>")
    fastnn("report", "--out", mine).assert_error("thesis.html", "not overwritten")
    assert mine.read_text() == "<html>three years of work</html>"
    with pytest.raises(ExperimentError, match="not overwritten"):
        check_replaceable(tmp_path, GENERATOR)


def test_report_needs_a_directory_that_exists(fastnn, tmp_path):
    fastnn("report", "--out", tmp_path / "no" / "page.html").assert_error("not a directory")


def test_require_names_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "fastnn.study.report.drawing")
    with pytest.raises(ValueError, match=r"matplotlib.*\[report\]"):
        require("fastnn.study.report.drawing", "report")


def test_other_commands_do_not_wait_for_matplotlib():
    script = "import sys, fastnn.cli; assert not {'matplotlib', 'jinja2'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", script], check=True)
