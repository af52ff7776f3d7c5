"""`fit` and `evaluate`: steps, epochs, and what is recorded of them."""

import numpy as np
import pytest

from fastnn import (
    SGD,
    Adam,
    AdamW,
    BinaryCrossEntropy,
    Checkpoint,
    Dense,
    Dropout,
    MeanSquaredError,
    ReLU,
    RMSprop,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
    evaluate,
    fit,
    kernels,
)
from fastnn.checkpoint import load_training
from fastnn.losses import LOSSES
from fastnn.optimizers import OPTIMIZERS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))
Y = (X @ RNG.normal(size=(4, 3))).argmax(axis=1)
ONE_HOT = np.eye(3)[Y]


def classifier(**options):
    return Sequential([Dense(4, 8), ReLU(), Dense(8, 3)], **options)


def train(net, optimizer=None, **options):
    optimizer = optimizer or SGD(0.1)
    return fit(net, X, Y, loss=SoftmaxCrossEntropy(), optimizer=optimizer, **options)


def test_fit_does_the_steps_of_the_mathematics_by_hand():
    net = Sequential([Dense(4, 8), Tanh(), Dense(8, 3)], dtype="float64")
    w1, b1, w2, b2 = (view.copy() for view in net.parameters.values())
    losses = []
    for start in (0, 20, 40):  # the last batch is smaller
        x, t = X[start : start + 20], ONE_HOT[start : start + 20]
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


def test_fit_learns_and_its_history_says_so():
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


def test_fit_has_no_accuracy_in_regression_and_no_val_loss_without_validation_data():
    net = Sequential([Dense(4, 2)])
    history = fit(net, X, X[:, :2], loss=MeanSquaredError(), optimizer=SGD(0.05), epochs=30)
    assert history[-1].accuracy is None
    assert history[-1].val_loss is None
    assert history[-1].loss < 0.1
    assert evaluate(net, X, X[:, :2], loss=MeanSquaredError()).accuracy is None


# Names for objects

BUILT = {
    "cross-entropy": (SoftmaxCrossEntropy, Y),
    "bce": (BinaryCrossEntropy, ONE_HOT),
    "mse": (MeanSquaredError, ONE_HOT),
    "sgd": (SGD, Y),
    "rmsprop": (RMSprop, Y),
    "adam": (Adam, Y),
    "adamw": (AdamW, Y),
}


def outcome(loss, optimizer, y=Y):
    net = classifier()
    options = {"epochs": 3, "validation_data": (X, y)}
    history = fit(net, X, y, loss=loss, optimizer=optimizer, **options)
    losses = [(record.loss, record.accuracy, record.val_loss) for record in history]
    return net.parameters.flat.tobytes(), losses, evaluate(net, X, y, loss=loss)


@pytest.mark.parametrize("name", LOSSES)
def test_fit_and_evaluate_take_a_loss_by_name(name):
    build, y = BUILT[name]
    assert outcome(name, "sgd", y) == outcome(build(), SGD(), y)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fit_takes_an_optimizer_by_name(name):
    build, y = BUILT[name]
    assert outcome("cross-entropy", name, y) == outcome(SoftmaxCrossEntropy(), build(), y)


def test_fit_of_names_together_is_that_of_objects():
    assert outcome("mse", "adam", ONE_HOT) == outcome(MeanSquaredError(), Adam(), ONE_HOT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "mae"}, "unknown loss 'mae': take one of cross-entropy, bce, mse"),
        ({"loss": None}, "unknown loss None: take one of cross-entropy, bce, mse"),
        (
            {"loss": MeanSquaredError},
            "unknown loss <class .*>: take one of cross-entropy, bce, mse",
        ),
        (
            {"optimizer": "Adam"},
            "unknown optimizer 'Adam': take one of sgd, rmsprop, adam, adamw",
        ),
        ({"optimizer": 0.1}, "unknown optimizer 0.1: take one of sgd, rmsprop, adam, adamw"),
        (
            {"optimizer": Adam},
            "unknown optimizer <class .*>: take one of sgd, rmsprop, adam, adamw",
        ),
    ],
)
def test_fit_of_a_wrong_name_lists_the_names(options, message):
    net = classifier()
    before = net.parameters.flat.copy()
    with pytest.raises(ValueError, match=message):
        fit(net, X, Y, **{"loss": "cross-entropy", "optimizer": "sgd"} | options)
    assert (net.parameters.flat == before).all()


def test_evaluate_of_a_wrong_name_lists_the_names():
    with pytest.raises(ValueError, match="unknown loss 'mae': take one of cross-entropy, bce, mse"):
        evaluate(classifier(), X, Y, loss="mae")


# Steps and orders


@pytest.mark.parametrize(
    ("name", "size", "steps"),
    [("batch", None, 1), ("mini-batch", 20, 3), ("mini-batch", None, 2), ("stochastic", None, 50)],
)
def test_fit_takes_as_many_steps_as_the_gradient_descent_has(name, size, steps):
    optimizer = SGD(0.01)
    train(classifier(), optimizer, gradient_descent=name, batch_size=size, epochs=2)
    assert optimizer.steps == 2 * steps


def test_fit_by_batch_descent_is_one_step_from_all():
    batch, whole = classifier(dtype="float64"), classifier(dtype="float64")
    train(batch, gradient_descent="batch", epochs=3, shuffle=False)
    train(whole, batch_size=50, epochs=3, shuffle=False)
    assert (batch.parameters.flat == whole.parameters.flat).all()


@pytest.mark.parametrize("kernel", kernels.names())
def test_fit_has_the_same_losses_under_every_kernel(kernel):
    def losses(kernel):
        net = classifier(kernel=kernel)
        return [record.loss for record in train(net, Adam(), batch_size=7, epochs=4)]

    assert losses(kernel) == pytest.approx(losses("numpy"), rel=1e-4)


def test_fit_of_the_same_seed_gives_the_same_bits():
    def weights(rng):
        net = Sequential([Dense(4, 8), Dropout(0.2), Dense(8, 3)])
        train(net, Adam(), batch_size=8, epochs=5, rng=rng)
        return net.parameters.flat

    assert (weights(1) == weights(1)).all()
    assert not (weights(1) == weights(2)).all()


def test_fit_shuffles_and_takes_every_sample_once():
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


def test_evaluate_of_more_samples_than_are_taken_at_once():
    """They are walked through in pieces, of which the last is smaller."""
    net = classifier(dtype="float64")
    x, y = np.tile(X, (50, 1)), np.tile(Y, 50)
    once, many = (evaluate(net, *data, loss="cross-entropy") for data in ((X, Y), (x, y)))
    assert many.loss == pytest.approx(once.loss, rel=1e-12)
    assert many.accuracy == pytest.approx(once.accuracy, rel=1e-12)


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
def test_fit_refuses_what_makes_no_sense(options, message):
    net = classifier()
    before = net.parameters.flat.copy()
    with pytest.raises(ValueError, match=message):
        train(net, **options)
    assert (net.parameters.flat == before).all()


@pytest.mark.parametrize("optimizer", [lambda: SGD(0.1, 0.9), Adam], ids=["momentum", "adam"])
def test_fit_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(tmp_path, optimizer):
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
