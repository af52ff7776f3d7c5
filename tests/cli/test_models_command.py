import json

import numpy as np
import pytest

from fastnn import (
    Dense,
    Sequential,
)
from fastnn.checkpoint import load_network, save_network
from fastnn.cli import main
from fastnn.datasets import load


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "digits"
    options = ["--hidden", "16", "--epochs", "5", "--kernel", "numpy", "--seed", "3"]
    assert main(["train", *options, "--out", str(run)]) == 0
    return run


@pytest.fixture
def named(tmp_path, fastnn):
    """Return a CSV file with two classes by name, and a run on it."""
    data, run = tmp_path / "points.csv", tmp_path / "run"
    rows = np.random.default_rng(0).normal(size=(100, 2))
    data.write_text("".join(f"{a},{b},{'low' if a < 0 else 'high'}\n" for a, b in rows))
    options = ("--learning-rate", "0.03", "--kernel", "numpy", "--seed", "4")
    assert fastnn("train", *options, "--data", data, "--out", run).status == 0
    return data, run


def test_evaluating_a_run_gives_what_its_training_ended_with(fastnn, digits_run, named):
    for run in (digits_run, named[1]):
        report = json.loads((run / "run.json").read_text())
        found = fastnn("evaluate", run, "--json").json
        assert found["test_accuracy"] == report["test_accuracy"]
        assert found["test_loss"] == pytest.approx(report["test_loss"], rel=1e-6)
        assert found["kernel"] == "numpy"
        assert found["samples"] == report["samples"]["test"]


def test_evaluating_a_file_under_another_kernel(fastnn, digits_run):
    path = digits_run / "weights.safetensors"
    options = ("--data", "digits", "--kernel", "numba-naive", "--threads", "1", "--json")
    found = fastnn("evaluate", path, *options).json
    report = json.loads((digits_run / "run.json").read_text())
    assert (found["kernel"], found["threads"]) == ("numba-naive", 1)
    assert found["test_accuracy"] == report["test_accuracy"]


def test_text_of_an_evaluation(fastnn, digits_run):
    result = fastnn("evaluate", digits_run)
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("test accuracy 0.")
    assert len(result.out.splitlines()) == 1


def test_predictions_are_those_of_the_network(fastnn, digits_run):
    net = load_network(digits_run / "weights.safetensors", kernel="numpy")
    outputs = net(load("digits").x_test)
    expected = outputs.argmax(axis=1).tolist()
    lines = fastnn("predict", digits_run, "--data", "digits").out.splitlines()
    assert lines == [str(label) for label in expected]
    path = digits_run / "weights.safetensors"
    report = fastnn("predict", path, "--data", "digits", "--kernel", "numpy", "--json").json
    assert report["predictions"] == expected  # a file knows no names, but labels
    assert report["outputs"] == outputs.tolist()


def test_a_class_is_told_by_its_name(fastnn, named, tmp_path):
    _, run = named
    path = tmp_path / "new.csv"
    path.write_text("x,y\n-2,0.5\n2,0\n")
    assert fastnn("predict", run, "--data", path).out == "low\nhigh\n"
    path.write_text("-2,0.5,?\n2,0,?\n")  # the target is not looked at
    assert fastnn("predict", run, "--data", path).out == "low\nhigh\n"
    np.savez(tmp_path / "new.npz", x=np.array([[-2, 0.5], [2, 0]]))
    assert fastnn("predict", run, "--data", tmp_path / "new.npz").out == "low\nhigh\n"


def test_values_of_a_regression(fastnn, tmp_path):
    one = Sequential([Dense(1, 1, weights=[[2.0]], bias=[0.1])])
    two = Sequential([Dense(1, 2, weights=[[2.0, -1.0]])])
    save_network(one, tmp_path / "one.safetensors")
    save_network(two, tmp_path / "two.safetensors")
    data = ("--data", tmp_path / "x.csv")
    data[1].write_text("0\n1.5\n")
    assert fastnn("predict", tmp_path / "one.safetensors", *data).out == "0.1\n3.1\n"
    assert fastnn("predict", tmp_path / "two.safetensors", *data).out == "0.0,0.0\n3.0,-1.5\n"
    report = fastnn("predict", tmp_path / "two.safetensors", *data, "--json").json
    assert report["predictions"] == report["outputs"] == [[0.0, 0.0], [3.0, -1.5]]


def test_a_file_does_not_know_its_data(fastnn, digits_run):
    path = digits_run / "weights.safetensors"
    fastnn("evaluate", path).assert_error(str(path), "name the data")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_data_that_do_not_fit_the_network(fastnn, digits_run, command):
    fastnn(command, digits_run, "--data", "sine").assert_error("64 features", "sine has 1")


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("x.csv", "1,2,3\n", "3 cells; 64 features are needed"),
        ("x.csv", "", "no rows"),
        ("x.csv", ",".join(["nan"] * 64), "not a finite number"),
        ("x.txt", "1", ".npz or .csv"),
        ("x.npz", "1", "numpy.savez"),
    ],
)
def test_features_that_cannot_be_read(fastnn, digits_run, tmp_path, name, content, part):
    (tmp_path / name).write_text(content)
    fastnn("predict", digits_run, "--data", tmp_path / name).assert_error(name, part)


def test_features_of_another_number_in_an_npz_file(fastnn, digits_run, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 3)))
    result = fastnn("predict", digits_run, "--data", tmp_path / "x.npz")
    result.assert_error("3 features per sample; 64 are needed")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda content: content[:-100], "no whole safetensors"),
        (lambda content: content[:5], "no whole safetensors"),
        (lambda content: b"<html>", "no whole safetensors"),
        (lambda content: content.replace(b"ReLU", b"Lure"), "no FastNN network"),
        (lambda content: content.replace(b'n_in\\": 16', b'n_in\\": 17'), "no FastNN network"),
    ],
)
def test_a_model_that_is_none(fastnn, digits_run, tmp_path, command, spoil, part):
    good = (digits_run / "weights.safetensors").read_bytes()
    assert spoil(good) != good
    path = tmp_path / "model.safetensors"
    path.write_bytes(spoil(good))
    fastnn(command, path, "--data", "digits").assert_error(str(path), part)


def test_a_training_is_no_network(fastnn, digits_run):
    path = digits_run / "training.safetensors"
    fastnn("evaluate", path, "--data", "digits").assert_error(str(path))


def test_a_directory_without_a_run(fastnn, tmp_path):
    fastnn("evaluate", tmp_path).assert_error(str(tmp_path), "holds no run")
