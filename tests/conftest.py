import pytest

from fastnn import kernels
from tests.browser import launched


@pytest.fixture(autouse=True)
def same_number_of_threads():
    """Whatever a test sets, the next one starts with the number there was."""
    before = kernels.get_num_threads()
    yield
    if kernels.get_num_threads() != before:
        kernels.set_num_threads(before)


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, for `browser.open_page`."""
    with launched() as chromium:
        yield chromium
