"""Optimizers against PyTorch's and scikit-learn's, step by step, over the same gradients."""

import numpy as np
import pytest

from fastnn import SGD, Adam, AdamW, CosineDecay, RMSprop, StepDecay, WarmUp, kernels
from fastnn.engine import Execution
from fastnn.plan import Plan

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

STEPS, WEIGHTS = 50, 1000
TOLERANCE = {"float32": 1e-7, "float64": 1e-15}  # of weights below 1 in size

# What is compared: FastNN's optimizer, and PyTorch's of some parameters.
CASES = {
    "SGD": (lambda: SGD(0.005), lambda p: torch.optim.SGD(p, 0.005)),
    "SGD, momentum": (lambda: SGD(0.002, 0.9), lambda p: torch.optim.SGD(p, 0.002, 0.9)),
    "SGD, Nesterov": (
        lambda: SGD(0.002, 0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.002, 0.9, nesterov=True),
    ),
    "SGD, weight decay": (
        lambda: SGD(0.005, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, 0.005, weight_decay=0.1),
    ),
    "SGD, Nesterov, weight decay": (
        lambda: SGD(0.002, 0.9, nesterov=True, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, 0.002, 0.9, nesterov=True, weight_decay=0.1),
    ),
    "RMSprop": (
        lambda: RMSprop(0.001, rho=0.9, epsilon=1e-7),
        lambda p: torch.optim.RMSprop(p, 0.001, alpha=0.9, eps=1e-7),
    ),
    "RMSprop, rho 0.999, weight decay": (
        lambda: RMSprop(0.001, rho=0.999, epsilon=1e-8, weight_decay=0.1),
        lambda p: torch.optim.RMSprop(p, 0.001, alpha=0.999, eps=1e-8, weight_decay=0.1),
    ),
    "Adam": (lambda: Adam(0.001), lambda p: torch.optim.Adam(p, 0.001)),
    "Adam, beta_2 0.99999": (
        lambda: Adam(0.001, beta_2=0.99999),
        lambda p: torch.optim.Adam(p, 0.001, betas=(0.9, 0.99999)),
    ),
    "Adam, weight decay": (
        lambda: Adam(0.001, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, 0.001, weight_decay=0.1),
    ),
    "AdamW": (
        lambda: AdamW(0.001, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, 0.001, weight_decay=0.1),
    ),
    "AdamW, betas 0.99 and 0.99999": (
        lambda: AdamW(0.001, 0.99, 0.99999, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, 0.001, (0.99, 0.99999), weight_decay=0.1),
    ),
}


def start(dtype, seed=0):
    return np.random.default_rng(seed).uniform(-0.25, 0.25, WEIGHTS).astype(dtype)


def gradients(dtype, seed=1):
    """Of all sizes, some of them always 0."""
    rng = np.random.default_rng(seed)
    size = 10.0 ** rng.uniform(-6, 0, WEIGHTS)
    size[::50] = 0
    return (rng.normal(size=(STEPS, WEIGHTS)) * size).astype(dtype)


def follow(optimizer, w, steps, each_step=lambda step: None):
    """Return what an optimizer makes of `w`, given the gradients of some steps."""
    w, g = w.copy(), np.zeros_like(w)
    plan = Plan(kernels.get("numpy"), w.dtype)
    optimizer.plan(plan, w, g)
    execution = Execution(plan)
    for step, gradient in enumerate(steps):
        each_step(step)
        g[:] = gradient
        optimizer.begin_steps()
        execution.run()
    return w


def follow_torch(optimizer, w, steps, each_step=lambda parameters: None):
    parameter = torch.tensor(w.copy(), requires_grad=True)
    optimizer = optimizer([parameter])
    for gradient in steps:
        parameter.grad = torch.tensor(gradient.copy())
        each_step([parameter])
        optimizer.step()
    return parameter.detach().numpy()


def assert_close(ours, theirs, before, dtype):
    assert np.abs(theirs).max() < 1
    assert np.abs(theirs - before).max() > 0.02  # they have moved
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_fifty_steps_of_an_optimizer_are_those_of_pytorch(case, dtype):
    ours, theirs = CASES[case]
    w, steps = start(dtype), gradients(dtype)
    assert_close(follow(ours(), w, steps), follow_torch(theirs, w, steps), w, dtype)


