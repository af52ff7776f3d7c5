"""FastNN: a neural network small enough to read, on a matrix product that can be swapped."""

from fastnn.callbacks import Checkpoint, CSVLog, EarlyStopping, StopOnNaN
from fastnn.layers import Dense, Dropout, Layer, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from fastnn.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from fastnn.network import Sequential
from fastnn.optimizers import SGD, Adam, AdamW, Optimizer, RMSProp
from fastnn.training import Epoch, Evaluation, History, StopTraining, Training, evaluate, fit

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "CSVLog",
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
    "Optimizer",
    "RMSProp",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "StopOnNaN",
    "StopTraining",
    "Tanh",
    "Training",
    "evaluate",
    "fit",
]
