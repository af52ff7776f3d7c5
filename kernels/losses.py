"""Losses and their gradients with respect to the network's outputs, one fused pass each.

Every pass adds to ``totals = [loss, correct, finite_steps]``: the sum over the batch of the
loss of a sample, the number of samples answered rightly, and the number of steps up to the
first whose loss was not finite. An epoch's mean loss is then one division, a last, smaller
batch included, and a run that broke can say at which step. ``totals`` is float64 whatever
the dtype of the network is; see `kernels.elementwise` for the rest of the contract.
"""

import math

import numpy as np

from kernels.elementwise import Integers, compiled, logistic
from kernels.interface import Array


@compiled
def _add(totals: Array, loss: float, correct: float) -> None:
    totals[0] += loss
    totals[1] += correct
    if math.isfinite(totals[0]):
        totals[2] += 1


@compiled
def softmax_cross_entropy(logits: Array, labels: Integers, totals: Array, d_logits: Array) -> None:
    """Categorical cross-entropy on softmax, for integer labels.

    With ``p = softmax(z)`` the loss of a sample is ``-log p[label]``, computed as
    ``log(sum(exp(z - max))) - (z[label] - max)`` so that nothing overflows and no logarithm
    sees 0. The gradient is ``(p - onehot(label)) / m``: softmax and logarithm cancel.

    Parameters
    ----------
    logits : ndarray of shape (m, n)
    labels : ndarray of int64, shape (m,), each in ``0 … n - 1``
    totals : ndarray of float64, shape (3,)
    d_logits : ndarray of shape (m, n)
        The gradient of the batch's mean loss.

    """
    m, n = logits.shape
    scale = logits.dtype.type(1) / logits.dtype.type(m)
    loss, correct = 0.0, 0
    for i in range(m):
        label = labels[i]
        largest = logits[i].max()
        total = logits.dtype.type(0)
        for j in range(n):
            d_logits[i, j] = np.exp(logits[i, j] - largest)
            total += d_logits[i, j]
        loss += math.log(total) - (logits[i, label] - largest)
        correct += logits[i].argmax() == label
        for j in range(n):
            d_logits[i, j] *= scale / total
        d_logits[i, label] -= scale
    _add(totals, loss, correct)


@compiled
def softmax_cross_entropy_dense(
    logits: Array, targets: Array, totals: Array, d_logits: Array
) -> None:
    """Categorical cross-entropy on softmax, for one-hot targets or any distribution.

    As `softmax_cross_entropy`, with ``targets[m, n]`` whose rows sum to 1: the loss of a
    sample is ``-sum(t * log p)``, the gradient ``(p - t) / m``.
    """
    m, n = logits.shape
    scale = logits.dtype.type(1) / logits.dtype.type(m)
    loss, correct = 0.0, 0
    for i in range(m):
        largest = logits[i].max()
        total = logits.dtype.type(0)
        for j in range(n):
            d_logits[i, j] = np.exp(logits[i, j] - largest)
            total += d_logits[i, j]
        log_total = math.log(total)
        for j in range(n):
            if targets[i, j] != 0:  # 0 · log p is 0, for p = 0 too
                loss += targets[i, j] * (log_total - (logits[i, j] - largest))
            d_logits[i, j] = scale * (d_logits[i, j] / total - targets[i, j])
        correct += logits[i].argmax() == targets[i].argmax()
    _add(totals, loss, correct)


@compiled
def binary_cross_entropy(logits: Array, targets: Array, totals: Array, d_logits: Array) -> None:
    """Binary cross-entropy on the sigmoid, the mean over every element.

    The loss of an element, ``-t log p - (1 - t) log(1 - p)`` with ``p = sigmoid(z)``, is
    computed as ``max(z, 0) - t z + log(1 + exp(-|z|))``; its gradient is ``p - t``.
    """
    m, n = logits.shape
    scale = logits.dtype.type(1) / logits.dtype.type(m * n)
    zero, half = logits.dtype.type(0), logits.dtype.type(0.5)
    loss, correct = 0.0, 0
    for i in range(m):
        for j in range(n):
            z, t = logits[i, j], targets[i, j]
            loss += (zero if z < zero else z) - t * z + math.log1p(math.exp(-abs(z)))
            correct += (z > zero) == (t > half)
            d_logits[i, j] = scale * (logistic(z) - t)
    _add(totals, loss / n, correct / n)


@compiled
def mean_squared_error(outputs: Array, targets: Array, totals: Array, d_outputs: Array) -> None:
    """``mean((y - t)²)`` over every element; its gradient is ``2 (y - t) / (m n)``."""
    m, n = outputs.shape
    scale = outputs.dtype.type(2) / outputs.dtype.type(m * n)
    loss = 0.0
    for i in range(m):
        for j in range(n):
            error = outputs[i, j] - targets[i, j]
            loss += error * error
            d_outputs[i, j] = scale * error
    _add(totals, loss / n, 0)
