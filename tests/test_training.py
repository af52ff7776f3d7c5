import csv
import math

import numpy as np
import pytest

from fastnn import (
    SGD,
    Adam,
    Checkpoint,
    CSVLogger,
    Dense,
    Dropout,
    EarlyStopping,
    MeanSquaredError,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    StopTraining,
    Tanh,
    TerminateOnNaN,
    evaluate,
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


def test_a_step_is_the_mathematics_by_hand():
    net = Sequential([Dense(4, 8), Tanh(), Dense(8, 3)], dtype="float64")
    w1, b1, w2, b2 = (view.copy() for view in net.parameters.values())
    one_hot = np.eye(3)[Y]
    losses = []
    for start in (0, 20, 40):  # the last batch is smaller
        x, t = X[start : start + 20], one_hot[start : start + 20]
        h = np.tanh(x @ w1 + b1)
        z = h @ w2 + b2
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        losses += list(-np.log((p * t).sum(axis=1)))
        dz = (p - t) / len(x)
        dh = dz @ w2.T * (1 - h**2)
        w2 -= 0.1 * h.T @ dz
        b2 -= 0.1 * dz.sum(axis=0)
        w1 -= 0.1 * x.T @ dh
        b1 -= 0.1 * dh.sum(axis=0)
    history = train(net, batch_size=20, epochs=1, shuffle=False)
    for view, expected in zip(net.parameters.values(), (w1, b1, w2, b2), strict=True):
        np.testing.assert_allclose(view, expected, rtol=1e-12)
    assert history[0].loss == pytest.approx(np.mean(losses), rel=1e-12)


def test_it_learns_and_its_history_says_so():
    net = classifier()
    history = train(net, Adam(0.01), batch_size=10, epochs=60, validation_data=(X, Y))
    assert len(history) == 60
    assert [record.epoch for record in history] == list(range(1, 61))
    first, last = history[0], history[-1]
    assert last.loss < first.loss / 3
    assert last.accuracy >= 0.95
    assert (last.val_loss, last.val_accuracy) == evaluate(net, X, Y, loss=SoftmaxCrossEntropy())
    assert last.val_accuracy == (net(X).argmax(axis=1) == Y).mean()
    assert all(record.seconds > 0 for record in history)
    assert history.stopped is None
    assert set(history.as_dicts()[0]) == {
        *("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")
    }
    assert history[:2][1] is history[1]


def test_without_validation_and_in_regression_there_is_none():
    net = Sequential([Dense(4, 2)])
    history = fit(net, X, X[:, :2], loss=MeanSquaredError(), optimizer=SGD(0.05), epochs=30)
    assert history[-1].accuracy is None
    assert history[-1].val_loss is None
    assert history[-1].loss < 0.1
    assert evaluate(net, X, X[:, :2], loss=MeanSquaredError()).accuracy is None


@pytest.mark.parametrize(
    ("name", "size", "steps"),
    [("batch", None, 1), ("mini-batch", 20, 3), ("mini-batch", None, 2), ("stochastic", None, 50)],
)
def test_three_ways_of_gradient_descent(name, size, steps):
    optimizer = SGD(0.01)
    train(classifier(), optimizer, gradient_descent=name, batch_size=size, epochs=2)
    assert optimizer.steps == 2 * steps


def test_batch_descent_is_one_step_from_all():
    batch, whole = classifier(dtype="float64"), classifier(dtype="float64")
    train(batch, gradient_descent="batch", epochs=3, shuffle=False)
    train(whole, batch_size=50, epochs=3, shuffle=False)
    assert (batch.parameters.flat == whole.parameters.flat).all()


@pytest.mark.parametrize("kernel", kernels.names())
def test_every_kernel_trains_to_the_same_losses(kernel):
    def losses(kernel):
        net = classifier(kernel=kernel)
        return [record.loss for record in train(net, Adam(), batch_size=7, epochs=4)]

    assert losses(kernel) == pytest.approx(losses("numpy"), rel=1e-4)


def test_the_same_seed_gives_the_same_bits():
    def weights(rng):
        net = Sequential([Dense(4, 8), Dropout(0.2), Dense(8, 3)])
        train(net, Adam(), batch_size=8, epochs=5, rng=rng)
        return net.parameters.flat

    assert (weights(1) == weights(1)).all()
    assert not (weights(1) == weights(2)).all()


def test_shuffling_takes_every_sample_once():
    seen = []

    class Watch:
        def on_step(self, training):
            seen.append(training.batch_size)

        def __call__(self, training):
            pass

    history = train(classifier(), batch_size=8, epochs=2, callbacks=[Watch()])
    assert len(seen) == 14  # 7 steps an epoch
    never_moved = train(classifier(), SGD(1e-30), batch_size=8, epochs=1)
    assert never_moved[0].loss == pytest.approx(
        evaluate(classifier(), X, Y, loss=SoftmaxCrossEntropy()).loss, rel=1e-6
    )
    assert len(history) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"gradient_descent": "steepest"}, "batch, mini-batch, stochastic"),
        ({"gradient_descent": "stochastic", "batch_size": 5}, "contradicts batch_size=5"),
        ({"validation_data": (X[:5], Y[:4])}, "x has 5 samples, y has 4"),
        ({"validation_data": (X[:0], Y[:0])}, "no samples"),
        ({"validation_data": (X * np.nan, Y)}, "NaN or infinity"),
        ({"validation_data": (X, Y + 1)}, "labels lie in 1…3"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    net = classifier()
    before = net.parameters.flat.copy()
    with pytest.raises(ValueError, match=message):
        train(net, **options)
    assert (net.parameters.flat == before).all()


def test_early_stopping_gives_the_best_weights_back():
    net, weights = classifier(), []
    rising = SGD(schedule := (lambda step: 0.1 if step < 5 else -0.1))  # climbs after 5 epochs
    assert schedule(5) == -0.1
    history = train(
        net,
        rising,
        gradient_descent="batch",
        epochs=100,
        callbacks=[
            lambda t: weights.append(t.net.parameters.flat.copy()),
            EarlyStopping("loss", patience=3),
        ],
    )
    best = min(history, key=lambda record: record.loss)
    assert len(history) == best.epoch + 3
    assert history.stopped == f"loss has not improved since epoch {best.epoch}"
    assert (net.parameters.flat == weights[best.epoch - 1]).all()


def test_early_stopping_of_what_is_not_there():
    with pytest.raises(ValueError, match="monitors val_loss, but there is none"):
        train(classifier(), callbacks=[EarlyStopping()])
    with pytest.raises(ValueError, match="must be one of"):
        EarlyStopping("f1")


@pytest.mark.parametrize("kernel", kernels.names())
def test_stop_on_nan_names_epoch_and_step(kernel):
    breaks = SGD(lambda step: 0.1 if step < 9 else 1e30)
    callbacks = [TerminateOnNaN()]
    history = train(classifier(kernel=kernel), breaks, batch_size=10, epochs=9, callbacks=callbacks)
    assert len(history) == 3
    assert not math.isfinite(history[-1].loss)
    assert history.stopped.startswith("the loss became ")
    assert history.stopped.endswith("in epoch 3, at step 1 of 5")


def test_a_callback_may_stop_the_training():
    def stop(training):
        raise StopTraining("enough")

    assert train(classifier(), callbacks=[stop]).stopped == "enough"


def test_csv_log(tmp_path):
    path = tmp_path / "history.csv"
    history = train(classifier(), epochs=3, callbacks=[CSVLogger(path)], validation_data=(X, Y))
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert float(rows[2]["val_loss"]) == history[2].val_loss
    with pytest.raises(FileExistsError):
        train(classifier(), epochs=1, callbacks=[CSVLogger(path)])


@pytest.mark.parametrize("optimizer", [lambda: SGD(0.1, 0.9), Adam], ids=["momentum", "adam"])
def test_going_on_from_a_checkpoint_is_never_having_stopped(tmp_path, optimizer):
    def fresh():
        return Sequential([Dense(4, 8), Dropout(0.2), ReLU(), Dense(8, 3)])

    whole = fresh()
    expected = train(whole, optimizer(), batch_size=8, epochs=6)
    path = tmp_path / "training.safetensors"
    train(fresh(), optimizer(), batch_size=8, epochs=4, callbacks=[Checkpoint(path)])
    net, second = fresh(), optimizer()
    rng, history = load_training(path, net, second)
    history = train(net, second, batch_size=8, epochs=6, rng=rng, history=history)
    assert (net.parameters.flat == whole.parameters.flat).all()
    assert [record.loss for record in history] == [record.loss for record in expected]


def test_checkpoints_every_few_epochs(tmp_path):
    path = tmp_path / "training.safetensors"
    train(classifier(), epochs=5, callbacks=[Checkpoint(path, every=2), lambda t: None])
    assert len(load_training(path, classifier(), SGD(0.1))[1]) == 5
    with pytest.raises(ValueError, match="every"):
        Checkpoint(path, every=0)
