"""Losses and their gradients with respect to the network's outputs, one op each.

Every op adds to ``totals = [loss, correct, finite_steps]``: the sum over the batch of the
loss of a sample, the number of samples answered correctly, and the number of steps up to
the first whose loss was not finite. An epoch's mean loss is then one division, a last, smaller
batch included, and a run that diverges can say at which step. ``totals`` is float64 whatever
the dtype of the network is.
"""

import math

import numpy as np

from fastnn.kernels.arrays import Integers
from fastnn.kernels.interface import Array
from fastnn.kernels.ops.functions import exp, log, log1p
from fastnn.kernels.ops.parts import exponentiate, largest, subtract_largest, sum_of
from fastnn.kernels.runtime.compiling import compiled, inlined
from fastnn.kernels.runtime.intrinsics import add_in_lanes


@inlined
def _add(totals: Array, loss: float, correct: float) -> None:
    totals[0] += loss
    totals[1] += correct
    if math.isfinite(totals[0]):
        totals[2] += 1


@compiled
def count_finite_step(totals: Array) -> None:
    """Count a step up to the first whose loss is not finite, after a loss of a user's own."""
    if math.isfinite(totals[0]):
        totals[2] += 1


@inlined
def _answer(row: Array) -> int:
    """Return the place of the largest element, the first of equals; of the first NaN, if any."""
    top = largest(row)
    place: int = row.size
    nan: int = row.size
    for j in range(row.size):
        place = min(place, j if row[j] == top else row.size)
        nan = min(nan, j if row[j] != row[j] else row.size)
    return nan if nan < row.size else place


@inlined
def _normalize(y: Array, scale: np.floating) -> float:
    """Make each row sum to `scale`; return the sum of the logarithms of the former sums.

    Those sums lie between 1 and the length of a row, so that the product of 16 of them is
    within the range of float64, and one logarithm serves 16 rows.
    """
    logarithms, product = 0.0, 1.0
    for i in range(y.shape[0]):
        total = sum_of(y[i])
        product *= float(total)
        if i % 16 == 15:
            logarithms += log(product)
            product = 1.0
        factor = scale / total
        for j in range(y.shape[1]):
            y[i, j] *= factor
    return logarithms + log(product)


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
    m = len(logits)
    scale = logits.dtype.type(1) / logits.dtype.type(m)
    subtract_largest(logits, d_logits)
    loss, correct = 0.0, 0
    for i in range(m):
        loss -= d_logits[i, labels[i]]
        correct += _answer(logits[i]) == labels[i]
    exponentiate(d_logits)
    loss += _normalize(d_logits, scale)
    for i in range(m):
        d_logits[i, labels[i]] -= scale
    _add(totals, loss, correct)


@compiled
def softmax_cross_entropy_one_hot(
    logits: Array, targets: Array, totals: Array, d_logits: Array
) -> None:
    """Categorical cross-entropy on softmax, for one-hot targets or any distribution.

    As `softmax_cross_entropy`, with ``targets[m, n]`` whose rows sum to 1: the loss of a
    sample is ``-sum(t * log p)``, the gradient ``(p - t) / m``.
    """
    m, n = logits.shape
    zero = logits.dtype.type(0)
    scale = logits.dtype.type(1) / logits.dtype.type(m)
    subtract_largest(logits, d_logits)
    loss, correct = 0.0, 0
    for i in range(m):
        inner = zero
        for j in range(n):  # 0 · log p is 0, for p = 0 too
            term = targets[i, j] * d_logits[i, j] if targets[i, j] != zero else zero
            inner = add_in_lanes(inner, term)
        loss -= float(inner)
        correct += _answer(logits[i]) == _answer(targets[i])
    exponentiate(d_logits)
    loss += _normalize(d_logits, scale)
    for i in range(m):
        for j in range(n):
            d_logits[i, j] -= scale * targets[i, j]
    _add(totals, loss, correct)


@compiled
def binary_cross_entropy(logits: Array, targets: Array, totals: Array, d_logits: Array) -> None:
    """Binary cross-entropy on the sigmoid, the mean over every element.

    The loss of an element, ``-t log p - (1 - t) log(1 - p)`` with ``p = sigmoid(z)``, is
    computed as ``|z| · (1 - t if z >= 0 else t) + log(1 + exp(-|z|))``; its gradient is ``p - t``.
    An infinite score costs nothing where it is right, and is infinitely wrong elsewhere.
    """
    m, n = logits.shape
    scale = logits.dtype.type(1) / logits.dtype.type(m * n)
    zero, half, one = logits.dtype.type(0), logits.dtype.type(0.5), logits.dtype.type(1)
    z, t, dz = logits.reshape(-1), targets.reshape(-1), d_logits.reshape(-1)
    loss, correct = 0.0, 0
    for i in range(z.size):
        e = exp(-abs(z[i]))
        wrong = one - t[i] if z[i] >= zero else t[i]
        far = wrong * abs(z[i]) if wrong != zero else zero  # 0 · ∞ is 0
        loss = add_in_lanes(loss, far + log1p(e))
        correct += (z[i] > zero) == (t[i] > half)
        dz[i] = scale * ((one if z[i] >= zero else e) / (one + e) - t[i])
    _add(totals, loss / n, correct / n)


@compiled
def mean_squared_error(outputs: Array, targets: Array, totals: Array, d_outputs: Array) -> None:
    """``mean((y - t)²)`` over every element; its gradient is ``2 (y - t) / (m n)``."""
    m, n = outputs.shape
    scale = outputs.dtype.type(2) / outputs.dtype.type(m * n)
    y, t, dy = outputs.reshape(-1), targets.reshape(-1), d_outputs.reshape(-1)
    loss = 0.0
    for i in range(y.size):
        error = y[i] - t[i]
        loss = add_in_lanes(loss, error * error)
        dy[i] = scale * error
    _add(totals, loss / n, 0)
