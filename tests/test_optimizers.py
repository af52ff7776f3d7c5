"""Each optimiser against its update worked by hand, in plain NumPy."""

import math

import numpy as np
import pytest

from fastnn import (
    SGD,
    Adam,
    AdamW,
    RMSprop,
    schedules,
)
from fastnn.kernels import get
from fastnn.plan import Plan

W0 = np.array([1.0, -2.0, 0.5, 0.0])
GRADIENTS = np.array([[0.1, -0.2, 0.3, 0.0], [0.2, 0.1, -0.1, 1.0], [0.0, 0.4, 0.2, -1.0]])


def run(optimizer, dtype=np.float64, steps=GRADIENTS):
    """Return the weights after each step, and the optimizer's plan."""
    w, g = W0.astype(dtype), np.zeros_like(W0, dtype)
    plan = Plan(get("numpy"), dtype)
    optimizer.plan(plan, w, g)
    weights = []
    for gradient in steps:
        g[:] = gradient
        optimizer.begin_steps()
        plan.run()
        weights.append(w.copy())
    return np.array(weights)


def by_hand(update):
    """Return what ``update(w, g, t, memory)`` makes of the same gradients."""
    w, memory, weights = W0.copy(), {}, []
    for t, g in enumerate(GRADIENTS, start=1):
        w = update(w, g, t, memory)
        weights.append(w)
    return np.array(weights)


def sgd(w, g, t, memory):
    return w - 0.1 * g


def momentum(w, g, t, memory):
    memory["v"] = 0.9 * memory.get("v", 0) - 0.1 * g
    return w + memory["v"]


def nesterov(w, g, t, memory):
    memory["v"] = 0.9 * memory.get("v", 0) - 0.1 * g
    return w + 0.9 * memory["v"] - 0.1 * g


def rmsprop(w, g, t, memory):
    memory["s"] = 0.8 * memory.get("s", 0) + 0.2 * g**2
    return w - 0.1 * g / (np.sqrt(memory["s"]) + 1e-7)


def adam(w, g, t, memory):
    memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
    memory["s"] = 0.99 * memory.get("s", 0) + 0.01 * g**2
    mean, square = memory["m"] / (1 - 0.9**t), memory["s"] / (1 - 0.99**t)
    return w - 0.1 * mean / (np.sqrt(square) + 1e-8)


def adamw(w, g, t, memory):
    return adam(w * (1 - 0.1 * 0.3), g, t, memory)


def decayed(update):
    return lambda w, g, t, memory: update(w, g + 0.3 * w, t, memory)


def clipped(w, g, t, memory):
    norm = np.linalg.norm(g)
    return sgd(w, g * min(1, 0.5 / norm), t, memory)


@pytest.mark.parametrize(
    ("optimizer", "update"),
    [
        (SGD(0.1), sgd),
        (SGD(0.1, momentum=0.9), momentum),
        (SGD(0.1, momentum=0.9, nesterov=True), nesterov),
        (RMSprop(0.1, rho=0.8), rmsprop),
        (Adam(0.1, beta_2=0.99), adam),
        (AdamW(0.1, beta_2=0.99, weight_decay=0.3), adamw),
        (AdamW(0.1, beta_2=0.99, weight_decay=0), adam),
        (SGD(0.1, weight_decay=0.3), decayed(sgd)),
        (Adam(0.1, beta_2=0.99, weight_decay=0.3), decayed(adam)),
        (SGD(0.1, clip_norm=0.5), clipped),
    ],
)
def test_the_update_is_the_one_worked_by_hand(optimizer, update):
    np.testing.assert_allclose(run(optimizer), by_hand(update), rtol=1e-13)


@pytest.mark.parametrize("optimizer", [SGD, RMSprop, Adam, AdamW])
def test_float32_is_float64_rounded(optimizer):
    single = run(optimizer(0.01), np.float32)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, run(optimizer(0.01)), rtol=1e-5, atol=1e-7)


def test_defaults_are_those_of_keras():
    assert SGD().learning_rate == 0.01
    assert (SGD().momentum, SGD().nesterov) == (0, False)
    assert RMSprop().learning_rate == Adam().learning_rate == AdamW().learning_rate == 0.001
    assert (RMSprop().rho, Adam().beta_1, Adam().beta_2) == (0.9, 0.9, 0.999)
    assert AdamW().weight_decay == 0.004


def test_a_schedule_sets_the_rate_of_each_step():
    stairs = SGD(schedules.StepDecay(0.1, every=1, factor=0.5))
    w, expected = W0.copy(), []
    for t, g in enumerate(GRADIENTS):
        w = w - 0.1 * 0.5**t * g
        expected.append(w)
    np.testing.assert_allclose(run(stairs), expected, rtol=1e-13)
    assert stairs.steps == 3


def test_schedules_by_hand():
    assert schedules.ConstantRate(0.3)(10**6) == 0.3
    decay = schedules.StepDecay(0.8, every=10, factor=0.5)
    assert [decay(step) for step in (0, 9, 10, 19, 20)] == [0.8, 0.8, 0.4, 0.4, 0.2]
    cosine = schedules.CosineDecay(0.8, steps=8, final=0.2)
    assert cosine(0) == 0.8
    assert cosine(4) == pytest.approx(0.5)
    assert cosine(2) == pytest.approx(0.2 + 0.6 * (1 + math.sqrt(0.5)) / 2)
    assert cosine(8) == cosine(100) == pytest.approx(0.2)
    warm = schedules.WarmUp(decay, steps=4)
    assert [warm(step) for step in range(5)] == [0.2, 0.4, 0.6000000000000001, 0.8, 0.8]
    assert warm(14) == 0.4


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SGD(0), "learning_rate must be above 0, not 0"),
        (lambda: SGD(math.nan), "learning_rate"),
        (lambda: SGD(0.1, momentum=1), "momentum"),
        (lambda: SGD(0.1, nesterov=True), "nesterov needs a momentum"),
        (lambda: Adam(beta_1=1.0), "beta_1"),
        (lambda: RMSprop(rho=-0.1), "rho"),
        (lambda: Adam(epsilon=0), "epsilon"),
        (lambda: Adam(weight_decay=-1), "weight_decay"),
        (lambda: Adam(clip_norm=0), "clip_norm"),
        (lambda: schedules.CosineDecay(0.1, steps=0), "steps must be at least 1"),
        (lambda: schedules.StepDecay(0.1, every=0), "every must be at least 1"),
    ],
)
def test_values_that_make_no_sense_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_an_optimizer_serves_one_network():
    optimizer = Adam()
    run(optimizer)
    with pytest.raises(ValueError, match="take a new optimizer"):
        optimizer.plan(Plan(get("numpy"), np.float64), np.zeros(5), np.zeros(5))
