"""`fit` and `evaluate`: train a network over epochs, and compute its loss and accuracy."""

import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn import losses, optimizers
from fastnn.checks import check_whole
from fastnn.data import Batches, Inputs, resolve_batch_size
from fastnn.engine import Execution, Steps
from fastnn.history import Epoch, Evaluation, History
from fastnn.inference import MAX_ROWS_AT_ONCE
from fastnn.kernels.interface import Array
from fastnn.kernels.runtime.denormals import flushed
from fastnn.losses import Loss, Targets
from fastnn.network import Sequential
from fastnn.optimizers import Optimizer
from fastnn.plan import Plan


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
        The total number, those of an earlier `history` included.
    batch_size, steps_per_epoch : int
    history : History
        The finished epochs; ``history[-1]`` is the newest.
    finite_steps : int
        Number of steps of this epoch before the first whose loss was not finite.
    engine : str
        Which one runs it: ``compiled`` or ``python``.
    has_best_weights : bool
        Whether a callback has brought back the weights of the best epoch.

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
    has_best_weights: bool = False


Callback: TypeAlias = Callable[[Training], object]
HOOKS = ("__call__", "on_train_begin", "on_step", "on_train_end")


def fit(
    net: Sequential,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: str | Loss,
    optimizer: str | Optimizer,
    batch_size: int | None = None,
    epochs: int = 10,
    gradient_descent: str = "mini-batch",
    validation_data: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    shuffle: bool = True,
    rng: int | np.random.Generator = 0,
    callbacks: Iterable[Callback] = (),
    history: History | None = None,
    engine: str = "auto",
    flush_denormals: bool | None = None,
) -> History:
    """Train `net` in place and return one record per epoch.

    Parameters
    ----------
    net : Sequential
    x : array-like of shape (samples, n_in)
        Images may stay bytes, see `ScaledBytes`.
    y : array-like
        Targets as the loss takes them.
    loss : str or Loss
        A name in `fastnn.losses.LOSSES`, such as ``"cross-entropy"``, or a loss.
    optimizer : str or Optimizer
        A name in `fastnn.optimizers.OPTIMIZERS`, such as ``"adam"``, or an optimizer, whose
        state goes on from where it is.
    batch_size : int, optional
        Samples per step in ``mini-batch`` descent, 32 where not given; the last batch of an
        epoch may be smaller.
    epochs : int
        Number of passes over the data, including those in `history`.
    gradient_descent : {"batch", "mini-batch", "stochastic"}
        A step is made from all samples, from `batch_size` samples, or from a single one.
    validation_data : tuple of (x, y), optional
        Evaluated after each epoch.
    shuffle : bool
        Whether each epoch takes the samples in a new order.
    rng : int or numpy.random.Generator
        Draws the orders.
    callbacks : iterable of callables
        Each is called with the `Training` after each epoch, in their order. So are those of its
        methods ``on_train_begin``, ``on_step`` and ``on_train_end`` that it has: the last at any
        end, also by Ctrl-C. It may raise `StopTraining`; those after it are then left out.
    history : History, optional
        That of an earlier training to continue, with the weights, the optimizer and the `rng` as
        it left them.
    engine : {"auto", "python", "compiled"}
        What runs the steps; the bits are the same. ``python`` loops over the steps, and leaves
        only the compiled calls within a step to follow one another without Python.
        ``compiled`` runs an epoch as one call, or as many of its steps as take a tenth of a
        second. It needs a kernel and ops that Numba compiles, and no callback with ``on_step``.
        Both run the same machine code, which is compiled once for each op and dtype, and kept
        on disk; so ``auto`` is ``compiled`` wherever that is possible.
    flush_denormals : bool, optional
        Take numbers below the smallest normal one (1.2e-38 in float32) as 0, in training and
        validation; by default as the network does, whose own default is to flush. A training
        whose weights or gradients fade away, as with Adam on images, becomes several times as
        fast; ``False`` keeps the bits of IEEE arithmetic. See
        `fastnn.kernels.runtime.denormals`.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        The data do not fit the network or the loss, are not finite, or a size is not allowed;
        or the engine is not possible.

    """
    loss, optimizer = losses.get(loss), optimizers.get(optimizer)
    inputs, targets = net.check_data(x, y, loss)
    validation = None if validation_data is None else net.check_data(*validation_data, loss)
    batch_size = resolve_batch_size(gradient_descent, batch_size, len(inputs))
    epochs = check_whole("epochs", epochs, at_least=1)
    training = Training(
        net,
        loss,
        optimizer,
        np.random.default_rng(rng),
        epochs,
        batch_size,
        math.ceil(len(inputs) / batch_size),
        history if history is not None else History(),
    )
    hooks = _Hooks(training, callbacks)
    batches = Batches(inputs, targets, batch_size)
    loop = _EpochLoop(training, batches, shuffle, hooks.find("on_step"), engine)
    evaluator = Evaluator(net, loss, *validation) if validation else None
    training.history.stopped = None
    try:
        hooks.begin()
        while len(training.history) < training.epochs:
            with flushed(net.flush_denormals if flush_denormals is None else flush_denormals):
                result, seconds = loop.run()
                val_loss, val_accuracy = evaluator() if evaluator else (None, None)
            epoch = len(training.history) + 1
            training.history.records.append(Epoch(epoch, *result, val_loss, val_accuracy, seconds))
            hooks.after_epoch()
            hooks.warn_of_nan()
    except StopTraining as reason:
        training.history.stopped = str(reason)
    finally:  # also after Ctrl-C, or an error of a callback
        hooks.end()
    return training.history


