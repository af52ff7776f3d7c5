from .callbacks import Checkpoint, CSVLogger, EarlyStopping, TerminateOnNaN
from .checkpoint import load_network, save_network
from .engine import op
from .history import Epoch, Evaluation, History
from .inference import Predictor
from .initializers import (
    Constant,
    Given,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    RandomNormal,
    RandomUniform,
    Zeros,
)
from .layers import Activation, Dense, Dropout, Layer, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from .losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from .network import Sequential
from .objective import Objective
from .optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from .plan import Plan
from .scaled import ScaledBytes
from .schedules import ConstantRate, CosineDecay, StepDecay, WarmUp
from .study.profile import profile
from .training import StopTraining, Training, evaluate, fit

__version__: str

__all__ = [
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "CSVLogger",
    "Checkpoint",
    "Constant",
    "ConstantRate",
    "CosineDecay",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "Epoch",
    "Evaluation",
    "Given",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "History",
    "Layer",
    "LeakyReLU",
    "Loss",
    "MeanSquaredError",
    "Objective",
    "Optimizer",
    "Plan",
    "Predictor",
    "RMSprop",
    "RandomNormal",
    "RandomUniform",
    "ReLU",
    "ScaledBytes",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "StepDecay",
    "StopTraining",
    "Tanh",
    "TerminateOnNaN",
    "Training",
    "WarmUp",
    "Zeros",
    "evaluate",
    "fit",
    "load_network",
    "op",
    "profile",
    "save_network",
]
