"""NumPy by hand: everything allocated once, ``out=`` and in place, one flat parameter vector.

Kept since they were the fastest: ``take`` with ``mode="clip"``, the only mode that writes to `out`
without a copy; sums as products with ones; updates of the whole vector, call by call, which
cache-sized pieces did not speed up.
"""

from functools import partial
from itertools import count, pairwise

import numpy as np

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class Network:
    """Parameters, gradients and the buffers for one batch size."""

    def __init__(self, problem, batch_size):
        self.task = problem.task
        sizes = self.task.sizes
        count = sum(a * b + b for a, b in pairwise(sizes))
        self.parameters, self.gradients = np.empty((2, count), np.float32)
        self.layers, self.d_layers = _views(self.parameters, sizes), _views(self.gradients, sizes)
        for views, values in zip(self.layers, problem.weights, strict=True):
            for view, value in zip(views, values, strict=True):
                view[...] = value
        # outputs[0] is the batch.
        self.outputs = [np.empty((batch_size, n), np.float32) for n in sizes]
        self.d_outputs = [np.empty((batch_size, n), np.float32) for n in sizes]
        self.masks = [np.empty((batch_size, n), bool) for n in sizes]
        self.ones = np.ones(batch_size, np.float32)
        self.ones_out = np.ones((sizes[-1], 1), np.float32)
        self.rows = np.arange(batch_size)
        self.column = np.empty((batch_size, 1), np.float32)

    def forward(self, x):
        """Return the scores, in a buffer that the next call overwrites."""
        last = len(self.layers) - 1
        for i, (weights, bias) in enumerate(self.layers):
            out = self.outputs[i + 1]
            np.matmul(x if i == 0 else self.outputs[i], weights, out=out)
            out += bias
            if i < last and self.task.activation == "relu":
                np.maximum(out, 0, out=out)
            elif i < last:
                np.tanh(out, out=out)
        return out

    def loss(self, targets):
        """Return the sum of the losses, and leave the gradient of their mean in d_outputs."""
        scores, gradient = self.outputs[-1], self.d_outputs[-1]
        if self.task.regression:
            np.subtract(scores, targets, out=gradient)
            total = float(np.vdot(gradient, gradient)) / scores.shape[1]
            gradient *= 2 / gradient.size
            return total
        np.maximum.reduce(scores, axis=1, keepdims=True, out=self.column)
        scores -= self.column
        chosen = float(scores[self.rows, targets].sum())
        np.exp(scores, out=gradient)
        np.matmul(gradient, self.ones_out, out=self.column)
        gradient /= self.column
        gradient[self.rows, targets] -= 1
        gradient *= 1 / len(gradient)
        return float(np.log(self.column).sum()) - chosen

    def backward(self, x):
        for i in reversed(range(len(self.layers))):
            d_out = self.d_outputs[i + 1]
            d_weights, d_bias = self.d_layers[i]
            np.matmul((x if i == 0 else self.outputs[i]).T, d_out, out=d_weights)
            np.dot(self.ones, d_out, out=d_bias)
            if i > 0:
                np.matmul(d_out, self.layers[i][0].T, out=self.d_outputs[i])
                self._through_activation(i)

    def _through_activation(self, i):
        y, gradient = self.outputs[i], self.d_outputs[i]
        if self.task.activation == "relu":
            np.greater(y, 0, out=self.masks[i])
            np.multiply(gradient, self.masks[i], out=gradient)
        else:
            np.multiply(y, y, out=y)
            np.subtract(1, y, out=y)
            gradient *= y


def _views(flat, sizes):
    views, start = [], 0
    for n_in, n_out in pairwise(sizes):
        stop = start + n_in * n_out
        views.append((flat[start:stop].reshape(n_in, n_out), flat[stop : stop + n_out]))
        start = stop + n_out
    return views


def _sgd(parameters, gradients, learning_rate):
    rate = np.float32(learning_rate)

    def update(step):
        np.multiply(gradients, rate, out=gradients)
        np.subtract(parameters, gradients, out=parameters)

    return update


def _adam(parameters, gradients, learning_rate):
    mean, square, buffer = np.zeros((3, parameters.size), np.float32)

    def update(step):
        # Both corrections in the rate and in epsilon, as at the end of section 2 of the paper.
        root = np.sqrt(1 - BETA_2**step)
        np.multiply(gradients, np.float32(1 - BETA_1), out=buffer)
        np.multiply(mean, np.float32(BETA_1), out=mean)
        np.add(mean, buffer, out=mean)
        np.multiply(gradients, gradients, out=gradients)
        np.multiply(gradients, np.float32(1 - BETA_2), out=gradients)
        np.multiply(square, np.float32(BETA_2), out=square)
        np.add(square, gradients, out=square)
        np.sqrt(square, out=buffer)
        np.add(buffer, np.float32(EPSILON * root), out=buffer)
        np.divide(mean, buffer, out=buffer)
        rate = np.float32(learning_rate * root / (1 - BETA_1**step))
        np.multiply(buffer, rate, out=buffer)
        np.subtract(parameters, buffer, out=parameters)

    return update


OPTIMIZERS = {"sgd": _sgd, "adam": _adam}


def training(problem, on_epoch):
    task = problem.task
    net = Network(problem, task.batch_size)
    update = OPTIMIZERS[task.optimizer](net.parameters, net.gradients, task.learning_rate)
    x, y = problem.x, problem.y
    targets = np.empty((task.batch_size, *y.shape[1:]), y.dtype)
    steps = count(1)
    on_epoch()
    for order in problem.orders():
        total = 0.0
        for start in range(0, task.samples, task.batch_size):
            if task.steps > 1:
                rows = order[start : start + task.batch_size]
                x = np.take(problem.x, rows, axis=0, out=net.outputs[0], mode="clip")
                y = np.take(problem.y, rows, axis=0, out=targets, mode="clip")
            net.forward(x)
            total += net.loss(y)
            net.backward(x)
            update(next(steps))
        on_epoch(total / task.samples)


def denormals():
    return "kept" if np.full(1, 1e-39, np.float32) * np.float32(1) else "flushed"


def gradient(problem):
    net = Network(problem, problem.task.batch_size)
    x, y = problem.x, problem.y

    def call():
        net.forward(x)
        total = net.loss(y)
        net.backward(x)
        return total / len(x), [net.gradients]

    return call


def inference(problem):
    return partial(Network(problem, problem.task.batch_size).forward, problem.x)
