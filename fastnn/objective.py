"""A loss and its gradient as a function of a network's parameters, for minimisers of all kinds."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fastnn.data import check_data
from fastnn.kernels.interface import Array
from fastnn.losses import Loss
from fastnn.plan import Plan

if TYPE_CHECKING:
    from fastnn.network import Sequential


class Objective:
    """The mean loss of a network on fixed samples, and the gradient of that.

    The samples are one batch. Layers that act in training only are left out. Not to be called by
    several threads at once, since all write the network's gradients.

    Parameters
    ----------
    net : Sequential
    x, y : array-like
        Samples, of which x is not copied where it is an array of the network's dtype.
    loss : Loss

    Examples
    --------
    >>> objective = net.objective(x, y, loss=SoftmaxCrossEntropy())
    >>> loss, gradient = objective()

    """

    def __init__(self, net: "Sequential", x: npt.ArrayLike, y: npt.ArrayLike, loss: Loss) -> None:
        inputs, targets = check_data(net, loss, x, y)
        self._samples = len(inputs)
        self._parameters, self._gradients = net.parameters.flat, net.gradients.flat
        self._totals = np.zeros(3)
        self._plan = Plan(net.kernel, net.dtype)
        net.plan_gradients(self._plan, np.asarray(inputs), targets, loss, self._totals)

    def __call__(self, parameters: npt.ArrayLike | None = None) -> tuple[float, Array]:
        """Return the loss and its gradient.

        Parameters
        ----------
        parameters : array-like, shaped as ``net.parameters.flat``, optional
            Become the network's own; those it has where not given.

        Returns
        -------
        loss : float
        gradient : ndarray, shaped as ``net.parameters.flat``
            ``net.gradients.flat`` itself, which the next call overwrites: copy what is to be kept.

        """
        if parameters is not None:
            self._parameters[:] = parameters
        self._totals[0] = 0
        self._plan.run()
        return float(self._totals[0]) / self._samples, self._gradients
