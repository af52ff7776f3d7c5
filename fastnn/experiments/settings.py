"""`Experiment`: the settings of a run, each of them defined once.

A field states the type of a setting, its range or its choices, its default and its help text. The
options of the command line, the configuration file, the errors and the record of a run are derived
from the fields: a new setting is a new field. Choices are read from the lists beside the classes.
"""

import inspect
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec

from fastnn import kernels
from fastnn.data import BATCH_SIZE, GRADIENT_DESCENTS
from fastnn.experiments.fields import (
    CODE,
    Count,
    CountOrZero,
    ExperimentError,
    Positive,
    PositiveOrZero,
    Setting,
    Share,
    Text,
    describe,
)
from fastnn.initializers import INITIALIZERS
from fastnn.kernels.finding import class_of
from fastnn.layers import ACTIVATIONS, HIDDEN_LAYERS
from fastnn.losses import LOSSES
from fastnn.optimizers import OPTIMIZERS, SGD, Optimizer
from fastnn.plan import ENGINES
from fastnn.schedules import SCHEDULES

__all__ = ["SETTINGS", "Experiment", "ExperimentError", "read_settings"]

AUTO = "auto"
LEARNING_RATE = 0.001  # of an optimizer whose class has no default
# SGD's own default is meant for longer runs than the tens of epochs of an experiment.
LEARNING_RATES: dict[type[Optimizer], float] = {SGD: 0.1}

_data = partial(describe, "Data")
_network = partial(describe, "Network")
_training = partial(describe, "Training")
_computation = partial(describe, "Computation")


class Experiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a run; ``fastnn train --help`` describes them.

    Raises
    ------
    ExperimentError
        A setting is not allowed, or two of them exclude each other.

    """

    data: Annotated[Text, _data("Data set (see `fastnn data info`), or an .npz or .csv file.")] = (
        "digits"
    )
    data_dir: Annotated[
        Text | None, _data("Directory with the files of mnist or fashion-mnist.")
    ] = None
    validation: Annotated[Share, _data("Share of the training data held out for validation.")] = 0.1

    hidden: Annotated[
        tuple[Count, ...], _network("Units of each hidden layer, such as 128,64; or none.")
    ] = (128,)
    layer: Annotated[str, _network("Class of the hidden layers.", HIDDEN_LAYERS, code=True)] = (
        "dense"
    )
    activation: Annotated[
        str, _network("Activation function of the hidden layers.", ACTIVATIONS, code=True)
    ] = "relu"
    dropout: Annotated[Share, _network("Share of the hidden units dropped in each step.")] = 0.0
    initializer: Annotated[
        str,
        _network(
            "Initial weights of dense layers; auto is he-normal before (leaky) ReLU and "
            "glorot-uniform otherwise.",
            [AUTO, *INITIALIZERS],
        ),
    ] = AUTO

    epochs: Annotated[Count, _training("Passes over the training data, in total.")] = 60
    gradient_descent: Annotated[
        str,
        _training("Whether a step takes all samples, a mini-batch, or one.", GRADIENT_DESCENTS),
    ] = "mini-batch"
    batch_size: Annotated[Count | None, _training("Samples in a mini-batch.")] = None
    loss: Annotated[
        str,
        _training(
            "Loss function; auto is cross-entropy for classes and mse for numbers.",
            [AUTO, *LOSSES],
            code=True,
        ),
    ] = AUTO
    optimizer: Annotated[
        str, _training("How the weights follow the gradient.", OPTIMIZERS, code=True)
    ] = "adam"
    learning_rate: Annotated[Positive | None, _training("Learning rate.")] = None
    momentum: Annotated[Share, _training("Momentum, with sgd.")] = 0.0
    nesterov: Annotated[bool, _training("Nesterov momentum, with sgd.")] = False
    weight_decay: Annotated[PositiveOrZero | None, _training("Weight decay.")] = None
    clip_norm: Annotated[
        Positive | None, _training("Largest norm of the gradient; unlimited if not given.")
    ] = None
    schedule: Annotated[str, _training("How the learning rate changes.", SCHEDULES)] = "constant"
    decay_every: Annotated[Count, _training("Epochs between decays, with schedule step.")] = 10
    decay_factor: Annotated[Positive, _training("Factor of a decay, with schedule step.")] = 0.5
    warmup: Annotated[
        CountOrZero, _training("Epochs in which the learning rate rises to its full value.")
    ] = 0

    kernel: Annotated[
        Text,
        _computation(
            f"Kernel of the matrix products: a name (see `fastnn kernels`), {CODE}.", code=True
        ),
    ] = msgspec.field(default_factory=kernels.default)
    threads: Annotated[
        Count | None, _computation("Threads of a matrix product; all cores if not given.")
    ] = None
    engine: Annotated[
        str, _computation("What runs the steps; auto is compiled if possible.", ENGINES)
    ] = AUTO
    dtype: Annotated[str, _computation("Type of all numbers.", ["float32", "float64"])] = "float32"
    flush_denormals: Annotated[
        bool, _computation("Treat numbers below the smallest normal one as 0.")
    ] = True
    seed: Annotated[
        CountOrZero, _computation("Seed of all that is random: weights, order, dropout, splits.")
    ] = 0

    def __post_init__(self) -> None:
        for name, setting in SETTINGS.items():
            msgspec.structs.force_setattr(self, name, setting.check(getattr(self, name)))
        if self.optimizer != "sgd" and (self.momentum or self.nesterov):
            raise ExperimentError(
                f"momentum and nesterov belong to the optimizer sgd, not to {self.optimizer}"
            )
        if self.nesterov and not self.momentum:
            raise ExperimentError("nesterov needs a momentum above 0")
        if self.warmup >= self.epochs:
            raise ExperimentError(
                f"warmup must be shorter than the run of {self.epochs} epochs, not {self.warmup}"
            )

    def replace(self, **changes: Any) -> Self:  # noqa: ANN401 - of any setting
        """Return the experiment with some settings changed."""
        return msgspec.structs.replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings by name."""
        return msgspec.structs.asdict(self)

    def resolved(self, optimizer: type[Optimizer] | None = None) -> Self:
        """Fill in the defaults that follow from other settings, so that a run records them.

        Parameters
        ----------
        optimizer : type of Optimizer, optional
            The class that `self.optimizer` names, if it has been found already.

        """
        optimizer = optimizer or class_of(self.optimizer, OPTIMIZERS, Optimizer)
        rate = LEARNING_RATES.get(optimizer) or _default(optimizer, "learning_rate", LEARNING_RATE)
        defaults = {
            "learning_rate": rate,
            "weight_decay": _default(optimizer, "weight_decay", 0.0),
            "batch_size": BATCH_SIZE if self.gradient_descent == "mini-batch" else None,
        }
        return self.replace(
            **{name: value for name, value in defaults.items() if getattr(self, name) is None}
        )

    def to_toml(self) -> str:
        """Return the settings as a configuration file; those that are None are left out."""
        given = {name: value for name, value in self.as_dict().items() if value is not None}
        return msgspec.toml.encode(given).decode()


SETTINGS = {field.name: Setting.of(field) for field in msgspec.structs.fields(Experiment)}


def read_settings(path: str | Path) -> dict[str, Any]:
    """Return what a configuration file sets, for `Experiment`.

    Raises
    ------
    ExperimentError
        It is not a TOML file, or a key or a value is not allowed.
    OSError

    """
    try:
        settings: dict[str, Any] = msgspec.toml.decode(Path(path).read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path} is not a TOML file: {error}") from error
    unknown = [key for key in settings if key not in SETTINGS]
    if unknown:
        raise ExperimentError(
            f"{path} has the unknown key {', '.join(unknown)}; allowed are {', '.join(SETTINGS)}"
        )
    try:
        return {name: SETTINGS[name].check(value) for name, value in settings.items()}
    except ExperimentError as error:
        raise ExperimentError(f"{path}: {error}") from None


def _default(optimizer: type[Optimizer], name: str, otherwise: float) -> float:
    """Return the default of a parameter, if it has one."""
    parameter = inspect.signature(optimizer).parameters.get(name)
    if parameter is None or parameter.default is parameter.empty:
        return otherwise
    return float(parameter.default)
