"""From settings to objects: the network, the loss and the optimizer of an `Experiment`."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fastnn import kernels
from fastnn.datasets import Dataset
from fastnn.experiments.settings import Experiment
from fastnn.initializers import INITIALIZERS, GlorotUniform, HeNormal, Initializer
from fastnn.kernels import Kernel
from fastnn.layers import ACTIVATIONS, Dense, Dropout, Layer, Softmax
from fastnn.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy
from fastnn.network import Sequential
from fastnn.optimizers import OPTIMIZERS, Optimizer
from fastnn.schedules import ConstantRate, CosineDecay, Schedule, StepDecay, WarmUp


def build_network(
    experiment: Experiment,
    data: Dataset,
    rng: int | np.random.Generator,
    *,
    kernel: Kernel | None = None,
) -> Sequential:
    """Return the network for `data`, which ends in a softmax where there are classes.

    Parameters
    ----------
    experiment : Experiment
    data : Dataset
    rng : int or numpy.random.Generator
    kernel : Kernel, optional
        The experiment's, where that has been found already.

    Raises
    ------
    ValueError
        There is no such kernel as the experiment names.

    """
    kernel = kernel or kernels.get(experiment.kernel)
    before_relu = "relu" in experiment.activation
    layers: list[Layer] = []
    n_in = data.n_features
    for units in experiment.hidden:
        initializer = _initializer(experiment.initializer, before_relu=before_relu)
        layers += [
            Dense(n_in, units, initializer=initializer),
            ACTIVATIONS[experiment.activation](),
        ]
        if experiment.dropout:
            layers.append(Dropout(experiment.dropout))
        n_in = units
    initializer = _initializer(experiment.initializer, before_relu=False)
    layers.append(Dense(n_in, data.n_outputs, initializer=initializer))
    if data.classes is not None:
        layers.append(Softmax())
    return Sequential(layers, kernel=kernel, dtype=experiment.dtype, rng=rng)


def _initializer(name: str, *, before_relu: bool) -> Initializer:
    if name == "auto":
        return HeNormal() if before_relu else GlorotUniform()
    return INITIALIZERS[name]()


def build_loss(data: Dataset) -> Loss:
    """Return what the task of `data` asks for."""
    return MeanSquaredError() if data.classes is None else SoftmaxCrossEntropy()


def build_optimizer(experiment: Experiment, steps_per_epoch: int) -> Optimizer:
    """Return the optimizer of a resolved experiment."""
    settings: dict[str, float | bool | None] = {
        "weight_decay": experiment.weight_decay,
        "clip_norm": experiment.clip_norm,
    }
    if experiment.optimizer == "sgd":
        settings |= {"momentum": experiment.momentum, "nesterov": experiment.nesterov}
    build: Callable[..., Optimizer] = OPTIMIZERS[experiment.optimizer]
    return build(build_schedule(experiment, steps_per_epoch), **settings)


def build_schedule(experiment: Experiment, steps_per_epoch: int) -> Schedule:
    """Return the learning rate of a resolved experiment, as a function of the steps taken."""
    rate = experiment.learning_rate
    assert rate is not None
    warmup = experiment.warmup * steps_per_epoch
    schedules: dict[str, Callable[[], Schedule]] = {
        "constant": lambda: ConstantRate(rate),
        "step": lambda: StepDecay(
            rate, experiment.decay_every * steps_per_epoch, experiment.decay_factor
        ),
        "cosine": lambda: CosineDecay(rate, experiment.epochs * steps_per_epoch - warmup),
    }
    schedule = schedules[experiment.schedule]()
    return WarmUp(schedule, warmup) if warmup else schedule


def hold_out(
    y: npt.NDArray[np.generic], share: float, rng: np.random.Generator
) -> npt.NDArray[np.bool]:
    """Mark a share of the samples, of each class where `y` holds labels.

    Raises
    ------
    ValueError
        The share, above 0, is not a single sample.

    """
    labels = y if y.dtype.kind == "i" else np.zeros(len(y), np.int64)
    marked = np.zeros(len(y), np.bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        marked[members[: round(share * len(members))]] = True
    if share and not marked.any():
        raise ValueError(
            f"validation={share} of {len(y)} training samples is not one of each class"
        )
    return marked
