"""`Experiment`: every setting of a run, with its default and what it may be.

It knows nothing of networks and arrays; `fastnn.experiments.run` carries it out. Whatever a command line
or a configuration file says ends up here, and is checked here.
"""

import json
import math
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

CHOICES = {
    "activation": ("relu", "leaky-relu", "sigmoid", "tanh"),
    "initializer": (
        *("auto", "glorot-uniform", "glorot-normal", "he-normal", "he-uniform"),
        *("normal", "uniform", "zeros"),
    ),
    "gradient_descent": ("batch", "mini-batch", "stochastic"),
    "engine": ("auto", "python", "compiled"),
    "optimizer": ("sgd", "rmsprop", "adam", "adamw"),
    "schedule": ("constant", "step", "cosine"),
    "dtype": ("float32", "float64"),
}

# Rates that learn the data sets of the package in their tens of epochs; the one of `fastnn.SGD` is
# meant for longer runs.
LEARNING_RATES = {"sgd": 0.1, "rmsprop": 0.001, "adam": 0.001, "adamw": 0.001}
WEIGHT_DECAYS = {"sgd": 0.0, "rmsprop": 0.0, "adam": 0.0, "adamw": 0.004}
BATCH_SIZES = {"batch": None, "mini-batch": 32, "stochastic": None}  # None: it follows


