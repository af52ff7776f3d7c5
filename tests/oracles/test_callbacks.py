"""`EarlyStopping` and `TerminateOnNaN` against Keras 3's, case by case.

Both sides are driven by hand, epoch by epoch, with the same figures. The weights after epoch `n`
are `n`, so that it shows which ones are restored.
"""

import itertools
import re
from types import SimpleNamespace

import numpy as np
import pytest

from fastnn import EarlyStopping, Epoch, StopTraining, TerminateOnNaN

callbacks = pytest.importorskip("keras.callbacks", reason="Keras is not installed")

NAN, INF = float("nan"), float("inf")


def training():
    return SimpleNamespace(
        history=[],
        net=SimpleNamespace(parameters=SimpleNamespace(flat=np.zeros(1))),
        steps_per_epoch=1,
        finite_steps=1,
        has_best_weights=False,
    )


def ours(callback, figures):
    """Return at which epoch it stopped, the best epoch and figure, and the weights in the end."""
    fit, field = training(), callback.monitor
    callback.on_train_begin(fit)
    for epoch, figure in enumerate(figures, start=1):
        fit.net.parameters.flat[:] = epoch
        record = {"loss": 0.0, "accuracy": 0.0, "val_loss": 0.0, "val_accuracy": 0.0}
        fit.history.append(Epoch(epoch, **record | {field: figure}, seconds=0.0))
        try:
            callback(fit)
        except StopTraining:
            break
    callback.on_train_end(fit)
    weights = float(fit.net.parameters.flat[0])
    return len(fit.history), callback.best_epoch, callback.best, weights


class Model:
    """What Keras's callbacks need of a model."""

    def __init__(self):
        self.weights, self.stop_training = [np.zeros(1)], False

    def get_weights(self):
        return [weights.copy() for weights in self.weights]

    def set_weights(self, weights):
        self.weights = weights


def theirs(callback, figures):
    """Do the same with a callback of Keras."""
    model = Model()
    callback.set_model(model)
    callback.on_train_begin()
    epochs = 0
    for epoch, figure in enumerate(figures):
        model.weights = [np.full(1, epoch + 1.0)]
        callback.on_epoch_end(epoch, {callback.monitor: figure})
        epochs += 1
        if model.stop_training:
            break
    callback.on_train_end()
    return epochs, callback.best_epoch + 1, callback.best, float(model.weights[0][0])


def pair(monitor="val_loss", patience=2, min_delta=0.0, restore=True):
    mode = "max" if monitor.endswith("accuracy") else "min"
    return (
        EarlyStopping(monitor, patience, min_delta, restore_best_weights=restore),
        callbacks.EarlyStopping(
            monitor, min_delta, patience, mode=mode, restore_best_weights=restore
        ),
    )


def assert_same(figures, **options):
    one, other = pair(**options)
    found, expected = ours(one, figures), theirs(other, figures)
    np.testing.assert_equal(found, expected)  # in which NaN equals NaN
    return found


FALLING = [5, 4, 3, 2, 1, 0.5]
SERIES = {
    "falling": FALLING,
    "rising": FALLING[::-1],
    "constant": [1] * 6,
    "with a valley": [3, 2, 1, 2, 3, 4, 0.5],
    "with plateaus": [3, 3, 2, 2, 2, 1, 1, 1, 1],
    "up and down": [2, 3, 1, 3, 0.5, 3, 0.25, 3, 3, 3],
    "one epoch": [1],
    "NaN in between": [3, NAN, 2, NAN, NAN, 1, 0.5],
    "NaN at the end": [3, 2, NAN, NAN, NAN, NAN],
    "NaN all along": [NAN] * 6,
    "inf at the start": [INF, INF, 3, 2, 2.5, 2.5, 2.5],
    "inf in between": [3, INF, 2, INF, INF, INF, 1],
    "inf all along": [INF] * 6,
    "-inf": [3, -INF, -INF, 2, 1],
    "zeros": [0, 0, -0.0, 0],
}


@pytest.mark.parametrize("restore", [True, False], ids=["restored", "left"])
@pytest.mark.parametrize("patience", [0, 1, 2, 3, 10], ids=lambda n: f"patience {n}")
@pytest.mark.parametrize("series", SERIES)
def test_early_stopping_of_a_loss_stops_where_keras_does(series, patience, restore):
    for monitor in ("loss", "val_loss"):
        assert_same(SERIES[series], monitor=monitor, patience=patience, restore=restore)


@pytest.mark.parametrize("patience", [0, 1, 2, 5], ids=lambda n: f"patience {n}")
@pytest.mark.parametrize("series", SERIES)
def test_early_stopping_of_an_accuracy_stops_where_keras_does(series, patience):
    for monitor, figures in itertools.product(
        ("accuracy", "val_accuracy"), (SERIES[series], [-figure for figure in SERIES[series]])
    ):
        assert_same(figures, monitor=monitor, patience=patience)


@pytest.mark.parametrize("min_delta", [0.5, 1, 1.5, 100])
@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy"])
@pytest.mark.parametrize("series", SERIES)
def test_early_stopping_takes_the_size_of_min_delta_as_keras_does(series, monitor, min_delta):
    for figures in (SERIES[series], [-figure for figure in SERIES[series]]):
        found = assert_same(figures, monitor=monitor, min_delta=min_delta)
        np.testing.assert_equal(assert_same(figures, monitor=monitor, min_delta=-min_delta), found)