@pytest.mark.parametrize("beta", [0.999, 0.9999, 0.99999])
def test_one_minus_beta_in_float32_is_rounded_once(beta):
    """Weights start at 0, so that hardly a bit of the updates is lost when they are added."""

    def by_hand(rest):
        w, mean, square = np.zeros(WEIGHTS), 0, 0
        for t, g in enumerate(steps.astype(float), start=1):
            mean = 0.9 * mean + 0.1 * g
            square = beta * square + rest * g * g
            w -= 0.001 * mean / (1 - 0.9**t) / (np.sqrt(square / (1 - beta**t)) + 1e-8)
        return w

    w, steps = np.zeros(WEIGHTS, np.float32), gradients("float32")[:10]
    theirs = follow_torch(lambda p: torch.optim.Adam(p, 0.001, (0.9, beta)), w, steps)
    ours = follow(Adam(0.001, beta_2=beta), w, steps)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours, by_hand(1 - beta), rtol=1e-6, atol=1e-9)
    rounded_twice = by_hand(float(np.float32(1) - np.float32(beta)))
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(ours, rounded_twice, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Adam(0.001, epsilon=1e-7), lambda p: torch.optim.Adam(p, 0.001)),
        (Adam(0.001, weight_decay=0.1), lambda p: torch.optim.AdamW(p, 0.001, weight_decay=0.1)),
        (SGD(0.002, 0.9), lambda p: torch.optim.SGD(p, 0.002, 0.9, nesterov=True)),
        (RMSprop(0.001), lambda p: torch.optim.RMSprop(p, 0.001, alpha=0.99, eps=1e-7)),
    ],
    ids=["epsilon", "decay in the gradient", "Nesterov", "rho"],
)
def test_another_optimizer_is_not_within_the_tolerance(ours, theirs):
    w, steps = start("float32"), gradients("float32")
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_close(follow(ours, w, steps), follow_torch(theirs, w, steps), w, "float32")


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("limit", [0.3, 1e9], ids=["clipped", "never clipped"])
def test_clip_norm_is_that_of_pytorch_but_for_what_pytorch_adds_to_the_norm(limit, dtype):
    def clip(parameters):
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, limit))
        if norm > limit:
            with torch.no_grad():
                parameters[0].grad *= (norm + 1e-6) / norm

    w, steps = start(dtype), gradients(dtype)
    theirs = follow_torch(lambda p: torch.optim.SGD(p, 0.02), w, steps, clip)
    unclipped = follow(SGD(0.02), w, steps)
    ours = follow(SGD(0.02, clip_norm=limit), w, steps)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE[dtype])
    assert np.array_equal(ours, unclipped) == (limit > 1)
    assert np.abs(unclipped - theirs).max() < 1e-6 or limit < 1


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_clip_norm_of_a_gradient_that_is_not_finite_is_that_of_pytorch(value, dtype):
    w, steps = start(dtype), gradients(dtype)[:1]
    steps[0, 7] = value
    theirs = follow_torch(
        lambda p: torch.optim.SGD(p, 0.1),
        w,
        steps,
        lambda parameters: torch.nn.utils.clip_grad_norm_(parameters, 0.5),
    )
    ours = follow(SGD(0.1, clip_norm=0.5), w, steps)
    assert np.isnan(ours).sum() == (WEIGHTS if np.isnan(value) else 1)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_gradient_that_is_not_finite_breaks_the_weights_that_it_breaks_in_pytorch(case, value):
    ours, theirs = CASES[case]
    w, steps = start(np.float32), gradients(np.float32)[:3]
    steps[1, 7] = value
    np.testing.assert_allclose(
        follow(ours(), w, steps), follow_torch(theirs, w, steps), rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", [case for case in CASES if "dam" in case or "RMS" in case])
@pytest.mark.parametrize("size", [1e-9, 1e-18, 1e-30])
def test_vanishing_gradients_move_weights_as_in_pytorch(case, size, dtype):
    """Epsilon decides here, and where it stands."""
    ours, theirs = CASES[case]
    w, steps = start(dtype), gradients(dtype) * size
    np.testing.assert_allclose(
        follow(ours(), w, steps),
        follow_torch(theirs, w, steps),
        rtol=0,
        atol=TOLERANCE[dtype],
    )


@pytest.mark.parametrize("case", ["SGD", "RMSprop", "Adam", "AdamW"])
def test_a_changing_rate_is_that_of_pytorchs_schedulers(case):
    kinds = {
        "SGD": (SGD, torch.optim.SGD),
        "RMSprop": (RMSprop, lambda p, lr: torch.optim.RMSprop(p, lr, alpha=0.9, eps=1e-7)),
        "Adam": (Adam, torch.optim.Adam),
        "AdamW": (AdamW, lambda p, lr: torch.optim.AdamW(p, lr, weight_decay=0.004)),
    }
    ours, theirs = kinds[case]
    w, steps = start("float64"), gradients("float64")
    parameter = torch.tensor(w.copy(), requires_grad=True)
    optimizer = theirs([parameter], 0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40, 0.002)
    for gradient in steps[:40]:
        parameter.grad = torch.tensor(gradient.copy())
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(
        follow(ours(CosineDecay(0.01, 40, 0.002)), w, steps[:40]),
        parameter.detach().numpy(),
        rtol=0,
        atol=1e-15,
    )
    assert np.abs(follow(ours(0.01), w, steps[:40]) - parameter.detach().numpy()).max() > 1e-3


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            StepDecay(0.3, 7, 0.4),
            lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 7, 0.4),
        ),
        (
            CosineDecay(0.3, STEPS, 0.01),
            lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, 0.01),
        ),
        (
            WarmUp(lambda step: 0.3, 20),
            lambda optimizer: torch.optim.lr_scheduler.LinearLR(optimizer, 1 / 20, 1, 19),
        ),
    ],
    ids=["step", "cosine", "warm-up"],
)
def test_a_schedule_gives_the_rates_of_pytorchs_schedulers(ours, theirs):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.3)
    scheduler = theirs(optimizer)
    rates = []
    for _ in range(STEPS):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose([ours(step) for step in range(STEPS)], rates, rtol=1e-14)
    assert len(set(rates)) > 5


