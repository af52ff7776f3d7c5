"""Huber's loss: squares of small errors, and no more than the size of large ones."""

from fastnn import Loss, op


@op
def huber(outputs, targets, totals, d_outputs):
    m, n = outputs.shape
    for i in range(m):
        for j in range(n):
            error = outputs[i, j] - targets[i, j]
            slope = min(max(error, -1.0), 1.0)
            totals[0] += slope * (error - slope / 2) / n
            d_outputs[i, j] = slope / (m * n)


class Huber(Loss):
    op = huber
    has_accuracy = False
