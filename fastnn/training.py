"""`fit` and `evaluate`: epochs of steps over a data set, and what they are worth."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn.data import Batches, Inputs, check_data
from fastnn.history import Epoch, Evaluation, History
from fastnn.inference import ROWS_AT_ONCE
from fastnn.kernels.interface import Array
from fastnn.kernels.runtime.denormals import flushed
from fastnn.losses import Loss, Targets
from fastnn.network import Sequential
from fastnn.optimizers import STEPS_AHEAD, Optimizer
from fastnn.plan import Plan

GRADIENT_DESCENTS = ("batch", "mini-batch", "stochastic")
ENGINES = ("auto", "python", "compiled")
SECONDS_AT_ONCE = 0.1  # of compiled code, in which Ctrl-C is not noticed


class StopTraining(Exception):  # noqa: N818 - an instruction, not an error
    """Raised by a callback to end the training; its text says why."""


@dataclass
class Training:
    """A run of `fit`, as its callbacks see it.

    Attributes
    ----------
    net, loss, optimizer, rng
        As given to `fit`.
    epochs : int
        How many there are to be in all.
    batch_size, steps_per_epoch : int
    history : History
        The finished epochs; ``history[-1]`` is the newest.
    finite_steps : int
        Number of steps of this epoch before the first whose loss was not finite.
    engine : str
        Which one runs it: ``compiled`` or ``python``.

    """

    net: Sequential
    loss: Loss
    optimizer: Optimizer
    rng: np.random.Generator
    epochs: int
    batch_size: int
    steps_per_epoch: int
    history: History
    finite_steps: int = 0
    engine: str = "python"


Callback: TypeAlias = Callable[[Training], object]


def fit(
    net: Sequential,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: Loss,
    optimizer: Optimizer,
    batch_size: int | None = None,
    epochs: int = 10,
    gradient_descent: str = "mini-batch",
    validation_data: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    shuffle: bool = True,
    rng: int | np.random.Generator = 0,
    callbacks: Iterable[Callback] = (),
    history: History | None = None,
    engine: str = "auto",
    flush_denormals: bool = False,
) -> History:
    """Train `net` in place and return one record an epoch.

    Parameters
    ----------
    net : Sequential
    x : array-like of shape (samples, n_in)
        Images may stay bytes, see `ScaledBytes`.
    y : array-like
        Targets as the loss takes them.
    loss : Loss
    optimizer : Optimizer
        Its state goes on from where it is.
    batch_size : int, optional
        Samples a step in ``mini-batch`` descent, 32 where not given; the last batch of an
        epoch may be smaller.
    epochs : int
        Number of passes over the data, those of `history` included.
    gradient_descent : {"batch", "mini-batch", "stochastic"}
        A step is made from all samples, from `batch_size` samples, or from a single one.
    validation_data : tuple of (x, y), optional
        Evaluated after each epoch.
    shuffle : bool
        Whether each epoch takes the samples in a new order.
    rng : int or numpy.random.Generator
        Draws the orders.
    callbacks : iterable of callables
        Each is called with the `Training` after each epoch, and its method ``on_step``, if it
        has one, after each step. It may raise `StopTraining`.
    history : History, optional
        Of an earlier training to go on from, with the weights, the optimizer and the `rng` as
        that one left them.
    engine : {"auto", "python", "compiled"}
        What goes from call to call and from step to step; the bits are the same. ``python`` is
        a loop over the steps; within a step, calls that are compiled follow one another without
        it. ``compiled`` is one call for an epoch, or for as many of its steps as take a tenth
        of a second. It needs a kernel that Numba compiles, passes likewise, and no callback with
        ``on_step``. It takes no longer to begin with: both run the same machine code, which is
        compiled once for each pass and dtype, and kept on disk. ``auto`` is therefore
        ``compiled`` wherever that is possible.
    flush_denormals : bool
        Take numbers below the smallest normal one (1.2e-38 in float32) as 0, in training and
        validation. A training whose weights or gradients fade away is several times as fast by
        it, but has other bits; see `fastnn.kernels.runtime.denormals`.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        The data do not fit the network or the loss, are not finite, or a size is not allowed;
        or the engine is not possible.
    NotImplementedError
        Denormals are to be flushed on a processor for which it is not known how.

    """
    inputs, targets = check_data(net, loss, x, y)
    validation = None if validation_data is None else check_data(net, loss, *validation_data)
    samples_a_step = resolve_batch_size(gradient_descent, batch_size, len(inputs))
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, not {epochs}")
    training = Training(
        net,
        loss,
        optimizer,
        np.random.default_rng(rng),
        epochs,
        samples_a_step,
        math.ceil(len(inputs) / samples_a_step),
        history if history is not None else History(),
    )
    callbacks = tuple(callbacks)
    on_step = [callback.on_step for callback in callbacks if hasattr(callback, "on_step")]
    batches = Batches(inputs, targets, samples_a_step)
    loop = _EpochLoop(training, batches, shuffle, on_step, engine)
    evaluator = Evaluator(net, loss, *validation) if validation else None
    training.history.stopped = None
    try:
        while len(training.history) < epochs:
            with flushed() if flush_denormals else nullcontext():
                result, seconds = loop.run()
                val_loss, val_accuracy = evaluator() if evaluator else (None, None)
            epoch = len(training.history) + 1
            training.history.records.append(Epoch(epoch, *result, val_loss, val_accuracy, seconds))
            for callback in callbacks:
                callback(training)
    except StopTraining as reason:
        training.history.stopped = str(reason)
    return training.history


class _EpochLoop:
    """Runs epochs: one plan for the full batches, another for a smaller last one."""

    def __init__(
        self,
        training: Training,
        batches: Batches,
        shuffle: bool,
        on_step: Sequence[Callback],
        engine: str,
    ) -> None:
        self.training, self.batches, self.on_step = training, batches, on_step
        self.rng = training.rng if shuffle else None
        self.totals = np.zeros(3)
        self.plans = [(self._plan(size), times) for size, times in batches.sizes]
        training.engine = _choose(engine, [plan for plan, _ in self.plans], on_step)
        self.steps_at_once = 1

    def _plan(self, batch_size: int) -> Plan:
        """Plan a step that takes its batch from the data by itself."""
        net, loss = self.training.net, self.training.loss
        plan = net.training_plan()
        inputs, targets = self.batches.plan(plan, batch_size)
        net.plan_step(plan, inputs, targets, loss, self.training.optimizer, self.totals)
        return plan

    @np.errstate(all="ignore")  # a diverging network is told by its loss, under any kernel
    def run(self) -> tuple[Evaluation, float]:
        """Run one epoch; return its mean loss and accuracy, and the seconds of its steps."""
        began = time.perf_counter()
        self.batches.restart(self.rng)
        self.totals.fill(0)
        run = self._run_compiled if self.training.engine == "compiled" else self._run_python
        for plan, times in self.plans:
            run(plan, times)
        self.training.finite_steps = int(self.totals[2])
        result = _evaluation(self.training.loss, self.totals, len(self.batches))
        return result, time.perf_counter() - began

    def _run_python(self, plan: Plan, steps: int) -> None:
        for _ in range(steps):
            self.training.optimizer.begin_steps()
            plan.run()
            for on_step in self.on_step:
                on_step(self.training)

    def _run_compiled(self, plan: Plan, steps: int) -> None:
        """Run steps without Python between, but for a moment every tenth of a second (Ctrl-C)."""
        assert plan.table is not None
        while steps:
            count = min(steps, self.steps_at_once)
            self.training.optimizer.begin_steps(count)
            began = time.perf_counter()
            plan.table.run(count)
            per_step = (time.perf_counter() - began) / count
            affordable = int(SECONDS_AT_ONCE / max(per_step, 1e-9))
            self.steps_at_once = min(max(affordable, 1), STEPS_AHEAD)
            steps -= count


def _choose(engine: str, plans: Sequence[Plan], on_step: Sequence[Callback]) -> str:
    """Return ``compiled`` or ``python``; ValueError if it can't be the `engine` asked for."""
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; there are: {', '.join(ENGINES)}")
    if engine == "python":
        return engine
    reason = "a callback has on_step" if on_step else ""
    for plan in plans:
        if plan.table is None:
            names = ", ".join(plan.not_compiled)
            reason = f"{names} can't be called from compiled code (kernel {plan.kernel.name})"
    if reason and engine == "compiled":
        raise ValueError(f"engine 'compiled' is not possible: {reason}")
    return "python" if reason else "compiled"


