"""The page of a report: whole, self-contained, and nobody's file is lost to it."""

import base64
import json
import re

import pytest

from fastnn.formats import to_json
from fastnn.study.report.drawing import VARIABLES
from fastnn.study.report.page import SECTIONS, command_line, render

PAST = [
    {
        "benchmark": "matmul.Square.time_matmul",
        "commits": ["aaaaaaaa", "bbbbbbbb"],
        "kernels": {"naive": [1.0, None], "numba": [0.02, 0.01], "else": [0.1, 0.1]},
    }
]
FIGURES = {
    *("ladder", "step", "speeds", "roofline", "inference", "approximation"),
    *("curves-over-epochs", "curves-over-seconds"),
    *("descents-over-epochs", "descents-over-seconds"),
}


@pytest.fixture(scope="module")
def page(data):
    return render(data, PAST, "fastnn report --seed 3")


def figures(page):
    return dict(re.findall(r'<figure id="([^"]*)">(.*?)</figure>', page, re.DOTALL))


def test_every_figure_and_section_is_there(page):
    assert figures(page).keys() == FIGURES | {"past-matmul-square-time-matmul"}
    for name, title in SECTIONS.items():
        assert f'id="section-{name}"' in page
        assert title.replace("'", "&#39;") in page
    assert "<code>fastnn report --seed 3</code>" in page


def test_nothing_comes_from_elsewhere(page):
    outside = set(re.findall(r"https?://[^\s\"'<>)]*", page))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r'(src|@import|url\((?!#|"#))', re.sub("<script>.*?</script>", "", page))


def test_ids_differ(page):
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:url\(|href=")#([^")]*)', page))
    assert used <= set(ids)
    for name in re.findall(r'aria-labelledby="([^"]*)"', page):
        assert set(name.split()) <= set(ids)


def test_figures_are_titled_described_and_follow_the_theme(page):
    for figure in figures(page).values():
        title, description = (
            re.search(f"<{tag} [^>]*>(.*?)</{tag}>", figure)[1] for tag in ("title", "desc")
        )
        assert f"<figcaption>{title}</figcaption>" in figure
        assert len(description) > 30
        assert "var(--ink)" in figure
        for colour in VARIABLES:
            assert colour not in figure
        assert re.search("<text", figure)  # not outlines of letters


def test_each_figure_has_its_data(page, data):
    for figure in figures(page).values():
        encoded = re.search(r'href="data:application/json;base64,([^"]*)"', figure)[1]
        assert json.loads(base64.b64decode(encoded))
    whole = re.findall(r'download="report.json" href="data:[^,]*,([^"]*)"', page)
    assert json.loads(base64.b64decode(whole[0])) == data


def test_without_a_past_it_says_how_to_come_by_one(data):
    page = render(data, [], "fastnn report")
    assert figures(page).keys() == FIGURES
    assert "asv run &#39;HEAD^!&#39;" in page or "asv run 'HEAD^!'" in page


def test_what_data_hold_is_no_markup(data):
    bad = json.loads(to_json(data))
    bad["description"] = "<script>alert(1)</script>"
    bad["comparison"]["machine"]["processor"] = "<b>chip</b>"
    page = render(bad, [], "fastnn report --data '<i>'")
    for part in ("<script>alert", "<b>chip", "<i>"):
        assert part not in page


def test_a_skipped_kernel_and_a_busy_machine_are_told(data):
    other = json.loads(to_json(data))
    other["comparison"]["kernels"].append(
        {"kernel": "idle", "summary": "", "skipped": "it does not like to"}
    )
    other["comparison"]["busy"] = True
    page = render(other, [], "fastnn report", quick=True)
    assert "<code>idle</code> is left out: it does not like to." in page
    assert "The machine was busy" in page
    assert "made quickly" in page


def test_the_command_can_be_typed():
    assert command_line(["report", "--out", "my page.html"]) == "fastnn report --out 'my page.html'"
