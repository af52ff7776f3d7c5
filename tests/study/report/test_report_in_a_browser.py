"""The page in a browser: nothing fails, all can be seen, at a desk and on a phone."""

import json

import pytest

from fastnn.study.report.page import render
from tests.browser import open_page
from tests.study.report.test_page import PAST

pytestmark = pytest.mark.browser

WIDTHS = [1280, 390]


@pytest.fixture(scope="module")
def url(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(data, PAST, "fastnn report"), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(params=WIDTHS)
def opened(browser, url, request):
    page, errors = open_page(browser, url, request.param)
    yield page
    page.close()
    assert errors == []


def test_page_shows_every_figure_within_the_window(opened):
    width = opened.viewport_size["width"]
    figures = opened.locator("figure svg").all()
    assert len(figures) == 11
    for figure in figures:
        assert figure.is_visible()
        box = figure.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["width"] > 300
        assert box["height"] > 100


def test_page_keeps_letters_large_enough_to_read(opened):
    heights = opened.evaluate(
        "[...document.querySelectorAll('figure svg text')]"
        ".map(text => text.getBoundingClientRect().height)"
    )
    assert min(heights) > 9


def test_page_does_not_scroll_sideways(opened):
    assert opened.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


def test_table_is_sorted_by_a_click(opened):
    table = opened.locator("#section-ladder table")
    names = table.locator("tbody tr td:first-child")
    before = names.all_inner_texts()
    heading = table.locator("thead th").nth(1)
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    seconds = [
        float(cell.get_attribute("data-value")) for cell in table.locator("td:nth-child(2)").all()
    ]
    assert seconds == sorted(seconds)
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert sorted(names.all_inner_texts()) == sorted(before)
    assert names.first.inner_text() == "naive"


def test_figure_downloads_its_data(opened, data):
    with opened.expect_download() as waiting:
        opened.locator("#speeds a.download").click()
    assert waiting.value.suggested_filename == "speeds.json"
    with open(waiting.value.path(), encoding="utf-8") as file:
        assert json.load(file) == {"data": data["speeds"]}


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_figure_follows_the_colours_of_the_page(browser, url, scheme, is_dark):
    page, errors = open_page(browser, url, 1280)
    page.emulate_media(color_scheme=scheme)
    ground, letters = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('figure svg text')).fill]"
    )
    page.close()

    def brightness(colour):
        return sum(int(part) for part in colour.strip("rgb()").split(",")[:3])

    assert (brightness(ground) < brightness(letters)) == is_dark
    assert abs(brightness(ground) - brightness(letters)) > 300
    assert errors == []