class _Hooks:
    """What the callbacks of a training want to be called for."""

    def __init__(self, training: Training, callbacks: Iterable[Callback]) -> None:
        self._training, self._callbacks = training, tuple(callbacks)
        for callback in self._callbacks:
            if isinstance(callback, type) or not any(hasattr(callback, hook) for hook in HOOKS):
                raise TypeError(
                    f"a callback is called or has one of {', '.join(HOOKS[1:])}; got {callback!r}"
                )
        self._begun: list[Callback] = []
        self._has_warned = False

    def find(self, name: str) -> list[Callback]:
        """Return the methods of this name."""
        return [getattr(callback, name) for callback in self._callbacks if hasattr(callback, name)]

    def begin(self) -> None:
        """Call ``on_train_begin``."""
        for callback in self._callbacks:
            self._begun.append(callback)
            if hasattr(callback, "on_train_begin"):
                callback.on_train_begin(self._training)

    def after_epoch(self) -> None:
        """Call the callbacks themselves."""
        for call in self.find("__call__"):
            call(self._training)

    def end(self) -> None:
        """Call ``on_train_end`` of all that have begun, also where one of them fails.

        Those that save come last, after those that change the network.
        """
        self._begun.sort(key=lambda callback: getattr(callback, "saves", False))
        with ExitStack() as stack:  # calls them from the last to the first
            for callback in reversed(self._begun):
                if hasattr(callback, "on_train_end"):
                    stack.callback(callback.on_train_end, self._training)

    def warn_of_nan(self) -> None:
        """Warn once of a loss that is not finite, if no callback has ended the training for it."""
        training = self._training
        record = training.history[-1]
        if not self._has_warned and not math.isfinite(record.loss):
            self._has_warned = True
            warnings.warn(
                f"the loss became {record.loss} in epoch {record.epoch}, at step "
                f"{training.finite_steps + 1} of {training.steps_per_epoch}, and training goes on: "
                "a smaller learning rate may help; the callback TerminateOnNaN stops here",
                RuntimeWarning,
                stacklevel=3,  # the line that calls `fit`
            )


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
        self.training, self.batches = training, batches
        self.rng = training.rng if shuffle else None
        self.totals = np.zeros(3)
        self.executions = [(self._execution(size), times) for size, times in batches.sizes]
        self.steps = Steps(
            engine,
            [execution for execution, _ in self.executions],
            training.optimizer.begin_steps,
            [partial(call, training) for call in on_step],
        )
        training.engine = self.steps.engine

    def _execution(self, batch_size: int) -> Execution:
        """Return a step that takes its batch from the data by itself, ready to run."""
        net, loss = self.training.net, self.training.loss
        plan = net.training_plan()
        inputs, targets = self.batches.plan(plan, batch_size)
        net.plan_step(plan, inputs, targets, loss, self.training.optimizer, self.totals)
        return Execution(plan)

    @np.errstate(all="ignore")  # a diverging network shows in its loss, under any kernel
    def run(self) -> tuple[Evaluation, float]:
        """Run one epoch; return its mean loss and accuracy, and the seconds of its steps."""
        began = time.perf_counter()
        self.batches.restart(self.rng)
        self.totals.fill(0)
        for execution, times in self.executions:
            self.steps.run(execution, times)
        self.training.finite_steps = int(self.totals[2])
        result = _evaluation(self.training.loss, self.totals, len(self.batches))
        return result, time.perf_counter() - began


class Evaluator:
    """Computes the loss and the accuracy of a network on data, without training it.

    Parameters
    ----------
    net : Sequential
    loss : Loss
    x, targets
        As ``net.check_data`` returns them.

    """

    def __init__(self, net: Sequential, loss: Loss, x: Inputs, targets: Targets) -> None:
        self.loss, self.totals = loss, np.zeros(3)
        self.batches = Batches(x, targets, min(len(x), MAX_ROWS_AT_ONCE))
        self.executions = []
        for size, times in self.batches.sizes:
            plan = Plan(net.kernel, net.dtype)
            inputs, batch_targets = self.batches.plan(plan, size)
            outputs = net.plan_forward(plan, inputs, loss)[-1]
            with plan.section("loss"):
                loss.plan(plan, outputs, batch_targets, self.totals)
            self.executions.append((Execution(plan), times))

    @np.errstate(all="ignore")
    def __call__(self) -> Evaluation:
        """Evaluate the network as it is now."""
        self.batches.restart()
        self.totals.fill(0)
        for execution, times in self.executions:
            for _ in range(times):
                execution.run()
        return _evaluation(self.loss, self.totals, len(self.batches))


def evaluate(
    net: Sequential, x: npt.ArrayLike, y: npt.ArrayLike, *, loss: str | Loss
) -> Evaluation:
    """Return the mean loss of `net` on a data set, and its accuracy.

    Parameters
    ----------
    net : Sequential
    x : array-like of shape (samples, n_in)
    y : array-like
        Targets as the loss takes them.
    loss : str or Loss

    Returns
    -------
    Evaluation
        A tuple ``(loss, accuracy)``; the accuracy is None in regression.

    """
    loss = losses.get(loss)
    evaluator = Evaluator(net, loss, *net.check_data(x, y, loss))
    with flushed(net.flush_denormals):
        return evaluator()


def _evaluation(loss: Loss, totals: Array, samples: int) -> Evaluation:
    accuracy = float(totals[1]) / samples if loss.has_accuracy else None
    return Evaluation(float(totals[0]) / samples, accuracy)
