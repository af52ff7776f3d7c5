"""`fastnn.study.report.page`: whole and self-contained."""

import base64
import json
import re

import pytest

from fastnn.formats import to_json
from fastnn.study.report.drawing import VARIABLES
from fastnn.study.report.page import SECTIONS, render

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


def test_page_has_every_figure_and_section(page):
    assert figures(page).keys() == FIGURES | {"past-matmul-square-time-matmul"}
    for name, title in SECTIONS.items():
        assert f'id="section-{name}"' in page
        assert title.replace("'", "&#39;") in page
    assert "<code>fastnn report --seed 3</code>" in page


def test_page_loads_nothing_from_elsewhere(page):
    outside = set(re.findall(r"https?://[^\s\"'<>)]*", page))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r'(src|@import|url\((?!#|"#))', re.sub("<script>.*?</script>", "", page))


def test_page_has_no_id_twice(page):
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:url\(|href=")#([^")]*)', page))
    assert used <= set(ids)


def test_figures_are_titled_described_and_follow_the_theme(page):
    for figure in figures(page).values():
        title = re.search("<figcaption>(.*?)</figcaption>", figure)[1]
        label = re.search('role="img" aria-label="(.*?)"', figure)[1]
        assert label.startswith(f"{title}. ")
        assert len(label) > len(title) + 30
        assert "var(--ink)" in figure
        for colour in VARIABLES:
            assert colour not in figure
        assert re.search("<text", figure)  # not outlines of letters


def test_figures_have_their_data(page, data):
    for figure in figures(page).values():
        encoded = re.search(r'href="data:application/json;base64,([^"]*)"', figure)[1]
        assert json.loads(base64.b64decode(encoded))
    whole = re.findall(r'download="report.json" href="data:[^,]*,([^"]*)"', page)
    assert json.loads(base64.b64decode(whole[0])) == data


def test_page_without_a_history_says_how_to_get_one(data):
    page = render(data, [], "fastnn report")
    assert figures(page).keys() == FIGURES
    assert "asv run &#39;HEAD^!&#39;" in page or "asv run 'HEAD^!'" in page


def test_page_escapes_what_data_hold(data):
    bad = json.loads(to_json(data))
    bad["description"] = "<script>alert(1)</script>"
    bad["comparison"]["machine"]["processor"] = "<b>chip</b>"
    page = render(bad, [], "fastnn report --data '<i>'")
    for part in ("<script>alert", "<b>chip", "<i>"):
        assert part not in page


def test_page_tells_of_a_skipped_kernel_and_a_busy_machine(data):
    other = json.loads(to_json(data))
    other["comparison"]["kernels"].append(
        {"kernel": "idle", "summary": "", "skipped": "it does not like to"}
    )
    other["comparison"]["busy"] = True
    page = render(other, [], "fastnn report", quick=True)
    assert "<code>idle</code> is left out: it does not like to." in page
    assert "The machine was busy" in page
    assert "made quickly" in page


def test_page_says_where_lines_do_not_add_up_and_concludes_nothing(page, data):
    doubt = "the lines add up to 4.00 ms, a step takes 1.00 ms: no shares are given"
    other = json.loads(to_json(data))
    for row in other["comparison"]["kernels"]:
        row |= {"doubt": None, "product_share": 0.5, "amdahl": 2.0}
    trusting = render(other, [], "fastnn report")
    for row in other["comparison"]["kernels"]:
        row |= {"doubt": doubt, "product_share": None, "amdahl": None}
    doubting = render(other, [], "fastnn report")
    assert f"Under <code>numba</code>, {doubt}." in doubting
    assert doubting.count("the lines do not add up") == len(data["comparison"]["kernels"])
    for conclusion in ("of the time of a step&#39;s calls are products", "The longest line is"):
        assert conclusion in trusting
        assert conclusion not in doubting
    assert "lines add up" not in trusting
    table = doubting[doubting.index('aria-label="Left to gain') :].partition("</table>")[0]
    assert "2.0 ×" not in table


@pytest.mark.parametrize(
    ("flushed", "said"), [(True, "denormals flushed to zero"), (False, "denormals kept")]
)
def test_page_states_the_mode_of_denormals(data, flushed, said):
    other = json.loads(to_json(data))
    other["comparison"]["flush_denormals"] = flushed
    assert render(other, [], "fastnn report").count(said) == 2


def test_page_has_a_table_of_trainings(page, data):
    rows = re.findall(r"<tr>\s*<td[^>]*>(\S+)</td>\s*<td[^>]*>(\d+ of \d+)</td>", page)
    assert rows == [
        (curve["kernel"], f"{len(curve['history'])} of {curve['epochs']}")
        for curve in data["curves"]
    ]
