"""From settings to objects: the network, the loss and the optimizer of an `Experiment`."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import kernels, losses
from fastnn.datasets import Dataset
from fastnn.experiments.settings import AUTO, Experiment, ExperimentError
from fastnn.initializers import INITIALIZERS, GlorotUniform, HeNormal, Initializer
from fastnn.kernels import Kernel
from fastnn.kernels.finding import class_of
from fastnn.layers import ACTIVATIONS, HIDDEN_LAYERS, Dense, Dropout, Layer, LeakyReLU, ReLU
from fastnn.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy, Targets
from fastnn.network import Sequential
from fastnn.optimizers import OPTIMIZERS, SGD, Optimizer
from fastnn.schedules import SCHEDULES, Schedule, WarmUp


class Builder:
    """Builds what an experiment names; a user's own code is imported here, once.

    Parameters
    ----------
    experiment : Experiment

    Attributes
    ----------
    experiment : Experiment
        Resolved.
    layer, activation : type of Layer
    optimizer : type of Optimizer
    loss : Loss or None
        None: the task of the data decides.

    Raises
    ------
    ValueError
        The experiment names something that does not exist.

    """

    def __init__(self, experiment: Experiment) -> None:
        self.layer = class_of(experiment.layer, HIDDEN_LAYERS, Layer)
        self.activation = class_of(experiment.activation, ACTIVATIONS, Layer)
        self.optimizer = class_of(experiment.optimizer, OPTIMIZERS, Optimizer)
        _check_arguments("layer", self.layer, "n_in", "n_out")
        _check_arguments("activation", self.activation)
        _check_arguments(
            "optimizer", self.optimizer, "learning_rate", weight_decay="…", clip_norm="…"
        )
        self.loss = find_loss(experiment.loss)
        self.experiment = experiment.resolved(self.optimizer)

    def build_network(
        self, data: Dataset, rng: int | np.random.Generator, *, kernel: Kernel | None = None
    ) -> Sequential:
        """Return the network for `data`, which ends in what the loss is computed on.

        Parameters
        ----------
        data : Dataset
        rng : int or numpy.random.Generator
        kernel : Kernel, optional
            That of the experiment, if not given.

        """
        layers: list[Layer] = []
        n_in = data.n_features
        for units in self.experiment.hidden:
            layers += [self._build_hidden(n_in, units), self.activation()]
            if self.experiment.dropout:
                layers.append(Dropout(self.experiment.dropout))
            n_in = units
        layers.append(Dense(n_in, data.n_outputs, initializer=self._initializer(GlorotUniform)))
        if activation := self.build_loss(data).activation:
            layers.append(activation())
        return Sequential(
            layers,
            kernel=kernel or kernels.get(self.experiment.kernel),
            dtype=self.experiment.dtype,
            rng=rng,
            flush_denormals=self.experiment.flush_denormals,
        )

    def _build_hidden(self, n_in: int, units: int) -> Layer:
        build: Callable[..., Layer] = self.layer
        if self.layer is not Dense:
            return build(n_in, units)
        before_relu = issubclass(self.activation, ReLU | LeakyReLU)
        initializer = self._initializer(HeNormal if before_relu else GlorotUniform)
        return build(n_in, units, initializer=initializer)

    def _initializer(self, auto: Callable[[], Initializer]) -> Initializer:
        name = self.experiment.initializer
        return auto() if name == AUTO else INITIALIZERS[name]()

    def build_loss(self, data: Dataset) -> Loss:
        """Return the loss; without one in the experiment, that for the task of `data`."""
        return self.loss or loss_for(data)

    def build_optimizer(self, steps_per_epoch: int) -> Optimizer:
        """Return a new optimizer."""
        settings: dict[str, Any] = {
            "weight_decay": self.experiment.weight_decay,
            "clip_norm": self.experiment.clip_norm,
        }
        if self.optimizer is SGD:
            settings |= {
                "momentum": self.experiment.momentum,
                "nesterov": self.experiment.nesterov,
            }
        build: Callable[..., Optimizer] = self.optimizer
        return build(build_schedule(self.experiment, steps_per_epoch), **settings)


def _check_arguments(name: str, kind: type, *arguments: str, **keywords: str) -> None:
    """Raise `ExperimentError` if the class of a setting can't be built from such arguments."""
    try:
        inspect.signature(kind).bind(*arguments, **keywords)
    except TypeError as error:
        given = ", ".join([*arguments, *map("=".join, keywords.items())])
        raise ExperimentError(
            f"the {name} is built by {kind.__name__}({given}), which is not possible: {error}"
        ) from None


def find_loss(name: str) -> Loss | None:
    """Return the loss of this name; None if the task of the data decides."""
    return None if name == AUTO else losses.get(name)


def loss_for(data: Dataset) -> Loss:
    """Return the usual loss for the task of `data`."""
    return MeanSquaredError() if data.classes is None else SoftmaxCrossEntropy()


def targets_for(loss: Loss, y: Targets, data: Dataset) -> Targets:
    """Return the targets `y` of `data` as `loss` takes them: labels, or one row per sample.

    Raises
    ------
    ExperimentError
        The loss does not take such targets.

    """
    dtype = data.x_train.dtype
    if data.classes is not None and not loss.takes_labels:
        y = np.eye(data.n_outputs, dtype=dtype)[y]
    try:
        loss.targets(y, data.n_outputs, dtype)
    except ValueError as error:
        raise ExperimentError(
            f"the loss {type(loss).__name__} does not fit {data.name}: {error}"
        ) from error
    return y


def build_schedule(experiment: Experiment, steps_per_epoch: int) -> Schedule:
    """Return the learning rate of a resolved experiment, as a function of the steps taken."""
    warmup = experiment.warmup * steps_per_epoch
    arguments: dict[str, tuple[float, ...]] = {
        "constant": (),
        "step": (experiment.decay_every * steps_per_epoch, experiment.decay_factor),
        "cosine": (experiment.epochs * steps_per_epoch - warmup,),
    }
    name = experiment.schedule
    schedule = SCHEDULES[name](experiment.learning_rate, *arguments[name])
    return WarmUp(schedule, warmup) if warmup else schedule


def hold_out(
    y: npt.NDArray[np.generic], share: float, rng: np.random.Generator
) -> npt.NDArray[np.bool]:
    """Mark a share of the samples, of each class where `y` holds labels.

    Raises
    ------
    ValueError
        The share is above 0, but less than a single sample.

    """
    labels = y if y.dtype.kind == "i" else np.zeros(len(y), np.int64)
    marked = np.zeros(len(y), np.bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        marked[members[: round(share * len(members))]] = True
    if share and not marked.any():
        raise ValueError(
            f"validation={share} of {len(y)} training samples is less than one of any class"
        )
    return marked
