"""Code of the user's own on the command line: named, imported when asked for, and found again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fastnn.experiments.settings import SETTINGS

EXTENSIONS = Path(__file__).parents[1] / "extensions"
OWN = {
    "layer": "low_rank.py:LowRank",
    "activation": "gelu.py:GELU",
    "optimizer": "lion.py:Lion",
    "loss": "huber.py:Huber",
    "kernel": "outer.py:OUTER",
}
TRAINED = ("train", "--data", "sine", "--hidden", "8,8", "--learning-rate", "0.01", "--epochs")


def named(*names, directory=None):
    """Return the options that name code, as seen from a working directory, or absolutely."""
    place = f"{directory}/" if directory else ""
    return [text for name in names for text in (f"--{name}", place + OWN[name])]


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Return a working directory with the files of `OWN`."""
    for where in OWN.values():
        shutil.copy(EXTENSIONS / where.partition(":")[0], tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(directory, fastnn, monkeypatch):
    """Return a run of two epochs that uses all of it, seen from another directory."""
    assert fastnn(*TRAINED, 2, *named(*OWN), "--out", "run").status == 0
    monkeypatch.chdir("/")
    return directory / "run"


def test_settings_that_allow_code_are_all_tested_here():
    assert set(OWN) == {name for name, setting in SETTINGS.items() if setting.code}


@pytest.mark.parametrize("name", OWN)
def test_train_with_code_for_one_setting(fastnn, directory, name):
    report = fastnn(*TRAINED, 3, *named(name), "--json").json
    assert report["settings"][name] == OWN[name]
    losses = [epoch["loss"] for epoch in report["history"]]
    assert losses[-1] < losses[0]


def test_train_takes_code_from_a_config(fastnn, directory):
    lines = [f'{name} = "{where}"\n' for name, where in OWN.items()]
    (directory / "config.toml").write_text("".join(lines))
    report = fastnn(*TRAINED, 1, "--config", "config.toml", "--json").json
    assert {name: report["settings"][name] for name in OWN} == OWN
    assert report["kernel"] == "outer"


def test_out_keeps_where_the_code_is(run):
    text = (run / "config.toml").read_text()
    for where in OWN.values():
        assert f'"{run.parent}/{where}"' in text


def test_resume_imports_the_code_of_the_run(fastnn, run):
    report = fastnn("train", "--resume", run, "--epochs", 3, "--json").json
    assert len(report["history"]) == 3
    whole = fastnn(*TRAINED, 3, *named(*OWN, directory=run.parent), "--json").json
    assert [each["loss"] for each in report["history"]] == [
        each["loss"] for each in whole["history"]
    ]


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("evaluate", ("layer", "activation", "loss", "kernel")),
        ("predict", ("layer", "activation", "kernel")),
    ],
)
def test_model_imports_only_code_that_is_named_again(fastnn, run, command, needed):
    arguments = (command, run, "--data", "sine", "--json")
    for missing in needed:
        given = [name for name in needed if name != missing]
        result = fastnn(*arguments, *named(*given, directory=run.parent))
        result.assert_error(f"only if it is named: add --{missing} {run.parent}/{OWN[missing]}")
    everything = " ".join(named(*needed, directory=run.parent))
    fastnn(*arguments).assert_error(f"only if it is named: add {everything}")
    result = fastnn(*arguments, *named(*needed, directory=run.parent)).json
    if command == "evaluate":
        assert result["test_loss"] == json.loads((run / "run.json").read_text())["test_loss"]
    else:
        assert np.isfinite(result["outputs"]).all()


def test_evaluate_takes_another_kernel_and_loss_than_the_run(fastnn, run):
    code = named("layer", "activation", directory=run.parent)
    result = fastnn("evaluate", run, *code, "--kernel", "numpy", "--loss", "mse", "--json").json
    assert result["kernel"] == "numpy"
    trained = json.loads((run / "run.json").read_text())["test_loss"]  # by Huber: half a square
    assert result["test_loss"] == pytest.approx(2 * trained, rel=1e-2)


