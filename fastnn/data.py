"""Samples on their way into a step: checked once, then taken batch by batch."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fastnn.kernels.interface import Array
from fastnn.kernels.ops import elementwise
from fastnn.losses import Loss, Targets
from fastnn.plan import Plan
from fastnn.scaled import ScaledBytes

if TYPE_CHECKING:
    from fastnn.network import Sequential

Inputs = Array | ScaledBytes


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
        batch = plan.empty(size, self.x.shape[1])
        targets = np.empty((size, *self.targets.shape[1:]), self.targets.dtype)
        with plan.section("batch"):
            if isinstance(self.x, ScaledBytes):
                plan.call(elementwise.take_bytes, self.x.values, self.order, self._start, batch)
            else:
                plan.call(elementwise.take_rows, self.x, self.order, self._start, batch)
            plan.call(elementwise.take_rows, self.targets, self.order, self._start, targets)
            plan.call(elementwise.next_batch, self._start, size)
        return batch, targets

    def restart(self, rng: np.random.Generator | None = None) -> None:
        """Begin with the first batch again, of a new order where there is an `rng` to draw it.

        A single batch needs no order.
        """
        self._start[0] = 0
        if rng is not None and self.sizes != ((len(self), 1),):
            self.order[:] = self._sorted  # as rng.permutation has it, but nothing is allocated
            rng.shuffle(self.order)


def check_data(
    net: "Sequential", loss: Loss, x: npt.ArrayLike, y: npt.ArrayLike
) -> tuple[Inputs, Targets]:
    """Return inputs and targets as the network and the loss compute with them.

    Raises
    ------
    ValueError
        They do not fit the network, the loss or one another, are not finite, or there are none.

    """
    as_bytes = isinstance(x, ScaledBytes) and x.dtype == net.dtype and x.shape[1] == net.n_in
    inputs: Inputs = x if as_bytes else net.check_inputs(x)  # type: ignore[assignment]
    targets = loss.targets(y, net.n_out, net.dtype)
    if len(inputs) != len(targets):
        raise ValueError(f"x has {len(inputs)} samples, y has {len(targets)}")
    if len(inputs) == 0:
        raise ValueError("x has no samples")
    if not as_bytes and not np.isfinite([inputs.min(), inputs.max()]).all():  # NaN is both
        raise ValueError("x holds NaN or infinity; finite numbers are needed")
    return inputs, targets
