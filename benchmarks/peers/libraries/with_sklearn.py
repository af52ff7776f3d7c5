"""scikit-learn's multilayer perceptrons; an epoch is one `partial_fit` on the shuffled samples.

Weights, batches and order are those of the others. What can't be equal: the penalty on the weights
is computed although it is 0; and the regressor minimises half of the sum over the outputs of the
squared error, which the learning rate and Adam's epsilon make up for.
"""

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

EPSILON = 1e-8


def train(problem, on_epoch):
    task = problem.task
    n_out = task.sizes[-1]
    scale = n_out / 2 if task.regression else 1.0  # of their gradient to the others'
    kind = MLPRegressor if task.regression else MLPClassifier
    model = kind(
        hidden_layer_sizes=task.sizes[1:-1],
        activation=task.activation,
        solver=task.optimizer,
        alpha=0.0,
        batch_size=task.batch_size,
        learning_rate_init=task.learning_rate / (scale if task.optimizer == "sgd" else 1.0),
        shuffle=False,  # the samples come shuffled
        momentum=0.0,
        nesterovs_momentum=False,
        epsilon=EPSILON * scale,
    )
    # The first call builds the model; then it starts again with the weights of the others.
    classes = {} if task.regression else {"classes": np.arange(n_out)}
    model.partial_fit(problem.x[: task.batch_size], problem.y[: task.batch_size], **classes)
    del model._optimizer
    for i, (weights, bias) in enumerate(problem.weights):
        model.coefs_[i][...], model.intercepts_[i][...] = weights, bias
    for order in problem.orders():
        if task.steps > 1:
            model.partial_fit(problem.x[order], problem.y[order])
        else:
            model.partial_fit(problem.x, problem.y)
        on_epoch(2 * model.loss_ if task.regression else model.loss_)
