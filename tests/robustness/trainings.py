"""A network of 3 classes, its data, and trainings of 4 steps an epoch."""

import numpy as np

from fastnn import Dense, ReLU, Sequential, fit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
Y = (X @ RNG.normal(size=(4, 3))).argmax(axis=1)


def network(**options):
    return Sequential([Dense(4, 8), ReLU(), Dense(8, 3)], **options)


def train(net, optimizer, **options):
    options = {"loss": "cross-entropy", "batch_size": 10, "epochs": 6} | options
    return fit(net, X, Y, optimizer=optimizer, **options)


class After:
    """Does something after an epoch."""

    def __init__(self, epoch, action):
        self.epoch, self.action = epoch, action

    def __call__(self, training):
        if training.history[-1].epoch == self.epoch:
            self.action(training)
