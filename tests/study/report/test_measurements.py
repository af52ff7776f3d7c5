"""`fastnn.study.report.measurements`: what a report is made of."""

import numpy as np
import pytest

from fastnn.experiments.settings import Experiment
from fastnn.study.report.measurements import DESCENTS, OUT_OF_TIME, QUICK, THOROUGH, Study
from tests.study.report.conftest import TINY, machine_measured_shortly


def test_study_reports_progress_as_often_as_it_announces(study, data, begun):
    assert len(begun) == study.parts
    assert begun[0] == "machine"
    assert begun[-1] == "a sine"


def test_study_has_speeds_and_a_training_of_every_kernel(data):
    names = [row["kernel"] for row in data["comparison"]["kernels"]]
    assert names == ["naive", "numba", "numpy"]
    assert [curve["kernel"] for curve in data["curves"]] == names
    assert {speed["kernel"] for speed in data["speeds"]} == set(names)


def test_study_measures_squares_within_reach(data):
    sides = {name: [] for name in ("naive", "numba", "numpy")}
    for speed in data["speeds"]:
        sides[speed["kernel"]].append(speed["n"])
    assert sides == {"naive": [8, 16], "numba": [8, 16], "numpy": [8, 16]}


def test_curves_end_with_their_epochs_or_their_time(data):
    epochs = {curve["kernel"]: len(curve["history"]) for curve in data["curves"]}
    assert epochs["numba"] == epochs["numpy"] == 20
    assert 1 <= epochs["naive"] < 20
    stopped = {curve["kernel"]: curve["stopped"] for curve in data["curves"]}
    assert stopped == {"naive": OUT_OF_TIME, "numba": None, "numpy": None}


def test_curves_leave_out_a_kernel_much_too_slow(study, monkeypatch):
    slow, quick, reference = study.comparison.measured
    assert study._is_affordable(quick)
    for contender in (slow, reference):
        monkeypatch.setattr(contender, "step_seconds", np.full(3, 1e3))
    assert not study._is_affordable(slow)
    assert study._is_affordable(reference)


def test_curves_begin_alike_under_every_kernel(data):
    first = [curve["history"][0]["loss"] for curve in data["curves"]]
    assert first == pytest.approx([first[-1]] * 3, rel=1e-5)
    assert len({curve["history"][0]["epoch"] for curve in data["curves"]}) == 1


def test_lines_of_a_step_have_their_work(data):
    row = data["comparison"]["kernels"][1]
    products = [line for line in row["lines"] if line["flops"]]
    assert products[0]["shapes"] == "32×64 @ 64×8 → 32×8"
    assert products[0]["flops"] == 2 * 32 * 64 * 8
    assert products[0]["bytes"] == 4 * (32 * 64 + 64 * 8 + 32 * 8)
    assert all(line["seconds"] > 0 and line["bytes"] > 0 for line in row["lines"])
    parts = list(dict.fromkeys(line["part"] for line in row["lines"]))
    assert parts == ["batch", "forward", "loss", "backward", "update"]
    # A batch of rows of the data, and their numbers in its order; where it begins.
    assert row["lines"][0]["bytes"] == 4 * (32 * 64 + 32 * 64) + 8 * (32 + 1)


def test_descents_differ_in_their_updates(data):
    assert [each["gradient_descent"] for each in data["descents"]] == list(DESCENTS)
    batch, mini_batch, stochastic = (each["updates"] for each in data["descents"])
    assert batch == 30
    assert mini_batch == 30 * 41
    assert stochastic == 30 * 1292
    assert all(len(each["history"]) == 30 for each in data["descents"])


def test_approximation_is_recorded_as_it_is_learnt(data):
    sine = data["approximation"]
    assert [each["epoch"] for each in sine["answers"]] == [1, 8, 60]

    def error(answer):
        low, high = sine["seen"]
        return max(
            abs(value - target)
            for x, value, target in zip(sine["x"], answer["values"], sine["target"], strict=True)
            if low <= x <= high
        )

    first, _, last = map(error, sine["answers"])
    assert last < 0.1 < first


def test_effort_quick_is_less_in_all_respects():
    for name in ("rounds", "seconds", "product_seconds", "reach", "training_seconds"):
        assert getattr(QUICK, name) < getattr(THOROUGH, name)
    assert set(QUICK.inference) < set(THOROUGH.inference)
    assert set(QUICK.sides) < set(THOROUGH.sides)


def test_curves_of_a_regression_have_no_accuracy():
    experiment = Experiment(data="sine", hidden=(4,), threads=1, epochs=2)
    with machine_measured_shortly():
        (curve,) = Study(experiment, ["numpy"], TINY).measure()["curves"]
    assert curve["test_accuracy"] is None
    assert curve["test_loss"] > 0
