"""`fit` and `evaluate`: epochs of steps over a data set, and what they are worth."""

import csv
import io
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from fastnn.losses import Loss, Targets
from fastnn.network import ROWS_AT_ONCE, Sequential
from fastnn.optimizers import Optimizer
from fastnn.plan import Plan
from kernels import elementwise
from kernels.interface import Array

GRADIENT_DESCENTS = ("batch", "mini-batch", "stochastic")


class Evaluation(NamedTuple):
    """The mean loss of a data set, and the share of right answers (None in regression)."""

    loss: float
    accuracy: float | None


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    loss, accuracy : float
        Means over the epoch's samples, each taken just before the step that its batch made;
        the accuracy is None in regression.
    val_loss, val_accuracy : float or None
        Of the validation data after the epoch, where there are any.
    seconds : float
        Of the epoch's steps, without validation and callbacks.

    """

    epoch: int
    loss: float
    accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    seconds: float


@dataclass
class History(Sequence[Epoch]):
    """One record an epoch, and why the training stopped before its last one, if it did."""

    records: list[Epoch] = field(default_factory=list)
    stopped: str | None = None

    @overload
    def __getitem__(self, index: int) -> Epoch: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Epoch]: ...
    def __getitem__(self, index: int | slice) -> Epoch | Sequence[Epoch]:
        return self.records[index]

    def __len__(self) -> int:
        return len(self.records)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the records as dictionaries, for JSON."""
        return [asdict(record) for record in self.records]

    def to_csv(self) -> str:
        """Return a header and one line an epoch; what is None is left empty."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [f.name for f in fields(Epoch)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.as_dicts())
        return text.getvalue()


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
) -> History:
    """Train `net` in place and return one record an epoch.

    Parameters
    ----------
    net : Sequential
    x : array-like of shape (samples, n_in)
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

    Returns
    -------
    History

    Raises
    ------
    ValueError
        The data do not fit the network or the loss, are not finite, or a size is not allowed.

    """
    x, targets = _check_data(net, loss, x, y)
    validation = None if validation_data is None else _check_data(net, loss, *validation_data)
    samples_a_step = step_size(gradient_descent, batch_size, len(x))
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, not {epochs}")
    training = Training(
        net,
        loss,
        optimizer,
        np.random.default_rng(rng),
        epochs,
        samples_a_step,
        math.ceil(len(x) / samples_a_step),
        history if history is not None else History(),
    )
    callbacks = tuple(callbacks)
    loop = _EpochLoop(training, x, targets, shuffle, callbacks)
    evaluator = Evaluator(net, loss)
    training.history.stopped = None
    try:
        while len(training.history) < epochs:
            result, seconds = loop.run()
            val_loss, val_accuracy = evaluator(*validation) if validation else (None, None)
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
        x: Array,
        targets: Targets,
        shuffle: bool,
        callbacks: Sequence[Callback],
    ) -> None:
        self.training, self.x, self.targets, self.shuffle = training, x, targets, shuffle
        self.order = np.arange(len(x))
        self.start = np.zeros(1, np.int64)  # where in the order the batch begins
        self.totals = np.zeros(3)
        self.on_step = [c.on_step for c in callbacks if hasattr(c, "on_step")]
        starts = range(0, len(x), training.batch_size)
        sizes = [min(training.batch_size, len(x) - start) for start in starts]
        plans = {size: self._plan(size) for size in dict.fromkeys(sizes)}
        self.steps = [(start, plans[size]) for start, size in zip(starts, sizes, strict=True)]

    def _plan(self, batch_size: int) -> Plan:
        """Plan a step that takes its batch from the data by itself."""
        net, loss = self.training.net, self.training.loss
        plan = net.training_plan()
        batch = plan.empty(batch_size, net.n_in)
        batch_targets = np.empty((batch_size, *self.targets.shape[1:]), self.targets.dtype)
        with plan.section("batch"):
            plan.call(elementwise.take_rows, self.x, self.order, self.start, batch)
            plan.call(elementwise.take_rows, self.targets, self.order, self.start, batch_targets)
        net.plan_step(plan, batch, batch_targets, loss, self.training.optimizer, self.totals)
        return plan

    @np.errstate(all="ignore")  # a diverging network is told by its loss, under any kernel
    def run(self) -> tuple[Evaluation, float]:
        """Run one epoch; return its mean loss and accuracy, and the seconds of its steps."""
        began = time.perf_counter()
        if self.shuffle:
            self.order[:] = self.training.rng.permutation(len(self.order))
        self.totals.fill(0)
        optimizer = self.training.optimizer
        for start, plan in self.steps:
            self.start[0] = start
            optimizer.begin_step()
            plan.run()
            for on_step in self.on_step:
                on_step(self.training)
        self.training.finite_steps = int(self.totals[2])
        result = _evaluation(self.training.loss, self.totals, len(self.order))
        return result, time.perf_counter() - began


class Evaluator:
    """Computes the loss and the accuracy of a network on data, without training it."""

    def __init__(self, net: Sequential, loss: Loss) -> None:
        self.net, self.loss = net, loss
        self.totals = np.zeros(3)
        self._plans: dict[int, tuple[Array, Targets, Plan]] = {}

    @np.errstate(all="ignore")
    def __call__(self, x: Array, targets: Targets) -> Evaluation:
        """Evaluate inputs and targets that have been checked already."""
        self.totals.fill(0)
        for start in range(0, len(x), ROWS_AT_ONCE):
            piece = slice(start, start + ROWS_AT_ONCE)
            batch, batch_targets, plan = self._plan(len(x[piece]), targets)
            batch[...], batch_targets[...] = x[piece], targets[piece]
            plan.run()
        return _evaluation(self.loss, self.totals, len(x))

    def _plan(self, rows: int, targets: Targets) -> tuple[Array, Targets, Plan]:
        if rows not in self._plans:
            plan = Plan(self.net.kernel, self.net.dtype)
            batch = plan.empty(rows, self.net.n_in)
            batch_targets = np.empty((rows, *targets.shape[1:]), targets.dtype)
            outputs = self.net.plan_forward(plan, batch, self.loss)[-1]
            with plan.section("loss"):
                self.loss.plan(plan, outputs, batch_targets, self.totals)
            self._plans[rows] = batch, batch_targets, plan
        return self._plans[rows]


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
    return Evaluator(net, loss)(*_check_data(net, loss, x, y))


def step_size(gradient_descent: str, batch_size: int | None, samples: int) -> int:
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


def _check_data(
    net: Sequential, loss: Loss, x: npt.ArrayLike, y: npt.ArrayLike
) -> tuple[Array, Targets]:
    inputs = net.check_inputs(x)
    targets = loss.targets(y, net.n_out, net.dtype)
    if len(inputs) != len(targets):
        raise ValueError(f"x has {len(inputs)} samples, y has {len(targets)}")
    if len(inputs) == 0:
        raise ValueError("x has no samples")
    if not np.isfinite(inputs).all():
        raise ValueError("x holds NaN or infinity; finite numbers are needed")
    return inputs, targets


def _evaluation(loss: Loss, totals: Array, samples: int) -> Evaluation:
    accuracy = float(totals[1]) / samples if loss.has_accuracy else None
    return Evaluation(float(totals[0]) / samples, accuracy)
