"""The best weights come back at any end of a training, and callbacks begin anew with each."""

import warnings

import numpy as np
import pytest

from fastnn import (
    SGD,
    Adam,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    StopTraining,
    TerminateOnNaN,
    evaluate,
)
from fastnn.checkpoint import load_training
from tests.robustness.trainings import After, X, Y, network, train


def valley():
    """Return an optimizer that makes things better for 3 epochs, and worse by each one after."""
    return SGD(lambda step: 0.3 if step < 12 else 0.3 * 4.0 ** (step - 11))


class Interrupt:
    def __init__(self, step):
        self.step = step

    def on_step(self, training):
        if training.optimizer.steps == self.step:
            raise KeyboardInterrupt


def fail(training):
    raise OSError("no space left")


def stop(training):
    raise StopTraining("enough")


def interrupt(training):
    raise KeyboardInterrupt


ENDS = {
    "patience": ({"patience": 2}, [], None),
    "last epoch": ({"patience": 50}, [], None),
    "a callback stops": ({"patience": 50}, [After(5, stop)], None),
    "Ctrl-C between epochs": ({"patience": 50}, [After(5, interrupt)], KeyboardInterrupt),
    "Ctrl-C in an epoch": ({"patience": 50}, [Interrupt(22)], KeyboardInterrupt),
    "a callback fails": ({"patience": 50}, [After(5, fail)], OSError),
    "NaN": ({"patience": 50}, [TerminateOnNaN()], None),
}
ends = pytest.mark.parametrize(("options", "others", "error"), ENDS.values(), ids=ENDS)


