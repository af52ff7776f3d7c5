"""A loss and its gradient as a function of a network's parameters, for minimizers of all kinds."""

import numpy as np
import numpy.typing as npt

from fastnn.engine import Execution
from fastnn.kernels.interface import Array
from fastnn.kernels.runtime.denormals import flushed
from fastnn.parameters import Parameters
from fastnn.plan import Plan


class Objective:
    """The mean loss of a network on fixed samples, and the gradient of that.

    The samples are one batch. Layers that act in training only are left out. Not to be called by
    several threads at once, since all write the network's gradients.

    Parameters
    ----------
    plan : Plan
        Forward pass, loss and backward pass on the samples.
    totals : ndarray of float64, shape (3,)
        What the loss of the plan adds to.
    samples : int
    parameters, gradients : Parameters
        The network's own.

    Examples
    --------
    >>> objective = net.objective(x, y, loss=SoftmaxCrossEntropy())
    >>> loss, gradient = objective()

    """

    def __init__(
        self,
        plan: Plan,
        totals: npt.NDArray[np.float64],
        samples: int,
        parameters: Parameters,
        gradients: Parameters,
        *,
        flush_denormals: bool = True,
    ) -> None:
        self._samples, self._totals = samples, totals
        self._parameters, self._gradients = parameters.flat, gradients.flat
        self._execution = Execution(plan)
        self._flush_denormals = flush_denormals

    def __call__(
        self, parameters: npt.ArrayLike | None = None, *, out: Array | None = None
    ) -> tuple[float, Array]:
        """Return the loss and its gradient.

        Parameters
        ----------
        parameters : array-like, shaped as ``net.parameters.flat``, optional
            Become the network's own; those it has where not given.
        out : ndarray, shaped as ``net.parameters.flat``, optional
            Is filled with the gradient and returned, which saves a new array.

        Returns
        -------
        loss : float
        gradient : ndarray, shaped as ``net.parameters.flat``
            `out`, or a new array.

        Raises
        ------
        ValueError
            `parameters` or `out` has another shape.

        """
        if parameters is not None:
            self._parameters[:] = self._checked("parameters", np.asarray(parameters))
        gradient = np.empty_like(self._gradients) if out is None else self._checked("out", out)
        self._totals[0] = 0
        with flushed(self._flush_denormals):
            self._execution.run()
        gradient[:] = self._gradients
        return float(self._totals[0]) / self._samples, gradient

    def _checked(self, name: str, vector: Array) -> Array:
        if vector.shape != self._parameters.shape:
            raise ValueError(
                f"{name} has shape {vector.shape}; {self._parameters.shape} is needed, one number "
                "for each parameter of the network"
            )
        return vector
