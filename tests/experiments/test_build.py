from dataclasses import replace

import numpy as np
import pytest

from fastnn import AdamW, Dense, Dropout, Sigmoid, Softmax, Tanh
from fastnn.datasets import load
from fastnn.experiments.build import Builder, build_schedule, hold_out, targets_for
from fastnn.experiments.settings import Experiment
from fastnn.initializers import GlorotUniform, HeNormal
from fastnn.losses import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy

DIGITS, SINE = load("digits"), load("sine")


def kinds(net):
    return [type(layer) for layer in net.layers]


def test_builder_builds_the_network_of_the_settings():
    experiment = Experiment(hidden=(5, 4), activation="tanh", dropout=0.2, dtype="float64")
    net = Builder(experiment).build_network(DIGITS, 0)
    assert kinds(net) == [Dense, Tanh, Dropout, Dense, Tanh, Dropout, Dense, Softmax]
    assert (net.sizes, net.dtype) == ((64, 5, 4, 10), np.float64)
    linear = Builder(Experiment(hidden=())).build_network(SINE, 0)
    assert kinds(linear) == [Dense]


@pytest.mark.parametrize(
    ("loss", "data", "kind", "last"),
    [
        ("auto", DIGITS, SoftmaxCrossEntropy, Softmax),
        ("auto", SINE, MeanSquaredError, Dense),
        ("cross-entropy", DIGITS, SoftmaxCrossEntropy, Softmax),
        ("bce", DIGITS, BinaryCrossEntropy, Sigmoid),
        ("mse", DIGITS, MeanSquaredError, Dense),
    ],
)
def test_builder_ends_the_network_in_what_the_loss_is_computed_on(loss, data, kind, last):
    builder = Builder(Experiment(loss=loss))
    assert type(builder.build_loss(data)) is kind
    assert kinds(builder.build_network(data, 0))[-1] is last


@pytest.mark.parametrize(
    ("activation", "hidden", "last"),
    [
        ("relu", HeNormal, GlorotUniform),
        ("leaky-relu", HeNormal, GlorotUniform),
        ("sigmoid", GlorotUniform, GlorotUniform),
    ],
)
def test_builder_chooses_initializers_by_the_activation(activation, hidden, last):
    net = Builder(Experiment(activation=activation)).build_network(DIGITS, 0)
    dense = [layer for layer in net.layers if isinstance(layer, Dense)]
    assert [type(layer.initializers["weights"]) for layer in dense] == [hidden, last]


def test_builder_takes_a_named_initializer_for_every_layer():
    net = Builder(Experiment(initializer="zeros")).build_network(DIGITS, 0)
    assert not net.parameters.flat.any()


def test_builder_builds_the_optimizer_of_the_settings():
    experiment = Experiment(optimizer="sgd", momentum=0.8, nesterov=True, clip_norm=2.0)
    sgd = Builder(experiment).build_optimizer(10)
    assert (sgd.momentum, sgd.nesterov, sgd.clip_norm, sgd.weight_decay) == (0.8, True, 2.0, 0.0)
    adamw = Builder(Experiment(optimizer="adamw", weight_decay=0.5)).build_optimizer(10)
    assert isinstance(adamw, AdamW)
    assert adamw.weight_decay == 0.5


def test_build_schedule_counts_in_epochs():
    base = Experiment(learning_rate=1.0, epochs=4)
    constant = build_schedule(base, 10)
    assert [constant(0), constant(39)] == [1.0, 1.0]
    step = build_schedule(base.replace(schedule="step", decay_every=2, decay_factor=0.1), 10)
    assert [step(19), step(20), step(39)] == [1.0, 0.1, 0.1]
    cosine = build_schedule(base.replace(schedule="cosine"), 10)
    assert [cosine(0), cosine(20), cosine(40)] == pytest.approx([1.0, 0.5, 0.0])
    warm = build_schedule(base.replace(schedule="cosine", warmup=2), 10)
    assert [warm(9), warm(20), warm(30), warm(40)] == pytest.approx([0.5, 1.0, 0.5, 0.0])


def test_targets_for_gives_one_row_per_sample_to_a_loss_that_takes_no_labels():
    labels = np.array([2, 0])
    three = replace(
        DIGITS, classes=("a", "b", "c"), y_train=DIGITS.y_train % 3, y_test=DIGITS.y_test % 3
    )
    rows = targets_for(BinaryCrossEntropy(), labels, three)
    assert rows.dtype == np.float32
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert targets_for(SoftmaxCrossEntropy(), labels, three) is labels
    assert targets_for(MeanSquaredError(), SINE.y_test, SINE) is SINE.y_test


def test_hold_out_marks_a_share_of_each_class():
    y = np.repeat([0, 1, 2], [100, 50, 1])
    marked = hold_out(y, 0.1, np.random.default_rng(0))
    assert [marked[y == label].sum() for label in range(3)] == [10, 5, 0]
    assert not hold_out(y, 0.0, np.random.default_rng(0)).any()
    assert hold_out(np.zeros((30, 2)), 0.1, np.random.default_rng(0)).sum() == 3


def test_hold_out_refuses_a_share_of_less_than_one_sample():
    with pytest.raises(ValueError, match=r"validation=0.01 of 20 training samples"):
        hold_out(np.arange(20) % 2, 0.01, np.random.default_rng(0))
