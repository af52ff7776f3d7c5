"""An error in a command line or in its files is one line on stderr, and nothing is lost."""

import errno
import gzip
import json
from pathlib import Path

import pytest

from fastnn.datasets.mnist import FILES as IDX_FILES
from fastnn.experiments.directory import FILES

SMALL = ("--hidden", "8", "--epochs", "3", "--kernel", "numpy")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("train", "--kernel", "fast"), ("'fast'", "naive, blocked", "numpy")),
        (("train", "--data", "letters"), ("'letters'", "digits, mnist", ".csv")),
        (("train", "--activation", "swish"), ("'swish'", "relu, leaky-relu")),
        (("train", "--optimizer", "adagrad"), ("'adagrad'", "sgd, rmsprop")),
        (("train", "--gradient-descent", "up"), ("'up'", "batch, mini-batch")),
        (("train", "--schedule", "linear"), ("'linear'", "constant, step")),
        (("train", "--initializer", "ones"), ("'ones'", "glorot-uniform")),
        (("train", "--dtype", "float16"), ("'float16'", "float32, float64")),
        (("train", "--loss", "mae"), ("'mae'", "cross-entropy, bce, mse", "MODULE:NAME")),
        (("train", "--layer", "conv"), ("'conv'", "dense", "FILE.py:NAME")),
        (("train", "--activation", "no.module:A"), ("no.module", "No module named")),
        (("train", "--layer", "missing.py:L"), ("missing.py", "No such file")),
        (("train", "--loss", "fastnn.layers:Dense"), ("Dense is a Dense", "Loss is needed")),
        (("train", "--optimizer", "fastnn.optimizers:None"), ("'None'", "SGD, RMSprop, Adam")),
        (("train", "--data", "sine", "--loss", "cross-entropy"), ("does not fit sine", "one-hot")),
        (("train", "--hidden", "64,x"), ("'64,x'", "whole numbers")),
        (("train", "--hidden", "64,0"), ("'64,0'", "at least 1", "commas")),
        (("train", "--epochs", "0"), ("epochs", "0")),
        (("train", "--batch-size", "-5"), ("batch_size", "-5")),
        (("train", "--batch-size", "9", "--gradient-descent", "batch"), ("contradicts", "9")),
        (("train", "--threads", "0"), ("threads", "0")),
        (("train", "--threads", "100000"), ("100000 threads", "allowed")),
        (("train", "--learning-rate", "-1"), ("learning_rate", "-1")),
        (("train", "--validation", "0.0001"), ("validation", "0.0001")),
        (("train", "--hidden", "1000000000000"), ("out of memory",)),
        (("train", "--data-dir", "x"), ("digits", "mnist, fashion-mnist")),
        (("train", "--data", "mnist", "--data-dir", "/nowhere"), ("/nowhere", "data fetch mnist")),
        (("train", "--data", "missing.csv"), ("missing.csv", "No such file")),
        (("train", "--data", "missing.npz"), ("missing.npz", "No such file")),
        (("train", "--config", "missing.toml"), ("missing.toml", "No such file")),
        (("train", "--resume", "nowhere"), ("nowhere", "does not hold a run")),
        (("train", "--epochs", "ten"), ("epochs must be a whole number of at least 1", "'ten'")),
        (("train", "--dropout", "some"), ("dropout must be a number", "'some'")),
        (("train", "--epoch-count", "10"), ("--epoch-count",)),
        (("train", "--epochs"), ("epochs",)),
        (("trian",), ("trian",)),
        (("train", "surplus"), ("surplus",)),
        (("evaluate", "missing.safetensors"), ("missing.safetensors",)),
        (("evaluate",), ("MODEL",)),
        (("evaluate", "missing", "--threads", "0"), ("threads", "at least 1", "0")),
        (("evaluate", "missing", "--loss", "mae"), ("'mae'", "cross-entropy")),
        (("predict", "missing"), ("--data",)),
        (("predict", "missing.safetensors", "--data", "digits"), ("missing.safetensors",)),
        (("data", "info", "letters"), ("letters", "digits, mnist")),
        (("data", "fetch", "digits"), ("digits", "mnist, fashion-mnist")),
        (("compare", "--kernels", "numpy,fast"), ("'fast'", "naive, blocked")),
        (("compare", "--rounds", "0"), ("rounds", "0")),
        (("compare", "--seconds", "0"), ("seconds", "0")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
@pytest.mark.parametrize("json_flag", [(), ("--json",)], ids=["text", "json"])
def test_command_with_a_wrong_argument(fastnn, tmp_path, monkeypatch, arguments, parts, json_flag):
    monkeypatch.chdir(tmp_path)
    fastnn(*arguments, *json_flag).assert_error(*parts)
    assert not any(tmp_path.iterdir())


def test_process_reports_an_error_in_one_line(process):
    process("train", "--kernel", "fast").assert_error("'fast'")


def test_main_lets_a_bug_show_its_traceback(fastnn, monkeypatch):
    monkeypatch.setattr("fastnn.experiments.run.load_data", lambda experiment: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fastnn("train")


def test_main_without_a_command_shows_the_help(fastnn):
    result = fastnn()
    assert "Usage: fastnn" in result.out + result.err


def test_train_with_an_unknown_key_in_the_config(fastnn, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("epoch = 3\n")
    fastnn("train", "--config", path).assert_error(str(path), "epoch", "allowed are data")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"1,2,0\n3,nan,1\n", ("'nan' is not a finite number",)),
        (b"1,2,0\n3,4,2\n", ("0, 2", "without a gap")),
        (b"<html><body>log in</body></html>", ("HTML",)),
        (b"", ("empty",)),
    ],
)
def test_train_on_a_bad_csv_file(fastnn, tmp_path, content, parts):
    path, out = tmp_path / "points.csv", tmp_path / "run"
    path.write_bytes(content)
    fastnn("train", "--data", path, "--out", out).assert_error(str(path), *parts)
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (gzip.compress(bytes(100)), "magic"),
        (b"\x1f\x8b\x08", "truncated"),
        (b"<!DOCTYPE html>", "HTML"),
    ],
    ids=["another format", "truncated", "a page"],  # of the same names in each process
)
def test_train_on_bad_idx_files(fastnn, tmp_path, content, part):
    for name in IDX_FILES:
        (tmp_path / f"{name}.gz").write_bytes(content)
    result = fastnn("train", "--data", "mnist", "--data-dir", tmp_path)
    result.assert_error(str(tmp_path), part)


