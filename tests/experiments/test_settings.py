import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn import kernels
from fastnn.data import GRADIENT_DESCENTS
from fastnn.experiments.settings import (
    SETTINGS,
    Experiment,
    ExperimentError,
    read_settings,
)
from fastnn.initializers import INITIALIZERS
from fastnn.layers import ACTIVATIONS, HIDDEN_LAYERS
from fastnn.losses import LOSSES
from fastnn.optimizers import OPTIMIZERS
from fastnn.plan import ENGINES
from fastnn.schedules import SCHEDULES

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("layer", HIDDEN_LAYERS),
        ("activation", ACTIVATIONS),
        ("initializer", ["auto", *INITIALIZERS]),
        ("gradient_descent", GRADIENT_DESCENTS),
        ("loss", ["auto", *LOSSES]),
        ("optimizer", OPTIMIZERS),
        ("schedule", SCHEDULES),
        ("engine", ENGINES),
    ],
)
def test_setting_allows_every_choice_of_the_list_beside_the_classes(name, choices):
    assert SETTINGS[name].choices == tuple(choices)
    for choice in choices:
        assert getattr(Experiment(**{name: choice}), name) == choice


def test_setting_has_a_help_text_and_a_panel():
    for setting in SETTINGS.values():
        assert setting.text.endswith(".")
        assert setting.panel in {"Data", "Network", "Training", "Computation"}


def test_settings_that_allow_code_are_those_that_are_imported():
    code = {name for name, setting in SETTINGS.items() if setting.code}
    assert code == {"kernel", "layer", "activation", "loss", "optimizer"}
    for name in code:
        assert getattr(Experiment(**{name: "some.module:Name"}), name) == "some.module:Name"


def test_experiment_takes_the_default_kernel(monkeypatch):
    monkeypatch.delenv("FASTNN_KERNEL", raising=False)
    assert Experiment().kernel == kernels.DEFAULT
    monkeypatch.setenv("FASTNN_KERNEL", "naive")
    assert Experiment().kernel == "naive"


@given(data=TEXT, data_dir=st.none() | TEXT, hidden=st.lists(st.integers(1, 1000)))
def test_experiment_survives_toml_with_any_text_and_sizes(data, data_dir, hidden):
    experiment = Experiment(data=data, data_dir=data_dir, hidden=tuple(hidden))
    assert Experiment(**tomllib.loads(experiment.to_toml())) == experiment


@given(
    st.floats(0, exclude_min=True, allow_infinity=False),
    st.floats(0, 1, exclude_max=True),
    st.booleans(),
    st.booleans(),
)
def test_experiment_survives_toml_with_any_numbers(rate, share, nesterov, flush):
    experiment = Experiment(
        optimizer="sgd",
        learning_rate=rate,
        momentum=0.9,
        nesterov=nesterov,
        flush_denormals=flush,
        validation=share,
        threads=3,
        seed=2**64,
    )
    assert Experiment(**tomllib.loads(experiment.to_toml())) == experiment


def test_experiment_takes_numbers_of_other_types():
    experiment = Experiment(learning_rate=1, dropout=np.float64(0.25), hidden=[3, 4])
    assert (experiment.learning_rate, experiment.dropout) == (1.0, 0.25)
    assert type(experiment.dropout) is float
    assert experiment.hidden == (3, 4)


def test_resolved_leaves_no_default_to_later_versions():
    resolved = Experiment().resolved()
    left = {name for name, value in resolved.as_dict().items() if value is None}
    assert left == {"data_dir", "threads", "clip_norm"}
    assert resolved.resolved() == resolved
    chosen = Experiment(learning_rate=1e-5, weight_decay=0.0, batch_size=7)
    assert chosen.resolved() == chosen


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_resolved_takes_the_weight_decay_of_the_optimizer_itself(name):
    assert Experiment(optimizer=name).resolved().weight_decay == OPTIMIZERS[name]().weight_decay


@pytest.mark.parametrize(
    ("optimizer", "rate"), [("sgd", 0.1), ("rmsprop", 0.001), ("adam", 0.001), ("adamw", 0.001)]
)
def test_resolved_takes_a_learning_rate_for_tens_of_epochs(optimizer, rate):
    assert Experiment(optimizer=optimizer).resolved().learning_rate == rate