class ExperimentError(ValueError):
    """A setting is not allowed; the text names it, what was received and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The settings of a run.

    Parameters
    ----------
    data : str
        A data set's name or a file, see `fastnn.datasets.load`.
    data_dir : str, optional
        Where the files of ``mnist`` and ``fashion-mnist`` lie.
    hidden : sequence of int
        Number of units of each hidden layer; none make a linear model.
    activation : {"relu", "leaky-relu", "sigmoid", "tanh"}
        What follows each hidden layer.
    dropout : float
        Share of the hidden units silenced in each step.
    initializer : {"auto", "glorot", "he", "normal", "uniform", "zeros"}
        How weights start; ``auto`` is He's for (leaky) ReLU, Glorot's otherwise.
    kernel : str
        What computes the matrix products, see `fastnn.kernels.finding.find`: a module or a file is
        imported, also when a run goes on.
    threads : int, optional
        Number of threads of a product; all that are there where not given.
    engine : {"auto", "python", "compiled"}
        What goes from step to step, see `fastnn.fit`.
    epochs : int
        Passes over the training data.
    batch_size : int, optional
        Samples a step in ``mini-batch`` descent; 32 where not given.
    gradient_descent : {"mini-batch", "batch", "stochastic"}
        See `fastnn.fit`.
    optimizer : {"adam", "adamw", "rmsprop", "sgd"}
    learning_rate : float, optional
        One that suits the optimizer where not given.
    momentum, nesterov
        See `fastnn.SGD`; other optimizers have none.
    weight_decay : float, optional
        The optimizer's usual one where not given: none, but for AdamW.
    clip_norm : float, optional
        Longest gradient; unlimited where not given.
    schedule : {"constant", "step", "cosine"}
        How the learning rate changes: never; by `decay_factor` after every `decay_every`
        epochs; down to 0 along half a cosine over all epochs.
    decay_every, decay_factor
        Of the ``step`` schedule.
    warmup : int
        Number of epochs over which the learning rate rises at first.
    dtype : {"float32", "float64"}
    flush_denormals : bool
        See `fastnn.fit`.
    seed : int
        Where all randomness comes from: weights, order, dropout, and splits of the data.
    validation : float
        Share of the training data, of each class, that is held out to validate each epoch.

    Raises
    ------
    ExperimentError

    """

    data: str = "digits"
    data_dir: str | None = None
    hidden: Sequence[int] = (128,)
    activation: str = "relu"
    dropout: float = 0.0
    initializer: str = "auto"
    kernel: str = "numba"
    threads: int | None = None
    engine: str = "auto"
    epochs: int = 60
    batch_size: int | None = None
    gradient_descent: str = "mini-batch"
    optimizer: str = "adam"
    learning_rate: float | None = None
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float | None = None
    clip_norm: float | None = None
    schedule: str = "constant"
    decay_every: int = 10
    decay_factor: float = 0.5
    warmup: int = 0
    dtype: str = "float32"
    flush_denormals: bool = False
    seed: int = 0
    validation: float = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.hidden, list):  # as TOML has it
            object.__setattr__(self, "hidden", tuple(self.hidden))
        for name in ("data", "data_dir", "kernel", *CHOICES):
            self._check_text(name)
        for name, least in _WHOLE_NUMBERS.items():
            self._check_whole(name, least)
        for name, (allowed, what) in _NUMBERS.items():
            self._check_number(name, allowed, what)
        for name in ("nesterov", "flush_denormals"):
            self._check_switch(name)
        self._check_hidden()
        self._check_combinations()

    def _check_text(self, name: str) -> None:
        value = getattr(self, name)
        if name == "data_dir" and value is None:
            return
        if not isinstance(value, str) or not value:
            raise ExperimentError(f"{name} must be text, not {value!r}")
        if name in CHOICES and value not in CHOICES[name]:
            allowed = ", ".join(CHOICES[name])
            raise ExperimentError(f"{name} must be one of {allowed}, not {value!r}")

    def _check_whole(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value is None and name in _OPTIONAL:
            return
        if not _is_whole(value) or value < least:
            raise ExperimentError(
                f"{name} must be a whole number of at least {least}, not {value!r}"
            )

    def _check_number(self, name: str, allowed: Callable[[float], bool], what: str) -> None:
        value = getattr(self, name)
        if value is None and name in _OPTIONAL:
            return
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not allowed(value):
            raise ExperimentError(f"{name} must be a number {what}, not {value!r}")

    def _check_switch(self, name: str) -> None:
        value = getattr(self, name)
        if not isinstance(value, bool):
            raise ExperimentError(f"{name} must be true or false, not {value!r}")

    def _check_hidden(self) -> None:
        sizes = self.hidden
        if not isinstance(sizes, tuple) or not all(_is_whole(n) and n >= 1 for n in sizes):
            raise ExperimentError(f"hidden must be whole numbers of at least 1, not {sizes!r}")

    def _check_combinations(self) -> None:
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

    def resolved(self) -> Self:
        """Settle what is not given but follows from other settings, so that it can be kept."""

        def settled(given: float | None, otherwise: float | None) -> Any:  # noqa: ANN401
            return otherwise if given is None else given

        return replace(
            self,
            learning_rate=settled(self.learning_rate, LEARNING_RATES[self.optimizer]),
            weight_decay=settled(self.weight_decay, WEIGHT_DECAYS[self.optimizer]),
            batch_size=settled(self.batch_size, BATCH_SIZES[self.gradient_descent]),
        )

    def to_toml(self) -> str:
        """Return the settings as a configuration file; those that are None are left out."""
        lines = (
            # A JSON value is a TOML value, but for the one control character JSON lets stand.
            f"{name} = {json.dumps(value, ensure_ascii=False)}\n".replace("\x7f", "\\u007f")
            for name, value in asdict(self).items()
            if value is not None
        )
        return "".join(lines)


SETTINGS = tuple(field.name for field in fields(Experiment))
_OPTIONAL = {field.name for field in fields(Experiment) if field.default is None}
_WHOLE_NUMBERS = {
    "threads": 1,
    "epochs": 1,
    "batch_size": 1,
    "decay_every": 1,
    "warmup": 0,
    "seed": 0,
}
_POSITIVE = (lambda value: 0 < value < math.inf, "above 0")
_NOT_NEGATIVE = (lambda value: 0 <= value < math.inf, "of at least 0")
_SHARE = (lambda value: 0 <= value < 1, "of at least 0 and below 1")
_NUMBERS: dict[str, tuple[Callable[[float], bool], str]] = {
    "dropout": _SHARE,
    "learning_rate": _POSITIVE,
    "momentum": _SHARE,
    "weight_decay": _NOT_NEGATIVE,
    "clip_norm": _POSITIVE,
    "decay_factor": _POSITIVE,
    "validation": _SHARE,
}


def read_settings(path: str | Path) -> dict[str, Any]:
    """Return what a configuration file sets, for `Experiment`.

    Raises
    ------
    ExperimentError
        It is no TOML, or has a key that is no setting.
    OSError

    """
    try:
        settings = tomllib.loads(Path(path).read_bytes().decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path} is no TOML file: {error}") from error
    unknown = [key for key in settings if key not in SETTINGS]
    if unknown:
        raise ExperimentError(
            f"{path} has the unknown key {', '.join(unknown)}; allowed are {', '.join(SETTINGS)}"
        )
    return settings


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
