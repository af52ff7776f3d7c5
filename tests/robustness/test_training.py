"""A training that goes wrong says so, and what it ends with is what was asked for."""

import linecache
import math
import warnings

import numpy as np
import pytest

from fastnn import (
    SGD,
    Adam,
    AdamW,
    Checkpoint,
    ConstantRate,
    CosineDecay,
    EarlyStopping,
    Optimizer,
    RMSprop,
    StepDecay,
    TerminateOnNaN,
    WarmUp,
)
from tests.robustness import trainings
from tests.robustness.trainings import After, network, train

ENGINES = pytest.mark.parametrize("engine", ["python", "compiled"])


# Hyperparameters


class Mine(Optimizer):
    """``w -= rate · power · g``."""

    def __init__(self, power=1.0):
        super().__init__(0.1)
        self.power = power

    def plan_update(self, plan, weights, gradients):
        plan.call("add_weight_decay", gradients, -self.power, weights)


CHANGES = [
    (SGD, "momentum", 0.9),
    (lambda: SGD(0.1, 0.9), "momentum", 0.0),
    (lambda: SGD(0.1, 0.9), "nesterov", True),
    (SGD, "weight_decay", 0.1),
    (Adam, "weight_decay", 0.1),
    (AdamW, "weight_decay", 0.0),
    (SGD, "clip_norm", 1.0),
    (lambda: Adam(clip_norm=1.0), "clip_norm", None),
    (Adam, "beta_1", 0.5),
    (AdamW, "beta_2", 0.5),
    (Adam, "epsilon", 1e-3),
    (RMSprop, "rho", 0.5),
    (RMSprop, "epsilon", 1e-3),
    (Mine, "power", 2.0),
]
changes = pytest.mark.parametrize(
    ("optimizer", "name", "value"),
    CHANGES,
    ids=[f"{i}-{name}" for i, (_, name, _) in enumerate(CHANGES)],
)


@ENGINES
@changes
def test_a_hyperparameter_that_a_callback_changes_is_refused(optimizer, name, value, engine):
    """It had no effect until the next training."""
    optimizer, net = optimizer(), network()
    change = After(2, lambda training: setattr(training.optimizer, name, value))
    weights = []
    keep = After(2, lambda training: weights.append(training.net.parameters.flat.copy()))
    with pytest.raises(ValueError, match=f"was changed during a training.*'{name}'"):
        train(net, optimizer, callbacks=[change, keep], engine=engine)
    np.testing.assert_array_equal(net.parameters.flat, weights[0])


@changes
def test_a_hyperparameter_that_is_changed_between_trainings_takes_effect(optimizer, name, value):
    ends = []
    for change in (False, True):
        one, net = optimizer(), network()
        train(net, one, epochs=1)
        if change:
            setattr(one, name, value)
            one.restore(0, {})  # the vectors that it keeps may be others now
        train(net, one, epochs=3)
        ends.append(net.parameters.flat.copy())
    assert not np.array_equal(*ends)


@ENGINES
def test_a_learning_rate_that_a_callback_changes_takes_effect(engine):
    def halve(training):
        training.optimizer.learning_rate *= 0.5

    changed, scheduled = network(), network()
    train(changed, SGD(0.4), callbacks=[halve], engine=engine)
    train(scheduled, SGD(StepDecay(0.4, every=4, factor=0.5)))
    np.testing.assert_array_equal(changed.parameters.flat, scheduled.parameters.flat)


# Schedules and parameters without sense

BAD_RATES = [-0.1, -1e-300, math.nan, math.inf, -math.inf, None, "0.1", [0.1]]


@ENGINES
@pytest.mark.parametrize("step", [0, 1, 5])
@pytest.mark.parametrize("rate", BAD_RATES, ids=repr)
def test_a_schedule_that_gives_no_rate_is_an_error_that_names_the_step(rate, step, engine):
    net = network()
    before = net.parameters.flat.copy()
    optimizer = SGD(lambda number: rate if number == step else 0.1)
    with pytest.raises(ValueError, match=f"the learning rate of step {step} must be at least 0"):
        train(net, optimizer, engine=engine)
    assert np.array_equal(net.parameters.flat, before) == (step == 0)
    assert np.isfinite(net.parameters.flat).all()


@ENGINES
@pytest.mark.parametrize("rate", BAD_RATES, ids=repr)
def test_a_rate_that_a_callback_sets_to_nonsense_is_an_error(rate, engine):
    change = After(1, lambda training: setattr(training.optimizer, "learning_rate", rate))
    with pytest.raises(ValueError, match="the learning rate of step 4 must be at least 0"):
        train(network(), SGD(0.1), callbacks=[change], engine=engine)


