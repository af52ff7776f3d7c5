"""Every setting is an option of ``fastnn train``, a key of its file, and part of its record."""

import json
import tomllib

import pytest
import typer.main

from fastnn.cli import COMMANDS, app
from fastnn.experiments.settings import SETTINGS, Experiment
from fastnn.layers import ACTIVATIONS
from fastnn.optimizers import OPTIMIZERS

SUBCOMMANDS = [*COMMANDS, "kernels check", "data info", "data fetch"]


def find_command(line):
    command = typer.main.get_command(app)
    for name in line.split():
        command = command.commands[name]
    return command


def options(line):
    """Return the options of a command by the name of their parameter."""
    return {each.name: each for each in find_command(line).params if each.name != "help"}


def test_train_has_an_option_for_each_setting_and_no_other():
    assert set(options("train")) - set(SETTINGS) == {"config", "out", "resume", "json"}
    assert set(SETTINGS) <= set(options("train"))


@pytest.mark.parametrize("name", SETTINGS)
def test_option_is_named_and_described_as_its_setting(name):
    option, setting = options("train")[name], SETTINGS[name]
    assert option.opts == ["--" + name.replace("_", "-")]
    assert option.default is None
    assert option.help.startswith(setting.text)
    assert all(choice in option.help for choice in setting.choices)
    assert option.rich_help_panel == setting.panel


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("epochs", "At least 1. Default: 60."),
        ("dropout", "At least 0 and below 1. Default: 0.0."),
        ("hidden", "Default: 128."),
        ("nesterov", "Default: no."),
        ("activation", f"One of {', '.join(ACTIVATIONS)}, MODULE:NAME or FILE.py:NAME. "
         "Default: relu."),
        ("learning_rate", "Above 0. Default: 0.1 for sgd; 0.001 for rmsprop, adam, adamw."),
        ("weight_decay", "At least 0. Default: 0 for sgd, rmsprop, adam; 0.004 for adamw."),
    ],
)  # fmt: skip
def test_help_states_range_choices_and_default(name, end):
    assert options("train")[name].help.endswith(end)


VALUES = {
    "data": "sine",
    "data_dir": "somewhere",
    "validation": "0.25",
    "hidden": "3,4",
    "layer": "mine:Layer",
    "activation": "tanh",
    "dropout": "0.5",
    "initializer": "zeros",
    "epochs": "7",
    "gradient_descent": "batch",
    "batch_size": "9",
    "loss": "mse",
    "optimizer": "sgd",
    "learning_rate": "0.125",
    "momentum": "0.5",
    "nesterov": None,
    "weight_decay": "0.25",
    "clip_norm": "2.0",
    "schedule": "step",
    "decay_every": "3",
    "decay_factor": "0.25",
    "warmup": "2",
    "kernel": "naive",
    "threads": "1",
    "engine": "python",
    "dtype": "float64",
    "flush_denormals": None,
    "seed": "5",
}


def test_every_option_reaches_the_experiment_and_the_config(fastnn, monkeypatch, tmp_path):
    """Each one is given a value other than its default."""
    begun = []
    monkeypatch.setattr("fastnn.experiments.run.Run.prepare", begun.append)
    arguments = []
    default = Experiment()
    for name, value in VALUES.items():
        is_off = value is None and getattr(default, name)
        arguments.append("--" + "no-" * is_off + name.replace("_", "-"))
        arguments += [value] if value is not None else []
    with pytest.raises(AttributeError):  # of the run, which has not been prepared
        fastnn("train", *arguments)
    (experiment,) = begun
    settings = tomllib.loads(experiment.to_toml())
    assert set(settings) == set(SETTINGS)
    for name, value in settings.items():
        assert getattr(experiment, name) != getattr(default, name), name
        expected = VALUES[name] or json.dumps(not getattr(default, name))
        assert json.dumps(value).replace(" ", "").strip('"[]') == expected
    assert Experiment(**settings) == experiment


@pytest.mark.parametrize("line", SUBCOMMANDS)
def test_command_has_a_help(fastnn, line):
    result = fastnn(*line.split(), "--help")
    assert (result.status, result.err) == (0, "")
    assert f"Usage: fastnn {line}" in result.out


@pytest.mark.parametrize("line", SUBCOMMANDS)
def test_option_of_every_command_is_described(line):
    command = find_command(line)
    assert command.help
    for each in command.params:
        assert each.help, each.name
        assert each.help.endswith("."), each.help


def test_optimizer_default_rates_are_told_for_every_optimizer():
    text = options("train")["learning_rate"].help
    assert all(name in text for name in OPTIMIZERS)