@pytest.mark.parametrize("nesterov", [False, True], ids=["momentum", "Nesterov"])
@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_momentum_under_a_changing_rate_is_that_of_scikit_learn_and_not_of_pytorch(
    momentum, nesterov
):
    """Here and there the velocity contains the rate; in PyTorch it does not."""
    optimizers = pytest.importorskip(
        "sklearn.neural_network._stochastic_optimizers", reason="scikit-learn is not installed"
    )

    def rate(step):
        return 0.01 / (1 + step)

    w, steps = start("float64"), gradients("float64")
    theirs = w.copy()
    optimizer = optimizers.SGDOptimizer([theirs], 0.01, "constant", momentum, nesterov)
    for step, gradient in enumerate(steps):
        optimizer.learning_rate = rate(step)
        optimizer.update_params([theirs], [gradient.copy()])
    ours = follow(SGD(rate, momentum, nesterov), w, steps)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-15)

    parameter = torch.tensor(w.copy(), requires_grad=True)
    optimizer = torch.optim.SGD([parameter], 0.01, momentum, nesterov=nesterov)
    for step, gradient in enumerate(steps):
        optimizer.param_groups[0]["lr"] = rate(step)
        parameter.grad = torch.tensor(gradient.copy())
        optimizer.step()
    assert np.abs(parameter.detach().numpy() - ours).max() > 1e-3


def test_a_rate_that_is_set_between_steps_is_that_of_pytorch():
    rates = [0.01, 0.001, 0.1] * 10
    w, steps = start("float64"), gradients("float64")[: len(rates)]
    ours = Adam()

    def set_ours(step):
        ours.learning_rate = rates[step]

    parameter = torch.tensor(w.copy(), requires_grad=True)
    optimizer = torch.optim.Adam([parameter])
    for rate, gradient in zip(rates, steps, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = torch.tensor(gradient.copy())
        optimizer.step()
    np.testing.assert_allclose(
        follow(ours, w, steps, set_ours), parameter.detach().numpy(), rtol=0, atol=1e-15
    )
