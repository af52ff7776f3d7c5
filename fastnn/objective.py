"""A loss and its gradient as a function of a network's parameters, for minimizers of all kinds."""

import numpy as np
import numpy.typing as npt

from fastnn.engine import Execution
from fastnn.kernels.arrays import check_numbers
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
            `parameters` or `out` has another shape, `parameters` are not real numbers, or `out` is
            of another dtype, read-only or the network's own parameters.

        """
        gradient = np.empty_like(self._gradients) if out is None else self._checked_out(out)
        if parameters is not None:
            values = check_numbers("parameters", parameters)
            self._check_shape("parameters", values)
            self._parameters[:] = values
        self._totals[0] = 0
        with flushed(self._flush_denormals):
            self._execution.run()
        gradient[:] = self._gradients
        return float(self._totals[0]) / self._samples, gradient

    def _checked_out(self, out: Array) -> Array:
        if not isinstance(out, np.ndarray) or out.dtype != self._gradients.dtype:
            raise ValueError(f"out must be an array of {self._gradients.dtype}, not {out!r}")
        self._check_shape("out", out)
        if not out.flags.writeable or np.may_share_memory(out, self._parameters):
            raise ValueError("out is read-only, or shares memory with the network's parameters")
        return out

    def _check_shape(self, name: str, vector: npt.NDArray[np.generic]) -> None:
        if vector.shape != self._parameters.shape:
            raise ValueError(
                f"{name} has shape {vector.shape}; {self._parameters.shape} is needed, one number "
                "for each parameter of the network"
            )
