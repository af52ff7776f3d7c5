"""What tests of pages share: a headless Chromium, and pages whose faults are collected."""

import shutil
from contextlib import contextmanager

import pytest

# Nothing but what the page asks for: no first-run windows, no look for updates.
QUIET = (
    "--no-sandbox",  # which a process of root would need
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def launched():
    """Yield a playwright Browser; skip the test where there is no Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright here")
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no chromium here")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=QUIET)
        try:
            yield chromium
        finally:
            chromium.close()


def open_page(browser, url, width):
    """Return a page in a window of this width, loaded, and the list of its faults.

    They are what the console calls an error, exceptions that nothing caught, and requests that
    failed; the list grows as the page goes on.
    """
    page = browser.new_page(viewport={"width": width, "height": 900})
    errors = []
    page.on("console", lambda line: line.type == "error" and errors.append(line.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(f"{request.url}: {request.failure}"))
    page.goto(url)
    return page, errors