@pytest.mark.parametrize("seed", range(60))
def test_early_stopping_of_a_random_series_stops_where_keras_does(seed):
    """Figures are whole numbers of 64ths, which Keras's float32 holds exactly."""
    rng = np.random.default_rng(seed)
    figures = np.cumsum(rng.integers(-6, 6, 30)) / 64
    figures[1:][rng.random(29) < 0.15] = NAN
    figures[rng.random(30) < 0.05] = INF
    for monitor in ("val_loss", "accuracy"):
        stopped, best_epoch, _, _ = assert_same(
            figures.tolist(),
            monitor=monitor,
            patience=int(rng.integers(0, 8)),
            min_delta=float(rng.choice([0, 1 / 64, -1 / 64, 3 / 64, -0.25])),
            restore=bool(rng.integers(2)),
        )
        assert 1 <= best_epoch <= stopped


def test_random_series_stop_at_many_different_epochs():
    ends = set()
    for seed in range(60):
        figures = np.cumsum(np.random.default_rng(seed).integers(-6, 6, 30)) / 64
        ends.add(ours(pair(patience=4)[0], figures.tolist())[:2])
    assert len(ends) > 10


@pytest.mark.parametrize("restore", [True, False], ids=["restored", "left"])
@pytest.mark.parametrize(
    ("first", "second"), [([1, 2, 3, 4, 5], [9, 8, 7, 9, 9, 9]), ([NAN] * 4, FALLING)]
)
def test_early_stopping_begins_anew_in_a_second_training_as_in_keras(first, second, restore):
    one, other = pair(restore=restore)
    for figures in (first, second, first[:1]):
        np.testing.assert_equal(ours(one, figures), theirs(other, figures))


@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy"])
@pytest.mark.parametrize("patience", [1, 2, 5])
def test_early_stopping_takes_a_number_for_better_than_nan_at_the_start_unlike_keras(
    monitor, patience
):
    """To Keras nothing is better than the NaN of the first epoch: it stops, and restores that."""
    sign = -1 if monitor.endswith("accuracy") else 1
    figures = [NAN, *(sign * figure for figure in FALLING), *[sign * 9.0] * 6]
    one, other = pair(monitor, patience)
    assert ours(one, figures) == (7 + patience, 7, sign * 0.5, 7)
    np.testing.assert_equal(theirs(other, figures), (1 + patience, 1, NAN, 1))


def test_early_stopping_sees_what_float32_does_not_hold_unlike_keras():
    """Keras compares in float32: a loss that falls by 1e-9 is constant to it."""
    figures = [1 - 1e-9 * epoch for epoch in range(8)]
    one, other = pair()
    assert ours(one, figures) == (8, 8, figures[-1], 8)
    assert theirs(other, figures) == (3, 1, 1.0, 1)


def test_early_stopping_refuses_a_figure_that_is_not_there_unlike_keras():
    """Keras warns, and never stops."""
    one, other = pair()
    with pytest.raises(ValueError, match="monitors val_loss, but there is none"):
        ours(one, [None])
    with pytest.warns(UserWarning, match="is not available"):
        assert theirs(other, [None] * 5)[0] == 5


def test_without_an_epoch_nothing_is_restored():
    assert ours(pair()[0], []) == (0, 0, None, 0)
    assert theirs(pair()[1], [])[3] == 0


@pytest.mark.parametrize(
    "change",
    [{"patience": 3}, {"min_delta": 0.75}, {"monitor": "accuracy"}, {"restore": False}],
    ids=str,
)
def test_other_options_are_not_within_the_comparison(change):
    figures = [3, 2.5, 2, 1.5, 3, 2, 3, 3, 3, 3]
    one, other = pair(**{"monitor": "loss"} | change)[0], pair(monitor="loss")[1]
    other.monitor = one.monitor
    assert ours(one, figures) != theirs(other, figures)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (1, 4), (3, 1), (3, 2), (3, 4), (None, None)])
def test_terminate_on_nan_names_the_epoch_and_the_step_at_which_keras_stops(epoch, step, value):
    """Keras stops after that step, FastNN at the end of its epoch, where it says which it was."""
    losses = np.full((5, 4), 0.5)
    if epoch:
        losses[epoch - 1, step - 1] = value

    model, keras_callback = Model(), callbacks.TerminateOnNaN()
    keras_callback.set_model(model)
    expected = None
    for number, batch in itertools.product(range(5), range(4)):
        keras_callback.on_batch_end(batch, {"loss": losses[number, : batch + 1].mean()})
        if model.stop_training:
            expected = number + 1, batch + 1
            break

    fit, callback, found = training(), TerminateOnNaN(), None
    fit.steps_per_epoch = 4
    for number in range(5):
        with np.errstate(invalid="ignore"):
            sums = np.cumsum(losses[number])
        fit.finite_steps = int(np.isfinite(sums).sum())
        fit.history.append(Epoch(number + 1, float(sums[-1]) / 4, None, None, None, 0.0))
        try:
            callback(fit)
        except StopTraining as reason:
            found = tuple(
                map(int, re.findall(r"in epoch (\d+), at step (\d+) of 4", str(reason))[0])
            )
            break
    assert (found and tuple(map(int, found))) == expected == (epoch and (epoch, step))


def test_terminate_on_nan_looks_at_the_weights_too_unlike_keras():
    """The last step of all may break them: no later loss shows it."""
    fit = training()
    fit.history.append(Epoch(1, 0.5, None, None, None, 0.0))
    fit.net.parameters.flat[:] = NAN
    with pytest.raises(StopTraining, match="a weight became NaN or infinite in epoch 1, at step 1"):
        TerminateOnNaN()(fit)
