"""FastNN: a neural network small enough to read, on a matrix product that can be swapped."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastnn.callbacks import Checkpoint, CSVLogger, EarlyStopping, TerminateOnNaN
    from fastnn.history import Epoch, Evaluation, History
    from fastnn.inference import Predictor
    from fastnn.layers import Dense, Dropout, Layer, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
    from fastnn.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
    from fastnn.network import Sequential
    from fastnn.objective import Objective
    from fastnn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
    from fastnn.scaled import ScaledBytes
    from fastnn.training import StopTraining, Training, evaluate, fit

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "CSVLogger",
    "Checkpoint",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "Epoch",
    "Evaluation",
    "History",
    "Layer",
    "LeakyReLU",
    "Loss",
    "MeanSquaredError",
    "Objective",
    "Optimizer",
    "Predictor",
    "RMSprop",
    "ReLU",
    "ScaledBytes",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "TerminateOnNaN",
    "StopTraining",
    "Tanh",
    "Training",
    "evaluate",
    "fit",
]

_MODULES = (
    *("callbacks", "history", "inference", "layers", "losses", "network", "objective"),
    *("optimizers", "scaled", "training"),
)


def __getattr__(name: str) -> object:
    """Import what is asked for: the command line's help need not wait for Numba."""
    if name in __all__:
        for module in _MODULES:
            names = vars(import_module(f"fastnn.{module}"))
            if name in names:
                globals()[name] = names[name]
                return names[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
