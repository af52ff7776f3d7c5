"""Pages in headless Chromium, with the errors that they cause."""

import shutil
from contextlib import contextmanager

import pytest

# Nothing but the page: no windows of a first run, no search for updates.
QUIET = (
    "--no-sandbox",  # needed where the tests run as root
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def launched():
    """Yield a Playwright browser; skip the test where there is no Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=QUIET)
        try:
            yield chromium
        finally:
            chromium.close()


def open_page(browser, url, width):
    """Load a page in a window of this width; return it and the list of its errors.

    Errors are those on the console, uncaught exceptions and failed requests; the list grows as
    the page goes on.
    """
    page = browser.new_page(viewport={"width": width, "height": 900})
    errors = []
    page.on("console", lambda line: line.type == "error" and errors.append(line.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(f"{request.url}: {request.failure}"))
    page.goto(url)
    return page, errors
