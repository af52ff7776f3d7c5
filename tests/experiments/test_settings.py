import tomllib
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn import (
    AdamW,
    Dense,
    Dropout,
    Softmax,
    Tanh,
)
from fastnn.datasets import load
from fastnn.experiments.build import (
    ACTIVATIONS,
    INITIALIZERS,
    OPTIMIZERS,
    build_network,
    build_optimizer,
    build_schedule,
    hold_out,
)
from fastnn.experiments.settings import (
    BATCH_SIZES,
    CHOICES,
    LEARNING_RATES,
    WEIGHT_DECAYS,
    Experiment,
    ExperimentError,
    read_settings,
)
from fastnn.initializers import GlorotUniform
from fastnn.training import GRADIENT_DESCENTS

DIGITS = load("digits")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def test_every_choice_is_one_that_can_be_built():
    assert tuple(ACTIVATIONS) == CHOICES["activation"]
    assert ("auto", *INITIALIZERS) == CHOICES["initializer"]
    assert tuple(OPTIMIZERS) == CHOICES["optimizer"] == tuple(LEARNING_RATES)
    assert GRADIENT_DESCENTS == CHOICES["gradient_descent"] == tuple(BATCH_SIZES)


@pytest.mark.parametrize("name", CHOICES["optimizer"])
def test_weight_decay_is_the_optimizers_own(name):
    assert OPTIMIZERS[name]().weight_decay == WEIGHT_DECAYS[name]


@given(data=TEXT, data_dir=st.none() | TEXT, hidden=st.lists(st.integers(1, 1000)))
def test_toml_round_trip_of_text_and_sizes(data, data_dir, hidden):
    experiment = Experiment(data=data, data_dir=data_dir, hidden=tuple(hidden))
    assert Experiment(**tomllib.loads(experiment.to_toml())) == experiment


@given(
    st.floats(0, exclude_min=True, allow_infinity=False),
    st.floats(0, 1, exclude_max=True),
    st.booleans(),
    st.booleans(),
)
def test_toml_round_trip_of_numbers(rate, share, nesterov, flush):
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


def test_a_resolved_experiment_leaves_no_default_to_later_versions():
    resolved = Experiment().resolved()
    open_still = {name for name, value in asdict(resolved).items() if value is None}
    assert open_still == {"data_dir", "threads", "clip_norm"}
    assert resolved.resolved() == resolved
    given = Experiment(learning_rate=1e-5, weight_decay=0.0, batch_size=7)
    assert given.resolved() == given


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "swish"}, "activation must be one of relu, .* not 'swish'"),
        ({"optimizer": 3}, "optimizer must be text, not 3"),
        ({"data": ""}, "data must be text, not ''"),
        ({"hidden": (64, 0)}, r"hidden must be whole numbers of at least 1, not \(64, 0\)"),
        ({"hidden": (1.5,)}, "hidden must be"),
        ({"hidden": 64}, "hidden must be .* not 64"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, not 0"),
        ({"epochs": True}, "epochs must be .* not True"),
        ({"epochs": None}, "epochs must be .* not None"),
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
def test_what_is_not_allowed_is_named(settings, message):
    with pytest.raises(ExperimentError, match=message):
        Experiment(**settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"epochs = 3\nepoch = 4\n", "unknown key epoch; allowed are data, .* epochs"),
        (b"[train]\nepochs = 3\n", "unknown key train"),
        (b"epochs 3\n", "is no TOML file: .*line 1"),
        (b"data = '\xff'\n", "is no TOML file"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path, content, message):
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ExperimentError, match=message) as caught:
        read_settings(path)
    assert str(path) in str(caught.value)


def test_network_of_the_settings():
    experiment = Experiment(hidden=(5, 4), activation="tanh", dropout=0.2, dtype="float64")
    net = build_network(experiment, DIGITS, 0)
    kinds = [Dense, Tanh, Dropout, Dense, Tanh, Dropout, Dense, Softmax]
    assert [type(layer) for layer in net.layers] == kinds
    assert (net.sizes, net.dtype) == ((64, 5, 4, 10), np.float64)
    linear = build_network(Experiment(hidden=()), load("sine"), 0)
    assert [type(layer) for layer in linear.layers] == [Dense]


@pytest.mark.parametrize(
    ("activation", "hidden", "last"),
    [
        ("relu", HeNormal, GlorotUniform),
        ("leaky-relu", HeNormal, GlorotUniform),
        ("sigmoid", GlorotUniform, GlorotUniform),
    ],
)
def test_automatic_initializer(activation, hidden, last):
    net = build_network(Experiment(activation=activation), DIGITS, 0)
    dense = [layer for layer in net.layers if isinstance(layer, Dense)]
    assert [type(layer.initializers["weights"]) for layer in dense] == [hidden, last]


def test_named_initializer_is_that_of_every_layer():
    net = build_network(Experiment(initializer="zeros"), DIGITS, 0)
    assert not net.parameters.flat.any()


def test_optimizer_of_the_settings():
    experiment = Experiment(optimizer="sgd", momentum=0.8, nesterov=True, clip_norm=2.0)
    sgd = build_optimizer(experiment.resolved(), 10)
    assert (sgd.momentum, sgd.nesterov, sgd.clip_norm, sgd.weight_decay) == (0.8, True, 2.0, 0.0)
    adamw = build_optimizer(Experiment(optimizer="adamw", weight_decay=0.5).resolved(), 10)
    assert isinstance(adamw, AdamW)
    assert adamw.weight_decay == 0.5


def test_schedules_count_in_epochs():
    base = Experiment(learning_rate=1.0, epochs=4)
    constant = build_schedule(base, 10)
    assert [constant(0), constant(39)] == [1.0, 1.0]
    step = build_schedule(
        replace(base, schedule="step", decay_every=2, decay_factor=0.1), steps_per_epoch=10
    )
    assert [step(19), step(20), step(39)] == [1.0, 0.1, 0.1]
    cosine = build_schedule(replace(base, schedule="cosine"), 10)
    assert [cosine(0), cosine(20), cosine(40)] == pytest.approx([1.0, 0.5, 0.0])
    warm = build_schedule(replace(base, schedule="cosine", warmup=2), 10)
    assert [warm(9), warm(20), warm(30), warm(40)] == pytest.approx([0.5, 1.0, 0.5, 0.0])


def test_held_out_samples_are_a_share_of_each_class():
    y = np.repeat([0, 1, 2], [100, 50, 1])
    marked = hold_out(y, 0.1, np.random.default_rng(0))
    assert [marked[y == label].sum() for label in range(3)] == [10, 5, 0]
    assert not hold_out(y, 0.0, np.random.default_rng(0)).any()
    assert hold_out(np.zeros((30, 2)), 0.1, np.random.default_rng(0)).sum() == 3


def test_a_share_that_is_no_sample_is_refused():
    with pytest.raises(ValueError, match=r"validation=0.01 of 20 training samples"):
        hold_out(np.arange(20) % 2, 0.01, np.random.default_rng(0))