def test_resolved_takes_the_defaults_of_an_optimizer_from_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from fastnn import SGD\n"
        "class Own(SGD):\n"
        "    def __init__(self, learning_rate=0.5, *, weight_decay=0.25, clip_norm=None):\n"
        "        super().__init__(learning_rate)\n"
        "class Bare(SGD):\n"
        "    def __init__(self, learning_rate, *, weight_decay, clip_norm):\n"
        "        super().__init__(learning_rate)\n"
    )
    own = Experiment(optimizer=f"{file}:Own").resolved()
    assert (own.learning_rate, own.weight_decay) == (0.5, 0.25)
    bare = Experiment(optimizer=f"{file}:Bare").resolved()
    assert (bare.learning_rate, bare.weight_decay) == (0.001, 0.0)


@pytest.mark.parametrize("way", GRADIENT_DESCENTS)
def test_resolved_gives_a_batch_size_to_mini_batches_alone(way):
    resolved = Experiment(gradient_descent=way).resolved()
    assert resolved.batch_size == (32 if way == "mini-batch" else None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "swish"}, "activation must be one of relu, .*NAME, not 'swish'"),
        ({"layer": "conv"}, "layer must be one of dense, MODULE:NAME or FILE.py:NAME, not 'conv'"),
        ({"loss": "mae"}, "loss must be one of auto, cross-entropy, bce, mse, .* not 'mae'"),
        ({"optimizer": 3}, "optimizer must be one of sgd, .* not 3"),
        ({"schedule": "mine.py:Linear"}, "schedule must be one of .* not 'mine.py:Linear'"),
        ({"data": ""}, "data must be text, not ''"),
        ({"kernel": None}, "kernel must be text, not None"),
        ({"hidden": (64, 0)}, r"hidden must be whole numbers of at least 1, not \(64, 0\)"),
        ({"hidden": (1.5,)}, "hidden must be"),
        ({"hidden": 64}, "hidden must be .* not 64"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, not 0"),
        ({"epochs": True}, "epochs must be .* not True"),
        ({"epochs": None}, "epochs must be .* not None"),
        ({"epochs": 1.0}, "epochs must be .* not 1.0"),
        ({"batch_size": -1}, "batch_size must be a whole number of at least 1, not -1"),
        ({"threads": 0}, "threads must be"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0, not 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"learning_rate": float("inf")}, "learning_rate must be"),
        ({"learning_rate": "fast"}, "learning_rate must be .* not 'fast'"),
        ({"dropout": 1.0}, "dropout must be a number of at least 0 and below 1, not 1.0"),
        ({"validation": 1}, "validation must be"),
        ({"weight_decay": -0.1}, "weight_decay must be a number of at least 0"),
        ({"clip_norm": 0.0}, "clip_norm must be a number above 0"),
        ({"nesterov": "yes"}, "nesterov must be true or false"),
        ({"flush_denormals": 1}, "flush_denormals must be true or false, not 1"),
        ({"momentum": 0.9}, "belong to the optimizer sgd, not to adam"),
        ({"optimizer": "sgd", "nesterov": True}, "nesterov needs a momentum"),
        ({"epochs": 3, "warmup": 3}, "warmup must be shorter than the run of 3 epochs"),
    ],
)
def test_experiment_error_names_the_setting_what_it_got_and_what_is_allowed(settings, message):
    with pytest.raises(ExperimentError, match=f"^.*{message}") as caught:
        Experiment(**settings)
    assert "\n" not in str(caught.value)


def test_replace_checks_what_changes():
    with pytest.raises(ExperimentError, match="epochs must be"):
        Experiment().replace(epochs=0)


def test_experiment_is_not_changed():
    with pytest.raises(AttributeError):
        Experiment().epochs = 3


def test_read_settings_returns_what_the_file_sets(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('hidden = [5, 4]\nepochs = 2\nloss = "mine.py:Loss"\nlearning_rate = 1\n')
    settings = {"hidden": (5, 4), "epochs": 2, "loss": "mine.py:Loss", "learning_rate": 1.0}
    assert read_settings(path) == settings


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"epochs = 3\nepoch = 4\n", "unknown key epoch; allowed are data, .* epochs"),
        (b"[train]\nepochs = 3\n", "unknown key train"),
        (b"epochs 3\n", "is not a TOML file: .*line 1"),
        (b"data = '\xff'\n", "is not a TOML file"),
        (b"epochs = 0\n", "config.toml: epochs must be a whole number of at least 1, not 0"),
        (b"hidden = '64'\n", "config.toml: hidden must be whole numbers .* not '64'"),
    ],
)
def test_read_settings_error_names_the_file(tmp_path, content, message):
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ExperimentError, match=message) as caught:
        read_settings(path)
    assert str(path) in str(caught.value)
