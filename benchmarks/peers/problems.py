"""The arrays of a task: weights, samples and the order they are taken in, the same for all."""

from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from pathlib import Path

import numpy as np

from .tasks import Task

SEED = 0


@dataclass(frozen=True)
class Problem:
    """A task with its arrays, all float32; labels are int64.

    Attributes
    ----------
    weights : list of (ndarray of shape (n_in, n_out), ndarray of shape (n_out,))
    x : ndarray of shape (samples, n_in)
    y : ndarray of shape (samples,) or (samples, n_out)

    """

    task: Task
    weights: list
    x: np.ndarray
    y: np.ndarray

    def orders(self):
        """Yield the order of the samples in each epoch, the one that `fastnn.fit` draws too."""
        rng = np.random.default_rng(SEED)
        while True:
            if self.task.steps > 1:
                yield rng.permutation(self.task.samples)
            else:
                yield np.arange(self.task.samples)


def load(task, directory):
    """Return the problem of a task, with samples from the files in `directory`."""
    x, y = _samples(task, Path(directory))
    if not len(x) == len(y) == task.samples:
        raise ValueError(f"{task.data} has {len(x):,} samples; {task.samples:,} are needed")
    return Problem(task, initial_weights(task.sizes), x, y)


def initial_weights(sizes):
    """Return Glorot's uniform weights, and biases other than 0, so that mistakes show."""
    rng = np.random.default_rng(SEED)
    layers = []
    for n_in, n_out in pairwise(sizes):
        limit = np.sqrt(6 / (n_in + n_out))
        weights = rng.uniform(-limit, limit, (n_in, n_out)).astype(np.float32)
        layers.append((weights, rng.uniform(-0.1, 0.1, n_out).astype(np.float32)))
    return layers


def _samples(task, directory):
    n_in, n_out = task.sizes[0], task.sizes[-1]
    rng = np.random.default_rng(SEED)
    if task.data == "noise":
        labels = rng.integers(n_out, size=task.samples)
        return rng.standard_normal((task.samples, n_in)).astype(np.float32), labels
    if task.data == "matrices":
        return _matrices(rng, task.samples, n_in, n_out)
    x = np.load(directory / f"{task.data}-x.npy", mmap_mode="r")[: task.samples]
    return np.array(x), np.load(directory / f"{task.data}-y.npy")[: task.samples]


def _matrices(rng, samples, n_in, n_out):
    """Return 2×2 matrices and their exponentials; noise where the sizes are others."""
    x = rng.standard_normal((samples, n_in))
    if (n_in, n_out) != (4, 4):
        return x.astype(np.float32), rng.standard_normal((samples, n_out)).astype(np.float32)
    matrices = x.reshape(-1, 2, 2) / 2
    # The exponential series by Horner's scheme.
    y = reduce(lambda y, k: np.eye(2) + matrices @ y / k, range(20, 0, -1), np.eye(2))
    return matrices.reshape(-1, 4).astype(np.float32), y.reshape(-1, 4).astype(np.float32)
