"""Callbacks: what they do after an epoch."""

import csv
import math

import numpy as np
import pytest

from fastnn import (
    SGD,
    Checkpoint,
    CSVLogger,
    Dense,
    EarlyStopping,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    StopTraining,
    TerminateOnNaN,
    fit,
    kernels,
)
from fastnn.checkpoint import load_training

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))
Y = (X @ RNG.normal(size=(4, 3))).argmax(axis=1)


def classifier(**options):
    return Sequential([Dense(4, 8), ReLU(), Dense(8, 3)], **options)


def train(net, optimizer=None, **options):
    optimizer = optimizer or SGD(0.1)
    return fit(net, X, Y, loss=SoftmaxCrossEntropy(), optimizer=optimizer, **options)


def climbing():
    """Return an optimizer that goes down for 5 steps, and too far after that."""
    return SGD(lambda step: 0.1 if step < 5 else 100.0)


def stopped_early(net, callback, weights=None):
    """Train by one step an epoch; put the weights after each epoch into a list."""
    keep = [lambda t: weights.append(t.net.parameters.flat.copy())] if weights is not None else []
    options = {"gradient_descent": "batch", "epochs": 100, "callbacks": [*keep, callback]}
    return train(net, climbing(), validation_data=(X, Y), **options)


def test_early_stopping_restores_best_weights():
    net, weights = classifier(), []
    callback = EarlyStopping("loss", patience=3)
    history = stopped_early(net, callback, weights)
    best = min(history, key=lambda record: record.loss)
    assert len(history) == best.epoch + 3
    assert history.stopped == f"loss has not improved since epoch {best.epoch}"
    assert (callback.best, callback.best_epoch) == (best.loss, best.epoch)
    assert (net.parameters.flat == weights[best.epoch - 1]).all()


def test_early_stopping_leaves_the_last_weights_where_asked():
    net, weights = classifier(), []
    callback = EarlyStopping("val_loss", patience=3, restore_best_weights=False)
    history = stopped_early(net, callback, weights)
    assert history.stopped
    assert (net.parameters.flat == weights[-1]).all()


@pytest.mark.parametrize("monitor", ["accuracy", "val_accuracy"])
def test_early_stopping_waits_for_an_accuracy_to_rise(monitor):
    callback = EarlyStopping(monitor, patience=12)
    history = stopped_early(classifier(), callback)
    accuracies = [getattr(record, monitor) for record in history]
    assert callback.best == max(accuracies)
    assert callback.best_epoch == 1 + accuracies.index(max(accuracies))
    assert len(history) == callback.best_epoch + 12


def test_early_stopping_takes_what_is_below_min_delta_for_no_improvement():
    callback = EarlyStopping("loss", patience=3, min_delta=10.0)
    history = stopped_early(classifier(), callback)
    assert (len(history), callback.best_epoch, callback.best) == (4, 1, history[0].loss)


@pytest.mark.parametrize("patience", [0, 1])
def test_early_stopping_without_patience_stops_at_once(patience):
    callback = EarlyStopping("loss", patience=patience)
    history = stopped_early(classifier(), callback)
    assert len(history) == callback.best_epoch + 1


def test_early_stopping_starts_anew_with_each_training():
    callback, expected = EarlyStopping("loss", patience=3), []
    for net in (classifier(rng=1), classifier(rng=2), classifier(rng=1)):
        history = stopped_early(net, callback)
        expected.append((len(history), history.stopped, net.parameters.flat.tobytes()))
    assert expected[0] == expected[2]
    assert expected[0] != expected[1]
    alone = classifier(rng=2)
    stopped_early(alone, EarlyStopping("loss", patience=3))
    assert alone.parameters.flat.tobytes() == expected[1][2]


def test_early_stopping_refuses_what_it_cannot_monitor():
    with pytest.raises(ValueError, match="monitors val_loss, but there is none"):
        train(classifier(), callbacks=[EarlyStopping()])
    with pytest.raises(ValueError, match="must be one of"):
        EarlyStopping("f1")
    with pytest.raises(ValueError, match="patience must be at least 0, not -1"):
        EarlyStopping(patience=-1)


@pytest.mark.parametrize("kernel", kernels.names())
def test_terminate_on_nan_names_epoch_and_step(kernel):
    breaks = SGD(lambda step: 0.1 if step < 9 else 1e30)
    callbacks = [TerminateOnNaN()]
    history = train(classifier(kernel=kernel), breaks, batch_size=10, epochs=9, callbacks=callbacks)
    assert len(history) == 3
    assert not math.isfinite(history[-1].loss)
    assert history.stopped.startswith("the loss became ")
    assert history.stopped.endswith("in epoch 3, at step 1 of 5")


@pytest.mark.parametrize("engine", ["python", "compiled"])
def test_terminate_on_nan_looks_at_the_weights_that_the_last_step_left(engine):
    breaks = SGD(lambda step: 0.1 if step < 9 else 1e300)  # infinite in float32
    options = {"batch_size": 10, "epochs": 9, "engine": engine}
    history = train(classifier(), breaks, callbacks=[TerminateOnNaN()], **options)
    assert [math.isfinite(record.loss) for record in history] == [True, True]
    assert history.stopped == "a weight became NaN or infinite in epoch 2, at step 5 of 5"


def test_callback_of_a_users_own_may_stop_the_training():
    def stop(training):
        raise StopTraining("enough")

    assert train(classifier(), callbacks=[stop]).stopped == "enough"


def test_csv_logger_keeps_every_epoch_and_overwrites_nothing(tmp_path):
    path = tmp_path / "history.csv"
    history = train(classifier(), epochs=3, callbacks=[CSVLogger(path)], validation_data=(X, Y))
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert float(rows[2]["val_loss"]) == history[2].val_loss
    with pytest.raises(FileExistsError):
        train(classifier(), epochs=1, callbacks=[CSVLogger(path)])


def test_csv_logger_writes_all_of_a_training_that_goes_on(tmp_path):
    path, net, optimizer = tmp_path / "history.csv", classifier(), SGD(0.1)
    history = train(net, optimizer, epochs=2, callbacks=[CSVLogger(path)])
    train(net, optimizer, epochs=4, callbacks=[CSVLogger(path)], history=history)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]


def test_checkpoint_is_saved_every_few_epochs_and_at_the_end(tmp_path):
    path, saved = tmp_path / "training.safetensors", []

    def look(training):
        saved.append(len(load_training(path, classifier(), SGD(0.1))[1]) if path.exists() else 0)

    train(classifier(), epochs=5, callbacks=[Checkpoint(path, every=2), look])
    assert saved == [0, 2, 2, 4, 5]
    with pytest.raises(ValueError, match="every"):
        Checkpoint(path, every=0)