@pytest.mark.parametrize("rate", [0, 0.0, np.float32(0.25), np.float64(0.25), np.array(0.25), 1])
def test_a_schedule_may_give_any_number_from_0_on(rate):
    net = network()
    before = net.parameters.flat.copy()
    train(net, SGD(lambda step: rate), epochs=1)
    assert np.array_equal(net.parameters.flat, before) == (rate == 0)


def test_a_schedule_of_a_users_own_that_gives_negative_rates_is_an_error_in_training():
    with pytest.raises(ValueError, match="the learning rate of step 0 must be at least 0"):
        train(network(), SGD(WarmUp(lambda step: -0.1, 10)))


@pytest.mark.parametrize("number", [-0.1, math.nan, math.inf])
def test_a_schedule_refuses_negative_and_endless_rates(number):
    for build in (
        lambda: ConstantRate(number),
        lambda: StepDecay(number, 10),
        lambda: StepDecay(0.1, 10, factor=number),
        lambda: CosineDecay(number, 10),
        lambda: CosineDecay(0.1, 10, final=number),
    ):
        with pytest.raises(ValueError, match="must be a finite number of at least 0"):
            build()


@pytest.mark.parametrize("steps", [0, -1, 2.5, math.nan])
def test_a_schedule_over_no_steps_is_refused(steps):
    for build in (
        lambda: StepDecay(0.1, steps),
        lambda: CosineDecay(0.1, steps),
        lambda: WarmUp(StepDecay(0.1, 1), steps),
    ):
        with pytest.raises(ValueError, match=r"must be (a whole number of )?at least 1"):
            build()


@pytest.mark.parametrize("number", [-1, 2.5, 2.0, True, "3", None, math.nan, math.inf], ids=repr)
def test_parameters_of_callbacks_are_whole_numbers(number, tmp_path):
    with pytest.raises(ValueError, match=r"patience must be (a whole number of )?at least 0"):
        EarlyStopping(patience=number)
    with pytest.raises(ValueError, match=r"every must be (a whole number of )?at least 1"):
        Checkpoint(tmp_path / "x", every=number)
    with pytest.raises(ValueError, match="every must be at least 1, not 0"):
        Checkpoint(tmp_path / "x", every=0)


@pytest.mark.parametrize("min_delta", [math.nan, math.inf, -math.inf, "0.1", None], ids=repr)
def test_min_delta_is_a_number(min_delta):
    with pytest.raises((ValueError, TypeError)):
        EarlyStopping(min_delta=min_delta)


def test_the_best_figure_is_the_metrics_own():
    callback = EarlyStopping("accuracy", patience=3)
    history = train(network(), Adam(0.05), callbacks=[callback], epochs=10)
    assert callback.best == max(record.accuracy for record in history) > 0
    assert history[callback.best_epoch - 1].accuracy == callback.best


# Losses that are not finite


def breaking(step):
    """Return an optimizer whose step breaks the weights, so that the next loss shows it."""
    return SGD(lambda number: 1e38 if number == step else 0.1)


@ENGINES
@pytest.mark.parametrize("step", [0, 2, 4, 10])
def test_a_loss_that_turns_nan_is_warned_of_once_with_epoch_and_step(step, engine):
    epoch, place = divmod(step + 1, 4)
    with pytest.warns(RuntimeWarning, match="training goes on") as caught:
        history = train(network(), breaking(step), engine=engine)
    assert len(history) == 6
    assert history.stopped is None
    assert not math.isfinite(history[-1].loss)
    assert len(caught) == 1
    text = str(caught[0].message)
    assert f"in epoch {epoch + 1}, at step {place + 1} of 4" in text
    assert str(history[epoch].loss) in text
    assert caught[0].filename == trainings.__file__  # where `train` calls it
    assert "fit(" in linecache.getline(trainings.__file__, caught[0].lineno)
    assert all(math.isfinite(record.loss) for record in history[:epoch])


def test_each_training_warns_anew():
    net = network()
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="training goes on"):
            train(net, breaking(0), epochs=2)


def test_a_loss_that_is_finite_or_ends_the_training_is_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(network(), SGD(0.1))
        history = train(network(), breaking(5), callbacks=[TerminateOnNaN()])
    assert history.stopped.endswith("in epoch 2, at step 3 of 4")