class Evaluator:
    """Computes the loss and the accuracy of a network on data, without training it.

    Parameters
    ----------
    net : Sequential
    loss : Loss
    x, targets
        As `check_data` returns them.

    """

    def __init__(self, net: Sequential, loss: Loss, x: Inputs, targets: Targets) -> None:
        self.loss, self.totals = loss, np.zeros(3)
        self.batches = Batches(x, targets, min(len(x), ROWS_AT_ONCE))
        self.plans = []
        for size, times in self.batches.sizes:
            plan = Plan(net.kernel, net.dtype)
            inputs, batch_targets = self.batches.plan(plan, size)
            outputs = net.plan_forward(plan, inputs, loss)[-1]
            with plan.section("loss"):
                loss.plan(plan, outputs, batch_targets, self.totals)
            self.plans.append((plan, times))

    @np.errstate(all="ignore")
    def __call__(self) -> Evaluation:
        """Evaluate the network as it is now."""
        self.batches.restart()
        self.totals.fill(0)
        for plan, times in self.plans:
            for _ in range(times):
                plan.run()
        return _evaluation(self.loss, self.totals, len(self.batches))


def evaluate(net: Sequential, x: npt.ArrayLike, y: npt.ArrayLike, *, loss: Loss) -> Evaluation:
    """Return the mean loss of `net` on a data set, and its accuracy.

    Parameters
    ----------
    net : Sequential
    x : array-like of shape (samples, n_in)
    y : array-like
        Targets as the loss takes them.
    loss : Loss

    Returns
    -------
    Evaluation
        A tuple ``(loss, accuracy)``; the accuracy is None in regression.

    """
    return Evaluator(net, loss, *check_data(net, loss, x, y))()


def resolve_batch_size(gradient_descent: str, batch_size: int | None, samples: int) -> int:
    """Return how many samples make one step.

    Raises
    ------
    ValueError
        An unknown name, a size below 1, or a size that contradicts the name.

    """
    sizes = {"batch": samples, "mini-batch": batch_size or 32, "stochastic": 1}
    if gradient_descent not in sizes:
        allowed = ", ".join(GRADIENT_DESCENTS)
        raise ValueError(f"unknown gradient descent {gradient_descent!r}; there are: {allowed}")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    size = sizes[gradient_descent]
    if batch_size is not None and batch_size != size:
        raise ValueError(
            f"gradient descent {gradient_descent!r} makes a step from {size} of {samples} samples, "
            f"which contradicts batch_size={batch_size}"
        )
    return min(size, samples)


def _evaluation(loss: Loss, totals: Array, samples: int) -> Evaluation:
    accuracy = float(totals[1]) / samples if loss.has_accuracy else None
    return Evaluation(float(totals[0]) / samples, accuracy)
