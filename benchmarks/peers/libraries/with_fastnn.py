"""FastNN, through its public interface."""

import sys
from functools import cache, partial
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from benchmarks.peers.problems import SEED
from fastnn import SGD, Dense, MeanSquaredError, Sequential, SoftmaxCrossEntropy
from fastnn import fit as fastnn_fit
from fastnn.environment import machine  # noqa: F401 - the worker answers with it
from fastnn.kernels.measuring.ceilings import Crew, FMABurst
from fastnn.kernels.measuring.timing import Stopwatch, repeated
from fastnn.layers import ACTIVATIONS
from fastnn.optimizers import OPTIMIZERS


def network(problem):
    activation = ACTIVATIONS[problem.task.activation]
    layers = [
        (Dense(*weights.shape, weights=weights, bias=bias), activation())
        for weights, bias in problem.weights
    ]
    return Sequential([*chain.from_iterable(layers)][:-1])


def loss(problem):
    return MeanSquaredError() if problem.task.regression else SoftmaxCrossEntropy()


def _fit(problem, epochs, callbacks, **options):
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
        **options,
    )


def training(problem, on_epoch, **options):
    callbacks = [
        SimpleNamespace(on_train_begin=lambda training: on_epoch()),
        lambda training: on_epoch(training.history[-1].loss),
    ]
    _fit(problem, 10**9, callbacks, **options)  # until `on_epoch` raises


def denormals(**options):
    net = Sequential([Dense(1, 1, weights=[[1e-39]], bias=[0.0])])
    one = np.ones((1, 1), np.float32)
    fastnn_fit(net, one, 0 * one, loss="mse", optimizer=SGD(0.1), epochs=1, **options)
    return "kept" if net.parameters.flat[0] else "flushed"


def fit(problem):
    return lambda: [epoch.loss for epoch in _fit(problem, problem.task.epochs, [])]


def gradient(problem):
    objective = network(problem).objective(problem.x, problem.y, loss=loss(problem))

    def call():
        value, gradients = objective()
        return value, [gradients]

    return call


def inference(problem):
    return partial(network(problem).predictor(problem.task.batch_size), problem.x)


def process(problem):
    return [str(Path(sys.executable).with_name("fastnn")), "train"]


def fma_peak():
    """Return the multiply-adds of one core as floating-point operations a second, in float32."""
    burst, watch = _burst()
    return burst.flops / watch()


@cache
def _burst():
    burst = FMABurst(np.dtype(np.float32), Crew(1))
    return burst, Stopwatch(repeated(burst), 0.0)
