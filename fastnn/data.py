"""Samples on their way into a step: checked once, then taken batch by batch."""

import numpy as np
import numpy.typing as npt

from fastnn.checks import check_whole
from fastnn.kernels.arrays import check_numbers
from fastnn.kernels.interface import Array
from fastnn.losses import Loss, Targets
from fastnn.plan import Plan
from fastnn.scaled import ScaledBytes

Inputs = Array | ScaledBytes

GRADIENT_DESCENTS = ("batch", "mini-batch", "stochastic")
BATCH_SIZE = 32  # of a mini-batch, if none is given


class Batches:
    """Samples in an order, cut into batches, the last of which may be smaller.

    Parameters
    ----------
    x : ndarray or ScaledBytes, of shape (samples, n_in)
    targets : ndarray of as many rows or labels
    batch_size : int

    Attributes
    ----------
    order : ndarray of int64, shape (samples,)
    sizes : tuple of (int, int)
        How many samples a batch has, and how many such batches follow.

    """

    def __init__(self, x: Inputs, targets: Targets, batch_size: int) -> None:
        self.x, self.targets = x, targets
        whole, rest = divmod(len(x), batch_size)
        self.sizes = tuple(
            (size, times) for size, times in ((batch_size, whole), (rest, 1)) if size and times
        )
        self._sorted = np.arange(len(x))
        self.order = self._sorted.copy()
        self._start = np.zeros(1, np.int64)  # where in the order the next batch begins

    def __len__(self) -> int:
        return len(self.order)

    def plan(self, plan: Plan, size: int) -> tuple[Array, Targets]:
        """Write down how the next batch is taken; return its inputs and targets.

        A batch of all samples is in their own order; where they are floats, it is `x` itself.
        """
        if size == len(self) and not isinstance(self.x, ScaledBytes):
            return self.x, self.targets
        batch = plan.zeros(size, self.x.shape[1])
        targets = np.zeros((size, *self.targets.shape[1:]), self.targets.dtype)
        with plan.section("batch"):
            if isinstance(self.x, ScaledBytes):
                plan.call("take_bytes", self.x.values, self.order, self._start, batch)
            else:
                plan.call("take_rows", self.x, self.order, self._start, batch)
            plan.call("take_rows", self.targets, self.order, self._start, targets)
            plan.call("next_batch", self._start, size)
        return batch, targets

    def restart(self, rng: np.random.Generator | None = None) -> None:
        """Begin with the first batch again, of a new order where there is an `rng` to draw it.

        A single batch needs no order.
        """
        self._start[0] = 0
        if rng is not None and self.sizes != ((len(self), 1),):
            self.order[:] = self._sorted  # as rng.permutation does, without allocating
            rng.shuffle(self.order)


def check_inputs(x: npt.ArrayLike, n_in: int, dtype: np.dtype[np.floating]) -> Array:
    """Return `x` as a C-contiguous array of shape (samples, n_in) and of a dtype.

    Raises
    ------
    ValueError
        The shape does not fit.

    """
    if isinstance(x, ScaledBytes):
        x = x.as_dtype(dtype)  # so that it is divided in that
    x = check_numbers("x", x)
    if x.ndim != 2 or x.shape[1] != n_in:
        raise ValueError(f"x has shape {x.shape}; (samples, {n_in}) is needed")
    return np.ascontiguousarray(x, dtype)


def check_data(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: Loss,
    n_in: int,
    n_out: int,
    dtype: np.dtype[np.floating],
) -> tuple[Inputs, Targets]:
    """Return inputs and targets as a network and a loss compute with them.

    Raises
    ------
    ValueError
        They do not fit the network, the loss or one another, are not finite, or there are none.

    """
    inputs: Inputs
    if isinstance(x, ScaledBytes) and x.shape[1] == n_in:
        inputs = x.as_dtype(dtype)
    else:
        inputs = check_inputs(x, n_in, dtype)
    targets = loss.targets(y, n_out, dtype)
    if len(inputs) != len(targets):
        raise ValueError(f"x has {len(inputs)} samples, y has {len(targets)}")
    if len(inputs) == 0:
        raise ValueError("x has no samples")
    if (
        isinstance(inputs, np.ndarray) and not np.isfinite([inputs.min(), inputs.max()]).all()
    ):  # NaN is both
        raise ValueError("x holds NaN or infinity; finite numbers are needed")
    return inputs, targets


def resolve_batch_size(gradient_descent: str, batch_size: int | None, samples: int) -> int:
    """Return how many samples make one step.

    Raises
    ------
    ValueError
        An unknown name, a size below 1, or a size that contradicts the name.

    """
    if batch_size is not None:
        batch_size = check_whole("batch_size", batch_size, at_least=1)
    sizes = {"batch": samples, "mini-batch": batch_size or BATCH_SIZE, "stochastic": 1}
    if gradient_descent not in sizes:
        allowed = ", ".join(GRADIENT_DESCENTS)
        raise ValueError(f"unknown gradient descent {gradient_descent!r}; there are: {allowed}")
    size = sizes[gradient_descent]
    if batch_size is not None and batch_size != size:
        raise ValueError(
            f"gradient descent {gradient_descent!r} makes a step from {size} of {samples} samples, "
            f"which contradicts batch_size={batch_size}"
        )
    return min(size, samples)
