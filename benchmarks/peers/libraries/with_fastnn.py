"""FastNN, through its public interface."""

import time
from functools import cache
from itertools import chain

import numpy as np

from benchmarks.peers.problems import SEED
from fastnn import (
    SGD,
    Adam,
    Dense,
    MeanSquaredError,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
)
from fastnn import fit as fastnn_fit
from fastnn.environment import machine
from fastnn.kernels.measuring.ceilings import Crew, FMABurst

ACTIVATIONS = {"relu": ReLU, "tanh": Tanh}
OPTIMIZERS = {"sgd": SGD, "adam": Adam}


def network(problem):
    activation = ACTIVATIONS[problem.task.activation]
    layers = [
        (Dense(*weights.shape, weights=weights, bias=bias), activation())
        for weights, bias in problem.weights
    ]
    return Sequential([*chain.from_iterable(layers)][:-1])


def loss(problem):
    return MeanSquaredError() if problem.task.regression else SoftmaxCrossEntropy()


def _fit(problem, epochs, callbacks):
    task = problem.task
    return fastnn_fit(
        network(problem),
        problem.x,
        problem.y,
        loss=loss(problem),
        optimizer=OPTIMIZERS[task.optimizer](learning_rate=task.learning_rate),
        batch_size=task.batch_size,
        epochs=epochs,
        shuffle=task.steps > 1,
        rng=SEED,
        callbacks=callbacks,
    )


def train(problem, on_epoch):
    # Ended by what `on_epoch` raises.
    _fit(problem, 10**9, [lambda training: on_epoch(training.history[-1].loss)])


def fit(problem):
    """Return a function that trains from the start, and gives the loss of each epoch."""
    return lambda: [epoch.loss for epoch in _fit(problem, problem.task.epochs, [])]


def loss_and_gradient(problem):
    objective = network(problem).objective(problem.x, problem.y, loss=loss(problem))

    def call():
        value, gradient = objective()
        return value, [gradient]

    return call


def inference(problem):
    return network(problem).predictor(problem.task.batch_size)


def about():
    """Return the machine, and the BLAS that NumPy uses on it."""
    return machine()


@cache
def _burst():
    return FMABurst(np.dtype(np.float32), Crew(1))


def fma_peak():
    """Return the multiply-adds of one core as floating-point operations a second, float32."""
    burst = _burst()
    began = time.perf_counter()
    burst()
    return burst.flops / (time.perf_counter() - began)
