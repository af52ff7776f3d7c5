"""Compare a network's gradients with central differences of its loss, in float64."""

import numpy as np

from fastnn import Sequential
from fastnn.engine import Execution

STEP = 1e-6
TOLERANCE = 1e-7


def loss_and_gradient(net, loss, x, y):
    """Return the mean loss, and run the backward pass, but no update."""
    targets = loss.targets(y, net.n_out, net.dtype)
    totals = np.zeros(3)
    plan = net.training_plan()
    net.plan_gradients(plan, net.check_inputs(x), targets, loss, totals)
    execution = Execution(plan)
    # Either compiled code runs all of it, or Python the products at least.
    assert (execution.program is not None) == (net.kernel.prepare is not None)
    execution.run()
    return totals[0] / len(x)


def largest_error(net: Sequential, loss, x, y) -> float:
    """Return the largest difference between a gradient and its estimate, relative to 1."""
    loss_and_gradient(net, loss, x, y)
    gradient = net.gradients.flat.copy()
    weights = net.parameters.flat
    estimate = np.empty_like(gradient)
    for i in range(weights.size):
        middle = weights[i]
        weights[i] = middle + STEP
        above = loss_and_gradient(net, loss, x, y)
        weights[i] = middle - STEP
        below = loss_and_gradient(net, loss, x, y)
        weights[i] = middle
        estimate[i] = (above - below) / (2 * STEP)
    return float(np.max(np.abs(gradient - estimate) / np.maximum(1, np.abs(estimate))))
