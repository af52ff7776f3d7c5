import json
from contextlib import contextmanager

import pytest

from fastnn.experiments.settings import Experiment
from fastnn.formats import to_json
from fastnn.kernels.measuring import ceilings
from fastnn.study.report.measurements import Effort, Study

KERNELS = ("naive", "numba", "numpy")
TINY = Effort(
    rounds=2,
    seconds=0.002,
    inference=(1, 4),
    sides=(8, 16),
    product_seconds=0.001,
    reach=2**-12,
    training_seconds=1.0,
)


@contextmanager
def machine_measured_shortly():
    original = ceilings.measure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ceilings, "measure", lambda threads: original(threads, rounds=1))
        yield


@pytest.fixture(scope="session")
def begun():
    """What the study reported as it went on."""
    return []


@pytest.fixture(scope="session")
def study():
    return Study(Experiment(hidden=(8,), threads=1, epochs=20), KERNELS, TINY)


@pytest.fixture(scope="session")
def data(study, begun):
    """What a small study measured, as a file would hold it."""
    with machine_measured_shortly():
        measured = study.measure(begun.append)
    return json.loads(to_json(measured), parse_constant=pytest.fail)
