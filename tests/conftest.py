from importlib import import_module

import numpy as np
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


@pytest.fixture(autouse=True)
def same_mode_of_denormals():
    """A thread computes after a test as it did before, also where the test ends in an error."""
    smallest = np.array([np.finfo(np.float64).smallest_subnormal])
    yield
    assert (smallest + smallest).all(), "denormals are still flushed to zero"


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, for `browser.open_page`."""
    with launched() as chromium:
        yield chromium


@pytest.fixture
def quiet(monkeypatch):
    """Measure the machine shortly, find it idle, and leave BLAS unrestrained."""
    ceilings = import_module("fastnn.kernels.measuring.ceilings")
    original = ceilings.measure
    monkeypatch.setattr(ceilings, "measure", lambda threads: original(threads, rounds=1))
    monkeypatch.setattr("fastnn.study.comparison.MAX_QUIET_NOISE", float("inf"))
    for name in import_module("fastnn.environment").BLAS_RESTRAINTS:
        monkeypatch.delenv(name, raising=False)
