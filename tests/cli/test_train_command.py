import csv
import json
import math
import subprocess
import sys
import tomllib

import numpy as np
import pytest

from fastnn import kernels
from fastnn.checkpoint import load_network
from fastnn.data import GRADIENT_DESCENTS
from fastnn.datasets import load
from fastnn.experiments.directory import FILES
from fastnn.optimizers import OPTIMIZERS

SMALL = ("--hidden", "8", "--epochs", "3", "--kernel", "numpy")


@pytest.fixture(scope="module", autouse=True)
def cold_start(everywhere, tmp_path_factory):
    """Begin to train without compiled code on disk: it compiles while the tests here run."""
    directory = tmp_path_factory.mktemp("cold")
    with subprocess.Popen(
        [sys.executable, "-m", "fastnn", "train", "--json"],
        cwd=directory,
        env=everywhere | {"NUMBA_CACHE_DIR": str(directory)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("seed", range(10))
def test_train_by_default_reads_digits_with_every_seed(fastnn, seed):
    assert fastnn("train", "--json", "--seed", seed).json["test_accuracy"] >= 0.97


def test_train_approximates_a_sine(fastnn):
    report = fastnn("train", "--data", "sine", "--json").json
    assert report["test_loss"] < 1e-3
    assert report["test_accuracy"] is None
    assert report["history"][-1]["val_accuracy"] is None


@pytest.mark.parametrize("way", GRADIENT_DESCENTS)
def test_train_with_each_gradient_descent(fastnn, way):
    report = fastnn("train", *SMALL, "--gradient-descent", way, "--json").json
    updates = {"batch": 1, "mini-batch": math.ceil(1292 / 32), "stochastic": 1292}
    assert report["updates"] == 3 * updates[way]
    assert report["batch_size"] == {"batch": 1292, "mini-batch": 32, "stochastic": 1}[way]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_train_learns_with_each_optimizer(fastnn, optimizer):
    report = fastnn("train", "--optimizer", optimizer, "--kernel", "numpy", "--json").json
    assert report["test_accuracy"] > 0.95


@pytest.mark.parametrize(("loss", "accuracy"), [("bce", 0.95), ("mse", None)])
def test_train_classes_with_another_loss(fastnn, tmp_path, loss, accuracy):
    run = tmp_path / "run"
    report = fastnn("train", "--loss", loss, "--epochs", "20", "--out", run, "--json").json
    assert report["settings"]["loss"] == loss
    losses = [epoch["loss"] for epoch in report["history"]]
    assert losses[-1] < losses[0] / 4
    if accuracy is None:
        assert report["test_accuracy"] is None
    else:
        assert report["test_accuracy"] > accuracy
    found = fastnn("evaluate", run, "--json").json
    assert found["test_loss"] == pytest.approx(report["test_loss"], rel=1e-6)
    labels = fastnn("predict", run, "--data", "digits", "--json").json["predictions"]
    right = load("digits").y_test == np.array(labels, int)
    assert right.mean() > 0.9


@pytest.mark.parametrize("kernel", [name for name in kernels.names() if name != "numpy"])
def test_train_gives_the_same_losses_under_each_kernel(fastnn, kernel):
    options = ("--epochs", "1", "--hidden", "8", "--dtype", "float64", "--json")
    found = fastnn("train", "--kernel", kernel, *options).json
    expected = fastnn("train", "--kernel", "numpy", *options).json
    assert found["kernel"] == kernel
    for name in ("loss", "val_loss"):
        assert found["history"][0][name] == pytest.approx(expected["history"][0][name], rel=1e-9)
    assert found["test_loss"] == pytest.approx(expected["test_loss"], rel=1e-9)


def test_train_json(fastnn):
    result = fastnn("train", *SMALL, "--threads", "1", "--seed", "5", "--json")
    assert (result.status, result.err) == (0, "")
    report = result.json
    assert report["kernel"] == "numpy"
    assert report["threads"] == 1
    assert report["dtype"] == "float32"
    assert report["data"] == "digits"
    assert report["sizes"] == [64, 8, 10]
    assert report["seed"] == 5
    assert report["samples"] == {"training": 1292, "validation": 141, "test": 364}
    assert report["fingerprint"] == load("digits").fingerprint
    assert [record["epoch"] for record in report["history"]] == [1, 2, 3]
    fields = {"epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
    assert all(set(record) == fields for record in report["history"])
    assert 0 < report["test_accuracy"] < 1
    assert report["test_loss"] > 0


def test_train_repeats_a_run_with_the_same_seed(fastnn):
    def losses(seed):
        report = fastnn("train", *SMALL, "--seed", seed, "--json").json
        return [record["loss"] for record in report["history"]]

    assert losses(1) == losses(1) != losses(2)


def test_train_text_names_the_network_and_ends_with_the_accuracy(process):
    result = process("train", *SMALL)
    lines = result.out.splitlines()
    assert (result.status, result.err) == (0, "")  # no bar: stderr is not a terminal
    assert "\x1b" not in result.out
    assert lines[0] == f"digits: {load('digits').description}"
    assert "64-8-10 network, 610 parameters in float32, kernel numpy" in lines[1]
    assert lines[-1].startswith("test accuracy 0.")


def test_train_text_of_a_regression_ends_with_the_mean_squared_error(fastnn):
    result = fastnn("train", *SMALL, "--data", "sine", "--validation", "0")
    assert result.out.splitlines()[-1].startswith("test mean squared error ")


def test_train_options_override_the_config_which_overrides_the_defaults(fastnn, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('hidden = [5, 4]\nepochs = 1\nkernel = "numpy"\nnesterov = false\n')
    settings = fastnn("train", "--config", path, "--epochs", "2", "--json").json["settings"]
    assert settings["hidden"] == [5, 4]
    assert settings["epochs"] == 2
    assert settings["optimizer"] == "adam"


def test_train_without_a_hidden_layer(fastnn):
    assert fastnn("train", *SMALL, "--hidden", "none", "--json").json["sizes"] == [64, 10]


def test_train_repeats_a_run_from_its_directory(fastnn, tmp_path):
    first, second = tmp_path / "runs" / "first", tmp_path / "second"
    report = fastnn("train", *SMALL, "--dropout", "0.1", "--out", first, "--json").json
    assert sorted(path.name for path in first.iterdir()) == sorted(FILES)
    assert json.loads((first / "run.json").read_text()) == report
    settings = tomllib.loads((first / "config.toml").read_text())
    assert settings == {k: v for k, v in report["settings"].items() if v is not None}
    rows = list(csv.DictReader((first / "history.csv").read_text().splitlines()))
    assert [float(row["loss"]) for row in rows] == [r["loss"] for r in report["history"]]

    result = fastnn("train", "--config", first / "config.toml", "--out", second)
    assert result.out.splitlines()[-1] == f"kept in {second}"
    weights = [(path / "weights.safetensors").read_bytes() for path in (first, second)]
    assert weights[0] == weights[1]
    assert load_network(second / "weights.safetensors").sizes == (64, 8, 10)


def test_train_json_has_null_for_numbers_that_are_not_finite(fastnn):
    # The validation's loss overflows, the training's does not yet.
    report = fastnn(
        *("train", "--data", "sine", "--hidden", "none", "--kernel", "numpy", "--epochs", "1"),
        *("--optimizer", "sgd", "--learning-rate", "1e25", "--gradient-descent", "batch"),
        "--json",
    ).json
    assert report["history"][0]["val_loss"] is None
    assert report["test_loss"] is None


def test_train_resume_finds_data_of_ones_own_from_another_directory(fastnn, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    lines = [f"{a},{b},{'left' if a < 0 else 'right'}" for a, b in rng.normal(size=(200, 2))]
    (tmp_path / "points.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    options = (*SMALL, "--data", "points.csv", "--out", "run")
    assert fastnn("train", *options).status == 0
    monkeypatch.chdir("/")
    report = fastnn("train", "--resume", tmp_path / "run", "--epochs", "150", "--json").json
    assert report["classes"] == ["left", "right"]
    assert report["test_accuracy"] > 0.9


def test_train_by_default_reads_digits_from_a_cold_start(cold_start):
    out, err = cold_start.communicate(timeout=180)
    assert (cold_start.returncode, err) == (0, "")
    assert json.loads(out)["test_accuracy"] >= 0.97