def test_train_does_not_overwrite_a_run(fastnn, tmp_path):
    assert fastnn("train", *SMALL, "--out", tmp_path).status == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    fastnn("train", *SMALL, "--seed", "7", "--out", tmp_path).assert_error(
        str(tmp_path), "already holds a run"
    )
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", FILES)
def test_train_does_not_overwrite_part_of_a_run(fastnn, tmp_path, name):
    (tmp_path / name).write_text("precious")
    fastnn("train", *SMALL, "--out", tmp_path).assert_error(str(tmp_path), name)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_train_leaves_other_files_in_the_directory_alone(fastnn, tmp_path):
    (tmp_path / "notes.txt").write_text("precious")
    assert fastnn("train", *SMALL, "--out", tmp_path).status == 0
    assert (tmp_path / "notes.txt").read_text() == "precious"


def test_train_out_to_a_directory_that_cannot_be_created(fastnn, tmp_path):
    (tmp_path / "file").write_text("precious")
    fastnn("train", *SMALL, "--out", tmp_path / "file" / "run").assert_error("file")
    assert (tmp_path / "file").read_text() == "precious"


class Disk:
    """A disk with room for some bytes; what does not fit is written in part."""

    def __init__(self, monkeypatch, room):
        self.room = room
        self._write = Path.write_bytes
        # A function, for Path to bind; a bound method would not be given the path.
        monkeypatch.setattr(Path, "write_bytes", lambda path, data: self.write(path, data))  # noqa: PLW0108

    def write(self, path, data):
        self._write(path, data[: self.room])
        if len(data) > self.room:
            self.room = 0
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(data)


def test_train_on_a_disk_that_is_full_at_the_beginning(fastnn, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        Disk(patch, 6000)
        result = fastnn("train", *SMALL, "--out", tmp_path / "run")
    result.assert_error(str(tmp_path / "run"), "No space left on device")
    assert not any(tmp_path.iterdir())
    assert fastnn("train", *SMALL, "--out", tmp_path / "run").status == 0


def test_train_on_a_disk_that_fills_up_keeps_the_last_complete_epoch(fastnn, tmp_path, monkeypatch):
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    with monkeypatch.context() as patch:
        Disk(patch, 45_000)  # an epoch takes 11,000
        result = fastnn("train", *SMALL, "--epochs", "9", "--out", stopped)
    result.assert_error(str(stopped), "No space left on device")
    assert sorted(path.name for path in stopped.iterdir()) == sorted(FILES)
    assert fastnn("train", "--resume", stopped).status == 0
    assert fastnn("train", *SMALL, "--epochs", "9", "--out", whole).status == 0
    assert (stopped / FILES[3]).read_bytes() == (whole / FILES[3]).read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_data_info_to_a_full_disk(process):
    with open("/dev/full", "w") as full:
        running = process("data", "info", "--json", stdout=full)
    assert running.status == 2
    assert running.err == "fastnn: error: No space left on device\n"


def test_data_info_to_a_reader_that_has_gone(start):
    reader = start("data", "info")
    reader.stdout.close()
    assert reader.stderr.read() == ""
    assert reader.wait() == 1


def test_train_stops_when_the_loss_is_not_finite(fastnn, tmp_path):
    run = tmp_path / "run"
    options = ("--optimizer", "sgd", "--learning-rate", "1e30", "--out", run, "--json")
    fastnn("train", *SMALL, *options).assert_error("nan", "epoch 1, at step")
    assert json.loads((run / "run.json").read_text())["history"] == []
    assert fastnn("evaluate", run, "--json").json["test_loss"] > 0


def test_train_keeps_the_epochs_before_a_broken_one(fastnn, tmp_path):
    run, whole = tmp_path / "run", tmp_path / "whole"
    growing = (
        *("--data", "sine", "--hidden", "none", "--kernel", "numpy", "--gradient-descent"),
        *("batch", "--optimizer", "sgd", "--learning-rate", "1e4"),
    )
    result = fastnn("train", *growing, "--epochs", "40", "--out", run)
    result.assert_error("epoch", "step")
    epochs = len((run / "history.csv").read_text().splitlines()) - 1
    assert 1 < epochs < 40
    assert fastnn("train", *growing, "--epochs", epochs, "--out", whole).status == 0
    assert (run / FILES[3]).read_bytes() == (whole / FILES[3]).read_bytes()
