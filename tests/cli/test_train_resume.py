import json
import os
import shutil
import signal
import time

import numpy as np
import pytest

from fastnn.checkpoint import load_network
from fastnn.cli.signals import Interrupted

OPTIONS = (
    *("--hidden", "6", "--kernel", "numba", "--dropout", "0.1", "--warmup", "2"),
    *("--schedule", "step", "--decay-every", "3"),
)


def weights(directory):
    return (directory / "weights.safetensors").read_bytes()


def history(directory):
    """Return the history without the seconds, which are never the same."""
    lines = (directory / "history.csv").read_text().splitlines()
    return [line.rpartition(",")[0] for line in lines]


@pytest.fixture
def run(fastnn, tmp_path):
    """Return the directory of a run of 4 epochs."""
    assert fastnn("train", *OPTIONS, "--epochs", 4, "--out", tmp_path / "run").status == 0
    return tmp_path / "run"


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_resume_to_more_epochs_gives_the_run_that_was_never_stopped(fastnn, tmp_path, optimizer):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = (*OPTIONS, "--optimizer", optimizer)
    fastnn("train", *options, "--epochs", 7, "--out", whole)
    fastnn("train", *options, "--epochs", 3, "--out", parts)
    assert weights(parts) != weights(whole)
    report = fastnn("train", "--resume", parts, "--epochs", 7, "--json").json
    assert weights(parts) == weights(whole)
    assert history(parts) == history(whole)
    assert (parts / "config.toml").read_text() == (whole / "config.toml").read_text()
    assert json.loads((parts / "run.json").read_text()) == report


def test_resume_still_flushes_denormals(fastnn, tmp_path):
    """Where all features are 0, weights decay by half in each step, for hundreds of steps."""
    (tmp_path / "zeros.csv").write_text("".join(f"0,{i % 2}\n" for i in range(20)))
    options = ("--data", tmp_path / "zeros.csv", "--hidden", "none", "--optimizer", "sgd")
    options += ("--gradient-descent", "stochastic", "--learning-rate", 0.5, "--weight-decay", 1)

    def largest(run, *more):
        assert fastnn("train", *options, *more, "--out", run).status == 0
        fastnn("train", "--resume", run, "--epochs", 25)
        return abs(load_network(run / "weights.safetensors").parameters["dense_1.weights"]).max()

    smallest_normal = np.finfo(np.float32).tiny
    assert largest(tmp_path / "flushed", "--epochs", 3) >= smallest_normal
    assert largest(tmp_path / "not", "--no-flush-denormals", "--epochs", 3) < smallest_normal


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGKILL, -signal.SIGKILL, None),
    ],
)
def test_resume_continues_a_stopped_run_as_if_it_had_never_stopped(
    start, fastnn, tmp_path, number, status, word
):
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    running = start("train", *OPTIONS, "--epochs", 10**6, "--out", stopped, "--json")
    wait_for_epochs(running, stopped, 3)
    running.send_signal(number)
    out, err = running.communicate(timeout=20)
    assert (running.returncode, out) == (status, "")
    if word:
        (line,) = err.splitlines()
        assert line.startswith(f"fastnn: {word}; {stopped} keeps the last complete epoch")
        assert f"--resume {stopped}" in line
    else:
        assert err == ""
    epochs = len(history(stopped)) + 1  # without the header, two more than there are at least
    assert fastnn("train", "--resume", stopped, "--epochs", epochs).status == 0
    assert fastnn("train", *OPTIONS, "--epochs", epochs, "--out", whole).status == 0
    assert weights(stopped) == weights(whole)
    assert history(stopped) == history(whole)


def test_train_without_out_says_on_ctrl_c_that_nothing_is_kept(start, tmp_path):
    running = start("train", "--kernel", "naive", "--epochs", 10**6)
    # It is training once it has used more than what the imports take.
    while cpu_seconds(running.pid) < 2:
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert (running.returncode, out) == (130, "")
    assert err == "fastnn: interrupted; nothing is kept without --out\n"


def wait_for_epochs(running, directory, epochs):
    while not (directory / "history.csv").exists() or len(history(directory)) < 1 + epochs:
        assert running.poll() is None, running.communicate()
        time.sleep(0.01)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_resume_of_a_run_stopped_before_its_first_epoch_begins_anew(fastnn, tmp_path, monkeypatch):
    def stop(*arguments, **keywords):
        raise Interrupted(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr("fastnn.experiments.run.fit", stop)
        assert fastnn("train", *OPTIONS, "--epochs", 3, "--out", tmp_path / "stopped").status == 143
    assert fastnn("train", "--resume", tmp_path / "stopped").status == 0
    assert fastnn("train", *OPTIONS, "--epochs", 3, "--out", tmp_path / "whole").status == 0
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")


def test_resume_of_a_complete_run_reports_its_result_again(fastnn, run):
    before = weights(run)
    report = json.loads((run / "run.json").read_text())
    assert fastnn("train", "--resume", run, "--json").json == report
    assert weights(run) == before


def test_resume_refuses_fewer_epochs_than_there_are(fastnn, run):
    config = (run / "config.toml").read_text()
    fastnn("train", "--resume", run, "--epochs", 3).assert_error(str(run), "4 epochs already")
    assert (run / "config.toml").read_text() == config


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--kernel", "numpy"), "not --kernel"),
        (("--learning-rate", "1", "--epochs", "9"), "not --learning-rate"),
        (("--out", "elsewhere"), "not --out"),
        (("--config", "some.toml", "--no-nesterov"), "not --nesterov, --config"),
    ],
)
def test_resume_refuses_other_settings(fastnn, run, options, names):
    fastnn("train", "--resume", run, *options).assert_error("--epochs is allowed", names)


def test_resume_refuses_to_lengthen_a_cosine(fastnn, tmp_path):
    run = tmp_path / "run"
    fastnn("train", "--hidden", "4", "--schedule", "cosine", "--epochs", 2, "--out", run)
    result = fastnn("train", "--resume", run, "--epochs", 3)
    result.assert_error("cosine schedule ends with the run's 2 epochs", "3")
    assert fastnn("train", "--resume", run, "--epochs", 2).status == 0


def test_resume_refuses_changed_data(fastnn, tmp_path):
    data, run = tmp_path / "points.csv", tmp_path / "run"
    data.write_text("".join(f"{i % 7}.5,{i % 2}\n" for i in range(40)))
    fastnn("train", "--hidden", "4", "--epochs", 1, "--data", data, "--out", run)
    data.write_text(data.read_text().replace("3.5", "3.25"))
    fastnn("train", "--resume", run, "--epochs", 2).assert_error(str(data), "has changed")


@pytest.mark.parametrize("name", ["config.toml", "run.json", "training.safetensors"])
def test_resume_refuses_a_directory_without_a_complete_run(fastnn, run, name):
    (run / name).unlink()
    fastnn("train", "--resume", run).assert_error(str(run), "does not hold a run", name)


@pytest.mark.parametrize("name", ["config.toml", "run.json", "training.safetensors"])
def test_resume_refuses_a_truncated_file(fastnn, run, name):
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[: len(content) * 2 // 3] + b"\n}")
    before = weights(run)
    fastnn("train", "--resume", run).assert_error(name)
    assert weights(run) == before


def test_resume_refuses_the_state_of_another_network(fastnn, run, tmp_path):
    other = tmp_path / "other"
    fastnn("train", "--hidden", "7", "--epochs", 1, "--out", other)
    shutil.copy(other / "training.safetensors", run)
    fastnn("train", "--resume", run).assert_error("holds another network")
