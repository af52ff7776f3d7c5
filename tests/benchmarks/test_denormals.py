"""The cost of denormal numbers: what is measured is what the tables and the figure say."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmarks import denormals
from benchmarks.denormals import CASES, DENORMAL, NORMAL, OPERATIONS, TINY
from benchmarks.peers.libraries import FASTNN, LIBRARIES
from fastnn import datasets
from fastnn.kernels.runtime.denormals import flushed


def kind(values):
    values = np.abs(values)
    return "denormal" if (values < TINY).all() and values.all() else "normal"


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("value", [NORMAL, DENORMAL])
def test_operations_take_numbers_of_a_kind_and_give_them_back(name, value):
    x, y, out = (np.full(8, fill, np.float32) for fill in (value, 0.9, 0))
    OPERATIONS[name](x, y, out)
    assert kind(x) == ("normal" if value == NORMAL else "denormal")
    assert kind(out) == ("normal" if name == "a square root" else kind(x))


@pytest.mark.parametrize("value", [NORMAL, DENORMAL])
def test_means_of_the_update_stay_what_they_are_however_often_it_runs(value):
    update = denormals.adam_update(value)
    means = next(arg for arg in update.plan.calls[-1].args if np.all(arg == np.float32(value)))
    for _ in range(2000):
        update.run()
    assert kind(means) == ("normal" if value == NORMAL else "denormal")
    with flushed():
        update.run()
    assert (means == 0).all() == (value == DENORMAL)


def test_arithmetic_is_timed_in_each_case(monkeypatch):
    monkeypatch.setattr(denormals, "ROUNDS", 3)
    found = denormals.arithmetic()
    assert list(found) == [*OPERATIONS, "Adam's update"]
    for by in found.values():
        assert list(by) == list(CASES)
        assert all(1e-11 < seconds < 1e-6 for seconds in by.values())


@pytest.fixture
def digits(monkeypatch):
    """The digits in place of Fashion-MNIST."""
    task = replace(denormals.TASK, sizes=(64, 32, 10), data="digits", samples=64 * 20, epochs=1)
    monkeypatch.setattr(denormals, "TASK", task)


def test_faded_means_are_counted_after_each_epoch(digits, monkeypatch):
    monkeypatch.setattr(denormals, "EPOCHS", 60)  # of 23 steps each
    shares = denormals.faded_means()
    assert len(shares) == 60
    assert shares[0] == 0
    assert 0.001 < shares[-1] < 0.5


def test_epochs_are_those_of_each_library_in_its_mode(digits, monkeypatch, tmp_path):
    monkeypatch.setattr(denormals, "EPOCHS", 3)
    monkeypatch.setattr(denormals, "TRAININGS", 2)
    libraries = [each for each in LIBRARIES if FASTNN in {each.column, each.name}]
    monkeypatch.setattr(denormals, "LIBRARIES", libraries)
    found = denormals.epochs(tmp_path)
    assert [(each["library"], each["denormals"]) for each in found] == [
        (FASTNN, "flushed"),
        (FASTNN, "kept"),
    ]
    assert all(np.shape(each["seconds"]) == (2, 3) for each in found)


def test_names_are_libraries_that_train_epochs_and_have_a_colour():
    known = {each.name: each for each in LIBRARIES if "epoch" in each.kinds}
    assert {known[name].column or name for name in denormals.NAMES} == {*denormals.COLOURS}
    assert datasets.names().count(denormals.TASK.data) == 1


# By training and epoch; medians of ratios are others than ratios of medians.
OWN = [
    [0.5, 0.5, 0.5, 0.5, 0.4, 0.4],
    [1.5, 0.5, 0.5, 0.5, 1.2, 0.4],
    [0.5, 0.5, 0.5, 0.5, 0.4, 9.0],
]
THEIRS = [
    [1.0, 2.0, 2.0, 2.0, 2.0, 2.0],
    [3.0, 2.0, 2.0, 2.0, 6.0, 2.0],
    [9.0, 2.0, 2.0, 2.0, 2.0, 2.0],
]
REPORT = {
    "epochs": [
        {"library": FASTNN, "denormals": "flushed", "seconds": OWN},
        {"library": "PyTorch", "denormals": "kept", "seconds": THEIRS},
    ],
    "faded_means": [0.0, 0.05],
    "arithmetic": {"a sum": {"normal": 1e-9, "denormal, kept": 2e-9, "denormal, flushed": 1e-9}},
}


def test_table_of_epochs_has_medians_of_ratios_within_a_training_and_a_turn():
    own, row = denormals.table_of_epochs(REPORT).rows
    assert own == ["FastNN", "flushed", "500 ms", "400 ms", "0.80", "1.00"]
    assert row == ["PyTorch", "kept", "3.00 s", "2.00 s", "2.00", "5.00"]


def test_table_of_arithmetic_has_a_row_for_each_operation():
    assert denormals.table_of_arithmetic(REPORT).rows == [
        ["a sum", "1.00 ns", "2.00 ns", "1.00 ns"]
    ]


def test_figure_shows_kept_denormals_dashed_and_begins_at_0():
    axes = Figure().subplots()
    denormals.draw_epochs(axes, REPORT)
    looks = {line.get_label(): line.get_linestyle() for line in axes.get_lines()}
    assert looks == {"FastNN, flushed": "-", "PyTorch, kept": "--"}
    assert list(axes.get_lines()[1].get_ydata()) == [3, 2, 2, 2, 2, 2]
    assert axes.get_ylim()[0] == 0
    axes = Figure().subplots()
    denormals.draw_shares(axes, REPORT)
    assert list(axes.get_lines()[0].get_ydata()) == REPORT["faded_means"]