def test_evaluate_a_file_with_code(fastnn, run):
    code = named("layer", "activation", directory=run.parent)
    arguments = ("evaluate", run / "weights.safetensors", "--data", "sine", "--json")
    fastnn(*arguments).assert_error("weights.safetensors", "LowRank")
    assert fastnn(*arguments, *code).json["test_loss"] > 0


@pytest.mark.parametrize("name", ["layer", "activation"])
def test_evaluate_does_not_exchange_parts_of_the_network(fastnn, run, name):
    known = {"layer": "dense", "activation": "relu"}[name]
    result = fastnn("evaluate", run, f"--{name}", known)
    result.assert_error(f"the {name} of {run} can't be changed", "MODULE:NAME", repr(known))


def test_resume_without_the_file_says_so(fastnn, run):
    (run.parent / "gelu.py").unlink()
    result = fastnn("train", "--resume", run, "--epochs", 3)
    result.assert_error(f"{run.parent}/gelu.py", "No such file")


def test_train_reports_code_that_fails_to_import_in_one_line(fastnn, directory):
    (directory / "gelu.py").write_text("import fastnn\n1 / 0\n")
    result = fastnn(*TRAINED, 1, *named("activation"))
    result.assert_error("gelu.py cannot be imported: ZeroDivisionError", "line 2")


@pytest.mark.parametrize(
    ("name", "where", "call"),
    [
        ("activation", "fastnn:Dense", "Dense()"),
        ("layer", "fastnn:Dropout", "Dropout(n_in, n_out)"),
        ("optimizer", "own.py:Own", "Own(learning_rate, weight_decay=…, clip_norm=…)"),
    ],
)
def test_train_refuses_a_class_that_is_built_otherwise(fastnn, directory, name, where, call):
    (directory / "own.py").write_text(
        "from fastnn import SGD\n"
        "class Own(SGD):\n"
        "    def __init__(self, rate): super().__init__(rate)\n"
    )
    fastnn("train", f"--{name}", where).assert_error(f"the {name} is built by {call}")


def test_loss_with_an_activation_of_its_own_is_evaluated(fastnn, directory):
    (directory / "own.py").write_text(
        "from fastnn import Sigmoid\n"
        "from fastnn.losses import BinaryCrossEntropy\n"
        "class Own(Sigmoid): pass\n"
        "class Loss(BinaryCrossEntropy): activation = Own\n"
    )
    own = ("--loss", "own.py:Loss")
    report = fastnn("train", *own, "--hidden", 4, "--epochs", 1, "--out", "run", "--json").json
    result = fastnn("evaluate", "run", *own, "--activation", "own.py:Own", "--json").json
    assert result["test_loss"] == report["test_loss"]


def test_resume_finds_a_kernel_from_a_file_from_another_directory(fastnn, tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n"
        "from fastnn.kernels import Kernel\n"
        "MINE = Kernel('mine', '', np.matmul)\n"
    )
    monkeypatch.chdir(tmp_path)
    options = ("--hidden", 6, "--kernel", "mine.py:MINE", "--epochs")
    for epochs, run in ((3, "whole"), (2, "parts")):
        assert fastnn("train", *options, epochs, "--out", run).status == 0
    monkeypatch.chdir("/")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    report = fastnn("train", "--resume", parts, "--epochs", 3, "--json").json
    assert (report["kernel"], report["settings"]["kernel"]) == ("mine", f"{file}:MINE")
    weights = [(run / "weights.safetensors").read_bytes() for run in (parts, whole)]
    assert weights[0] == weights[1]

    fastnn("evaluate", parts).assert_error(f"--kernel {file}:MINE")
    for kernel in (f"{file}:MINE", "numpy"):
        found = fastnn("evaluate", parts, "--kernel", kernel, "--json").json
        assert found["test_accuracy"] == report["test_accuracy"]
    file.unlink()
    fastnn("train", "--resume", parts, "--epochs", 4).assert_error(str(file), "No such file")