def run_to_the_end(callbacks, error, epochs, engine="auto"):
    """Return the network, and its weights and losses after each epoch."""
    net, weights, losses = network(dtype="float64"), [], []

    def keep(training):
        weights.append(training.net.parameters.flat.copy())
        losses.append(training.history[-1].val_loss)

    options = {"validation_data": (X, Y), "epochs": epochs, "callbacks": [keep, *callbacks]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a loss that turns NaN
        if error:
            with pytest.raises(error):
                train(net, valley(), engine=engine, **options)
        else:
            train(net, valley(), engine=engine, **options)
    return net, weights, losses


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
@ends
def test_the_best_weights_come_back_at_any_end(options, others, error, first):
    early = EarlyStopping("val_loss", **options)
    callbacks = [early, *others] if first else [*others, early]
    epochs = 600 if isinstance(others and others[0], TerminateOnNaN) else 8
    net, weights, losses = run_to_the_end(callbacks, error, epochs)
    best = int(np.nanargmin(losses))
    assert best == 2
    assert len(losses) > best + 1
    np.testing.assert_array_equal(net.parameters.flat, weights[best])
    assert early.best_epoch == best + 1
    assert early.best == losses[best] == evaluate(net, X, Y, loss="cross-entropy").loss


@ends
def test_without_the_best_weights_the_last_ones_stay(options, others, error):
    early = EarlyStopping("val_loss", **options, restore_best_weights=False)
    epochs = 600 if isinstance(others and others[0], TerminateOnNaN) else 8
    net, weights, _ = run_to_the_end([*others, early], error, epochs)
    if not any(isinstance(other, Interrupt) for other in others):
        np.testing.assert_array_equal(net.parameters.flat, weights[-1])
    assert not np.array_equal(net.parameters.flat, weights[2])


@pytest.mark.parametrize("order", ["early, file", "file, early"])
@pytest.mark.parametrize("every", [1, 3])
@ends
def test_the_checkpoint_holds_the_best_weights_after_any_end(
    options, others, error, every, order, tmp_path
):
    early, file = EarlyStopping("val_loss", **options), Checkpoint(tmp_path / "t", every=every)
    pair = [early, file] if order == "early, file" else [file, early]
    epochs = 600 if isinstance(others and others[0], TerminateOnNaN) else 8
    _, weights, losses = run_to_the_end([*others, *pair], error, epochs)
    saved = network(dtype="float64")
    _, history = load_training(tmp_path / "t", saved, valley())
    np.testing.assert_array_equal(saved.parameters.flat, weights[int(np.nanargmin(losses))])
    np.testing.assert_equal([record.val_loss for record in history], losses)


def test_a_callback_begins_anew_with_each_training():
    """The second network got the weights of the first."""
    early = EarlyStopping("loss", patience=1)
    first, second = network(rng=1), network(rng=2)
    train(first, Adam(0.05), epochs=3, callbacks=[early])
    best_of_first = early.best
    alone = network(rng=2)
    expected = train(alone, SGD(1e-3), epochs=5, callbacks=[EarlyStopping("loss", patience=1)])
    history = train(second, SGD(1e-3), epochs=5, callbacks=[early])
    assert [r.loss for r in history] == [r.loss for r in expected]
    assert len(history) == 5
    assert early.best > best_of_first
    np.testing.assert_array_equal(second.parameters.flat, alone.parameters.flat)
    assert not np.array_equal(first.parameters.flat, second.parameters.flat)


def test_hooks_of_a_callback_are_called_in_their_order_and_at_any_end():
    calls = []

    class Watch:
        def __init__(self, name, saves=False):
            self.name, self.saves = name, saves

        def on_train_begin(self, training):
            calls.append((self.name, "begin", len(training.history)))

        def __call__(self, training):
            calls.append((self.name, "epoch", len(training.history)))

        def on_train_end(self, training):
            calls.append((self.name, "end", len(training.history)))

    callbacks = [Watch("file", saves=True), Watch("other"), After(2, interrupt)]
    with pytest.raises(KeyboardInterrupt):
        train(network(), SGD(0.1), callbacks=callbacks)
    names = ("file", "other")
    assert calls == [
        *((name, "begin", 0) for name in names),
        *((name, "epoch", 1) for name in names),
        *((name, "epoch", 2) for name in names),
        ("other", "end", 2),
        ("file", "end", 2),
    ]


def test_a_callback_may_stop_a_training_before_it_begins():
    ended = []

    class Never:
        def on_train_begin(self, training):
            raise StopTraining("not today")

        def on_train_end(self, training):
            ended.append(len(training.history))

    history = train(network(), SGD(0.1), callbacks=[Never()])
    assert (history.stopped, len(history), ended) == ("not today", 0, [0])


def test_a_csv_file_has_the_epoch_that_ends_the_training(tmp_path):
    callbacks = [CSVLogger(tmp_path / "h.csv"), EarlyStopping("loss", patience=1)]
    history = train(network(), valley(), callbacks=callbacks, epochs=10)
    assert history.stopped
    assert len((tmp_path / "h.csv").read_text().splitlines()) == len(history) + 1


def test_a_callback_that_has_not_begun_does_not_end():
    """Otherwise the best weights of the network before would come into this one."""
    early = EarlyStopping("loss")
    train(network(), SGD(0.1), epochs=3, callbacks=[early])

    class Never:
        def on_train_begin(self, training):
            raise StopTraining("not today")

    net = network(rng=5)
    before = net.parameters.flat.copy()
    train(net, SGD(0.1), callbacks=[Never(), early])
    np.testing.assert_array_equal(net.parameters.flat, before)


def test_all_callbacks_end_where_one_of_them_fails():
    class Fails:
        def on_train_end(self, training):
            raise RuntimeError("no disk")

    early, net = EarlyStopping("loss", patience=1), network()
    with pytest.raises(RuntimeError, match="no disk"):
        train(net, valley(), epochs=10, callbacks=[Fails(), early])
    assert evaluate(net, X, Y, loss="cross-entropy").loss < np.inf
    assert early.best is not None


def test_a_training_that_is_stopped_between_two_checkpoints_is_saved(tmp_path):
    path = tmp_path / "training.safetensors"
    early = EarlyStopping("loss", patience=1, restore_best_weights=False)
    net = network()
    history = train(net, valley(), epochs=50, callbacks=[early, Checkpoint(path, every=40)])
    assert history.stopped
    kept = network()
    _, saved = load_training(path, kept, SGD(0.1))
    assert len(saved) == len(history)
    np.testing.assert_array_equal(kept.parameters.flat, net.parameters.flat)
