"""scikit-learn's multilayer perceptrons; an epoch is one `partial_fit` on the shuffled samples.

Weights, batches and order are those of the others. Two things differ: the penalty on the weights is
computed although it is 0, and the regressor minimizes half the squared error summed over the
outputs, which the learning rate and Adam's epsilon make up for.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks.peers.libraries.with_numpy import denormals  # noqa: F401 - computes with NumPy

EPSILON = 1e-8


def _model(task, **settings):
    kind = MLPRegressor if task.regression else MLPClassifier
    scale = _scale(task)
    return kind(
        hidden_layer_sizes=task.sizes[1:-1],
        activation=task.activation,
        solver=task.optimizer,
        alpha=0.0,
        batch_size=task.batch_size,
        learning_rate_init=task.learning_rate / (scale if task.optimizer == "sgd" else 1.0),
        momentum=0.0,
        nesterovs_momentum=False,
        epsilon=EPSILON * scale,
        **settings,
    )


def _scale(task):
    """Return the factor by which scikit-learn's gradient is larger than the others'."""
    return task.sizes[-1] / 2 if task.regression else 1.0


def training(problem, on_epoch):
    task = problem.task
    model = _model(task, shuffle=False)  # the samples come shuffled
    # The first call builds the model, which then starts again with the weights of the others.
    classes = {} if task.regression else {"classes": np.arange(task.sizes[-1])}
    model.partial_fit(problem.x[: task.batch_size], problem.y[: task.batch_size], **classes)
    del model._optimizer
    for i, (weights, bias) in enumerate(problem.weights):
        model.coefs_[i][...], model.intercepts_[i][...] = weights, bias
    x, y = problem.x, problem.y
    if task.steps > 1:
        x, y = np.empty_like(x), np.empty_like(y)
    on_epoch()
    for order in problem.orders():
        if task.steps > 1:
            np.take(problem.x, order, axis=0, out=x, mode="clip")
            np.take(problem.y, order, axis=0, out=y, mode="clip")
        model.partial_fit(x, y)
        on_epoch(2 * model.loss_ if task.regression else model.loss_)


def memory(problem):
    """Train for an epoch in scikit-learn's own order, without a second copy of the samples."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        _model(problem.task, shuffle=True, max_iter=1).fit(problem.x, problem.y)


def process(problem):
    return [sys.executable, str(Path(__file__).with_name("digits_with_sklearn.py"))]
