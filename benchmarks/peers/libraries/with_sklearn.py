"""scikit-learn's multilayer perceptrons; an epoch is one `partial_fit` on the shuffled samples.

Weights, batches and order are those of the others. What can't be equal: the penalty on the weights
is computed although it is 0; and the regressor minimises half of the sum over the outputs of the
squared error, which the learning rate and Adam's epsilon make up for.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

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
    """Return how many times the others' gradient scikit-learn's is."""
    return task.sizes[-1] / 2 if task.regression else 1.0


def train(problem, on_epoch):
    task = problem.task
    model = _model(task, shuffle=False)  # the samples come shuffled
    # The first call builds the model; then it starts again with the weights of the others.
    classes = {} if task.regression else {"classes": np.arange(task.sizes[-1])}
    model.partial_fit(problem.x[: task.batch_size], problem.y[: task.batch_size], **classes)
    del model._optimizer
    for i, (weights, bias) in enumerate(problem.weights):
        model.coefs_[i][...], model.intercepts_[i][...] = weights, bias
    x, y = problem.x, problem.y
    if task.steps > 1:
        x, y = np.empty_like(x), np.empty_like(y)
    for order in problem.orders():
        if task.steps > 1:
            np.take(problem.x, order, axis=0, out=x, mode="clip")
            np.take(problem.y, order, axis=0, out=y, mode="clip")
        model.partial_fit(x, y)
        on_epoch(2 * model.loss_ if task.regression else model.loss_)


def epoch(problem):
    """Train for an epoch in scikit-learn's own order, which needs no second copy of the samples."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        _model(problem.task, shuffle=True, max_iter=1).fit(problem.x, problem.y)
