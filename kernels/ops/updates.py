"""The optimizers' updates: ops over the flat vectors of a network's parameters.

Each takes ``w[p]``, all parameters, and ``g[p]``, their gradients, and changes ``w`` and the
optimizer's own vectors in place. ``rate`` is an array of one number, the learning rate of
this step.

What is derived from other numbers, such as ``1 - beta``, is computed in float64 and rounded once to
the dtype of the network, by the optimizer or here: 1 less a rounded 0.999 is off by the seventh
part of a thousandth.
"""

import math

import numpy as np

from fastnn.kernels.arrays import Integers
from fastnn.kernels.interface import Array
from fastnn.kernels.runtime.compiling import compiled
from fastnn.kernels.runtime.intrinsics import add_in_lanes


@compiled
def next_rate(ahead: Array, place: Integers, exact: Array, rate: Array) -> None:
    """Take the learning rate of this step from those known ahead: ``rate = ahead[place]``.

    ``ahead`` and ``exact``, which holds the rate as well, are float64. ``place`` moves on, and
    after the last one back to the first.
    """
    exact[0] = ahead[place[0]]
    rate[0] = exact[0]
    place[0] = (place[0] + 1) % ahead.size


@compiled
def next_corrections(steps: Integers, betas: Array, exact_rate: Array, factors: Array) -> None:
    """Count a step t, and set the two factors of `adam`: the bias corrections.

    ``factors = [rate / (1 - beta_1^t), 1 / √(1 - beta_2^t)]`` undo the bias that the two running
    means have from starting at 0. All but ``factors`` is float64 in any network.
    """
    steps[0] += 1
    factors[0] = exact_rate[0] / (1 - betas[0] ** float(steps[0]))
    factors[1] = 1 / math.sqrt(1 - betas[1] ** float(steps[0]))


@compiled
def clip_norm(limit: float, g: Array) -> None:
    """Scale ``g`` down to the Euclidean norm ``limit`` where it is longer.

    Where the norm is NaN, so is all of ``g`` then, as in PyTorch.
    """
    squares = 0.0
    for i in range(g.size):
        squares = add_in_lanes(squares, g[i] * g[i])
    norm = math.sqrt(squares)
    if not norm <= limit:
        scale = g.dtype.type(limit / norm)
        for i in range(g.size):
            g[i] *= scale


@compiled
def add_weight_decay(w: Array, decay: float, g: Array) -> None:
    """``g += decay * w``: the gradient of the penalty ``decay / 2 * sum(w²)``."""
    for i in range(w.size):
        g[i] += decay * w[i]


@compiled
def decay_weights(exact_rate: Array, decay: Array, w: Array) -> None:
    """``w -= rate * decay * w``: weight decay apart from the gradient, as AdamW has it.

    ``exact_rate`` and ``decay`` are float64 in any network.
    """
    keep = w.dtype.type(1 - exact_rate[0] * decay[0])
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
def rmsprop(
    g: Array, rate: Array, rho: float, rest: float, epsilon: float, square: Array, w: Array
) -> None:
    """``square = rho * square + (1 - rho) * g²``, then ``w -= rate * g / (√square + ε)``.

    ``rest`` is ``1 - rho``.
    """
    step = rate[0]
    for i in range(w.size):
        square[i] = rho * square[i] + rest * g[i] * g[i]
        w[i] -= step * g[i] / (np.sqrt(square[i]) + epsilon)


@compiled
def adam(
    g: Array,
    factors: Array,
    rest_1: float,
    beta_2: float,
    rest_2: float,
    epsilon: float,
    mean: Array,
    square: Array,
    w: Array,
) -> None:
    """Adam (Kingma and Ba, 2015, algorithm 1), with the corrections of `next_corrections`.

    ``rest_1`` and ``rest_2`` are ``1 - beta_1`` and ``1 - beta_2``.
    """
    for i in range(w.size):
        mean[i] += rest_1 * (g[i] - mean[i])
        square[i] = beta_2 * square[i] + rest_2 * g[i] * g[i]
        w[i] -= factors[0] * mean[i] / (np.sqrt(square[i]) * factors[1] + epsilon)
