"""The optimizers' updates: ops over the flat vectors of a network's parameters.

Each takes ``w[p]``, all parameters, and ``g[p]``, their gradients, and changes ``w`` and the
optimizer's own vectors in place. ``rate`` is an array of one number, the learning rate of
this step.
"""

import math

import numpy as np

from fastnn.kernels.arrays import Integers
from fastnn.kernels.interface import Array
from fastnn.kernels.runtime.compiling import compiled
from fastnn.kernels.runtime.intrinsics import add_in_lanes


@compiled
def next_rate(ahead: Array, place: Integers, rate: Array) -> None:
    """Take the learning rate of this step from those known ahead: ``rate = ahead[place]``.

    ``place`` moves on, and after the last one back to the first.
    """
    rate[0] = ahead[place[0]]
    place[0] = (place[0] + 1) % ahead.size


@compiled
def next_corrections(steps: Integers, betas: Array, corrections: Array) -> None:
    """Count a step, and set ``corrections = 1 / (1 - betas^steps)`` for `adam`.

    ``betas`` is float64 in any network, since 1 - 0.999 has few digits left in float32.
    """
    steps[0] += 1
    for i in range(betas.size):
        corrections[i] = 1 / (1 - betas[i] ** float(steps[0]))


@compiled
def clip_norm(limit: float, g: Array) -> None:
    """Scale ``g`` down to the Euclidean norm ``limit`` where it is longer."""
    squares = 0.0
    for i in range(g.size):
        squares = add_in_lanes(squares, g[i] * g[i])
    norm = math.sqrt(squares)
    if norm > limit:
        scale = g.dtype.type(limit / norm)
        for i in range(g.size):
            g[i] *= scale


@compiled
def add_weight_decay(w: Array, decay: float, g: Array) -> None:
    """``g += decay * w``: the gradient of the penalty ``decay / 2 * sum(w²)``."""
    for i in range(w.size):
        g[i] += decay * w[i]


@compiled
def decay_weights(rate: Array, decay: float, w: Array) -> None:
    """``w -= rate * decay * w``: weight decay apart from the gradient, as AdamW has it."""
    keep = w.dtype.type(1) - rate[0] * decay
    for i in range(w.size):
        w[i] *= keep


@compiled
def sgd(g: Array, rate: Array, w: Array) -> None:
    """``w -= rate * g``."""
    step = rate[0]
    for i in range(w.size):
        w[i] -= step * g[i]


@compiled
def sgd_momentum(g: Array, rate: Array, momentum: float, velocity: Array, w: Array) -> None:
    """``velocity = momentum * velocity - rate * g``, then ``w += velocity``."""
    step = rate[0]
    for i in range(w.size):
        velocity[i] = momentum * velocity[i] - step * g[i]
        w[i] += velocity[i]


@compiled
def sgd_nesterov(g: Array, rate: Array, momentum: float, velocity: Array, w: Array) -> None:
    """As `sgd_momentum`, but ``w += momentum * velocity - rate * g``: one look ahead."""
    step = rate[0]
    for i in range(w.size):
        velocity[i] = momentum * velocity[i] - step * g[i]
        w[i] += momentum * velocity[i] - step * g[i]


@compiled
def rmsprop(g: Array, rate: Array, rho: float, epsilon: float, square: Array, w: Array) -> None:
    """``square = rho * square + (1 - rho) * g²``, then ``w -= rate * g / (√square + ε)``."""
    step = rate[0]
    one = w.dtype.type(1)
    for i in range(w.size):
        square[i] = rho * square[i] + (one - rho) * g[i] * g[i]
        w[i] -= step * g[i] / (np.sqrt(square[i]) + epsilon)


@compiled
def adam(
    g: Array,
    rate: Array,
    corrections: Array,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    mean: Array,
    square: Array,
    w: Array,
) -> None:
    """Adam (Kingma and Ba, 2015, algorithm 1).

    ``corrections = [1 / (1 - beta_1^t), 1 / (1 - beta_2^t)]`` undo the bias that the two
    running means have from starting at 0.
    """
    step = rate[0]
    one = w.dtype.type(1)
    for i in range(w.size):
        mean[i] = beta_1 * mean[i] + (one - beta_1) * g[i]
        square[i] = beta_2 * square[i] + (one - beta_2) * g[i] * g[i]
        w[i] -= step * mean[i] * corrections[0] / (np.sqrt(square[i] * corrections[1]) + epsilon)
