"""Each optimizer against its update worked by hand, in plain NumPy."""

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
from fastnn.engine import Execution
from fastnn.kernels import get
from fastnn.optimizers import OPTIMIZERS, Optimizer
from fastnn.plan import MAX_STEPS_AT_ONCE, Plan

W0 = np.array([1.0, -2.0, 0.5, 0.0])
GRADIENTS = np.array([[0.1, -0.2, 0.3, 0.0], [0.2, 0.1, -0.1, 1.0], [0.0, 0.4, 0.2, -1.0]])


def run(optimizer, dtype=np.float64, steps=GRADIENTS):
    """Return the weights after each step."""
    w, g = W0.astype(dtype), np.zeros_like(W0, dtype)
    plan = Plan(get("numpy"), dtype)
    optimizer.plan(plan, w, g)
    execution = Execution(plan)
    weights = []
    for gradient in steps:
        g[:] = gradient
        optimizer.begin_steps()
        execution.run()
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
def test_optimizer_update_is_the_one_worked_by_hand(optimizer, update):
    np.testing.assert_allclose(run(optimizer), by_hand(update), rtol=1e-13)


@pytest.mark.parametrize("optimizer", [SGD, RMSprop, Adam, AdamW])
def test_optimizer_in_float32_is_float64_rounded(optimizer):
    single = run(optimizer(0.01), np.float32)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, run(optimizer(0.01)), rtol=1e-5, atol=1e-7)


def test_optimizer_defaults():
    assert SGD().learning_rate == 0.01
    assert (SGD().momentum, SGD().nesterov) == (0, False)
    assert RMSprop().learning_rate == Adam().learning_rate == AdamW().learning_rate == 0.001
    assert (RMSprop().rho, Adam().beta_1, Adam().beta_2) == (0.9, 0.9, 0.999)
    assert AdamW().weight_decay == 0.004


def test_optimizer_takes_the_rate_of_each_step_from_a_schedule():
    stairs = SGD(schedules.StepDecay(0.1, every=1, factor=0.5))
    w, expected = W0.copy(), []
    for t, g in enumerate(GRADIENTS):
        w = w - 0.1 * 0.5**t * g
        expected.append(w)
    np.testing.assert_allclose(run(stairs), expected, rtol=1e-13)
    assert stairs.steps == 3


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
    ],
)
def test_optimizer_refuses_settings_that_make_no_sense(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_optimizer_serves_one_network():
    optimizer = Adam()
    run(optimizer)
    with pytest.raises(ValueError, match="take a new optimizer"):
        optimizer.plan(Plan(get("numpy"), np.float64), np.zeros(5), np.zeros(5))


@pytest.mark.parametrize("build", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_optimizer_begins_several_steps_at_once(build):
    """As the compiled engine does, for as many as are known ahead."""
    schedule = schedules.StepDecay(0.1, every=1, factor=0.9)
    one_by_one, at_once = build(schedule), build(schedule)
    expected = run(one_by_one)
    w, g = W0.copy(), np.zeros_like(W0)
    plan = Plan(get("numpy"), np.float64)
    at_once.plan(plan, w, g)
    execution = Execution(plan)
    at_once.begin_steps(len(GRADIENTS))
    for gradient in GRADIENTS:
        g[:] = gradient
        execution.run()
    np.testing.assert_array_equal(w, expected[-1])
    assert at_once.steps == one_by_one.steps == len(GRADIENTS)
    at_once.begin_steps(MAX_STEPS_AT_ONCE)


@pytest.mark.parametrize("build", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_optimizer_goes_on_from_a_restored_state(build):
    expected = run(build(0.01))
    first, second = build(0.01), build(0.01)
    w, g = W0.copy(), np.zeros_like(W0)
    for optimizer, gradients in ((first, GRADIENTS[:2]), (second, GRADIENTS[2:])):
        if optimizer is second:
            second.restore(first.steps, first.state)
        plan = Plan(get("numpy"), np.float64)
        optimizer.plan(plan, w, g)
        execution = Execution(plan)
        for gradient in gradients:
            g[:] = gradient
            optimizer.begin_steps()
            execution.run()
    np.testing.assert_array_equal(w, expected[-1])


def test_optimizer_refuses_the_state_of_another_kind():
    adam = Adam()
    run(adam)
    with pytest.raises(ValueError, match=r"the state holds \['mean', 'square'\]; SGD keeps \[\]"):
        SGD().restore(adam.steps, adam.state)


def test_optimizer_of_a_users_own_has_to_write_its_update():
    plan = Plan(get("numpy"), np.float64)
    with pytest.raises(NotImplementedError, match="Optimizer has no method plan_update"):
        Optimizer(0.1).plan(plan, np.zeros(3), np.zeros(3))


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(0.1), RMSprop(0.1), AdamW(0.1)])
def test_optimizer_state_starts_at_zero_with_the_first_plan(optimizer):
    assert optimizer.state == {}
    plan = Plan(get("numpy"), np.float64)
    optimizer.plan(plan, W0.copy(), np.zeros_like(W0))
    assert tuple(optimizer.state) == optimizer.slots
    for vector in optimizer.state.values():
        assert vector.shape == W0.shape
        assert not vector.any()
