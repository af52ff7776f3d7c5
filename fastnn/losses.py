"""Losses: what a network's outputs cost, and the gradient that training starts from.

A loss says which targets it takes, and which op computes it. Softmax cross-entropy
and binary cross-entropy are computed from the scores *before* the softmax or the sigmoid,
where loss and activation together are stable and their gradient is a difference. A network
may end in that activation, so that ``net(x)`` gives probabilities; training then leaves it to
the loss. A network that ends in `Dense` gives scores, and trains alike.
"""

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastnn import kernels
from fastnn.kernels.arrays import check_numbers
from fastnn.kernels.finding import class_of
from fastnn.kernels.interface import Array
from fastnn.layers import Layer, Sigmoid, Softmax
from fastnn.plan import Op, Plan

Targets = npt.NDArray[np.generic]


class Loss:
    """A loss over a batch, the mean over its samples.

    Attributes
    ----------
    op : str or callable
        What computes the loss and its gradient, ``op(outputs, targets, totals, d_outputs)``: a
        name in `fastnn.kernels.ops.losses`, which says what it has to add to ``totals``, or a
        user's own function.
    activation : type of Layer or None
        The last layer that is computed as part of this loss.
    has_accuracy : bool
        Whether answers are right or wrong; they are not in regression.
    takes_labels : bool
        Whether targets may be integer labels, one per sample.

    """

    op: ClassVar[Op]
    activation: ClassVar[type[Layer] | None] = None
    has_accuracy: ClassVar[bool] = True
    takes_labels: ClassVar[bool] = False

    def targets(self, y: npt.ArrayLike, n_outputs: int, dtype: npt.DTypeLike) -> Targets:
        """Return `y` as the array that this loss computes with, checked.

        Here it is finite numbers of shape (m, n_outputs), or (m,) where there is one output.

        Raises
        ------
        ValueError
            The shape does not fit `n_outputs`, or a value is not allowed.

        """
        return _columns(y, n_outputs, dtype)

    def plan(self, plan: Plan, outputs: Array, targets: Targets, totals: Array) -> Array:
        """Write down the loss and its gradient; return ``d_outputs``, shaped as `outputs`.

        `totals` is added to, see `fastnn.kernels.ops.losses`.
        """
        d_outputs = plan.zeros(*outputs.shape)
        op = self._op(targets)
        plan.call(op, plan.contiguous(outputs), targets, totals, d_outputs)
        if not isinstance(op, str):  # FastNN's own count for themselves
            plan.call("count_finite_step", totals)
        return d_outputs

    def _op(self, targets: Targets) -> Op:
        """Return the op for these targets."""
        return type(self).op

    def fuses(self, last: Layer) -> bool:
        """Return whether a network's last layer is computed as part of this loss.

        Raises
        ------
        ValueError
            The layer gives probabilities, but not those that the loss is computed on.

        """
        if self.activation is None or not last.gives_probabilities:
            return False
        if type(last) is not self.activation:  # a subclass may compute something else
            raise ValueError(
                f"{self} is computed on {self.activation.__name__}, "
                f"but the network ends in {type(last).__name__}"
            )
        return True

    def __call__(
        self, outputs: npt.ArrayLike, y: npt.ArrayLike, *, probabilities: bool | None = None
    ) -> float:
        """Return the mean loss of some outputs.

        Parameters
        ----------
        outputs : array-like of shape (m, n_outputs)
            Scores, where `activation` is not None, or probabilities: what ``net(x)`` gives if the
            network ends in that activation.
        y : array-like
            Targets as the loss takes them.
        probabilities : bool, optional
            Which of the two `outputs` are. Where it is not given, outputs that may well be
            probabilities are refused: to take them for scores would apply the activation twice.

        Raises
        ------
        ValueError
            Outputs and targets do not fit one another, or it is not clear what the outputs are.

        """
        outputs = self._scores(outputs, probabilities)
        return float(self._evaluate(outputs, y)[0][0]) / len(outputs)

    def gradient(
        self, outputs: npt.ArrayLike, y: npt.ArrayLike, *, probabilities: bool | None = None
    ) -> Array:
        """Return the gradient of the mean loss with respect to the scores; see `__call__`."""
        return self._evaluate(self._scores(outputs, probabilities), y)[1]

    def _scores(self, outputs: npt.ArrayLike, probabilities: bool | None) -> Array:
        """Return outputs as scores."""
        scores = _floats("outputs", outputs)
        if scores.ndim != 2:
            raise ValueError(f"outputs have shape {scores.shape}; (samples, n_outputs) is needed")
        if self.activation is None:
            return scores
        if probabilities is None and self._may_be_probabilities(scores):
            raise ValueError(
                f"outputs may be probabilities, but {self} is computed on scores, before the "
                f"{self.activation.__name__}: say probabilities=True or probabilities=False"
            )
        if probabilities and not self._may_be_probabilities(scores) and scores.any():
            raise ValueError(f"outputs are not probabilities of the {self.activation.__name__}")
        return self._scores_of(scores) if probabilities else scores

    def _may_be_probabilities(self, outputs: Array) -> bool:
        return bool(((outputs >= 0) & (outputs <= 1)).all() and outputs.any())

    def _scores_of(self, probabilities: Array) -> Array:
        """Return scores of which the activation makes these probabilities."""
        raise ValueError(f"{self} can't tell scores from probabilities: pass the scores")

    def _evaluate(self, outputs: Array, y: npt.ArrayLike) -> tuple[Array, Array]:
        from fastnn.engine import Execution  # noqa: PLC0415 - loads Numba

        targets = self.targets(y, outputs.shape[1], outputs.dtype)
        if len(targets) != len(outputs):
            raise ValueError(f"outputs have {len(outputs)} rows, y has {len(targets)}")
        if not outputs.size:
            raise ValueError(f"outputs have shape {outputs.shape}; there is no loss of nothing")
        plan = Plan(kernels.get("numpy"), outputs.dtype)  # no product in it: any kernel will do
        totals = np.zeros(3)
        gradient = self.plan(plan, outputs, targets, totals)
        with np.errstate(all="ignore"):
            Execution(plan).run()
        return totals, gradient

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class SoftmaxCrossEntropy(Loss):
    """Categorical cross-entropy on softmax: ``-sum(t · log(softmax(z)))`` per sample.

    Targets are integer labels of shape (m,), or one-hot (any distribution) of shape
    (m, n_outputs).
    """

    op = "softmax_cross_entropy"
    activation = Softmax
    takes_labels = True

    def targets(self, y: npt.ArrayLike, n_outputs: int, dtype: npt.DTypeLike) -> Targets:
        """Labels as int64 of shape (m,), distributions as `dtype` of shape (m, n_outputs)."""
        y = check_numbers("targets", y)
        if y.ndim == 2 and y.shape[1] == 1 != n_outputs and np.issubdtype(y.dtype, np.integer):
            y = y[:, 0]  # labels in a column
        if y.ndim == 2:
            return _distributions(y, n_outputs, dtype)
        if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
            raise ValueError(
                f"targets have shape {y.shape} and dtype {y.dtype}; integer labels of shape "
                f"(samples,) or one-hot rows of shape (samples, {n_outputs}) are needed"
            )
        if y.size and not 0 <= y.min() <= y.max() < n_outputs:
            raise ValueError(
                f"labels lie in {y.min()}…{y.max()}; "
                f"with {n_outputs} outputs, 0…{n_outputs - 1} are allowed"
            )
        return y.astype(np.int64)

    def _op(self, targets: Targets) -> Op:
        """``dz = (softmax(z) - onehot) / m``."""
        op = type(self).op
        return f"{op}_one_hot" if targets.ndim == 2 and isinstance(op, str) else op

    def _may_be_probabilities(self, outputs: Array) -> bool:
        rows = outputs.sum(axis=1)
        return bool(len(rows) and (outputs >= 0).all() and np.allclose(rows, 1, atol=1e-3))

    def _scores_of(self, probabilities: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.log(probabilities)


class BinaryCrossEntropy(Loss):
    """Cross-entropy on the sigmoid, every output a yes or no of its own; mean over all.

    Targets are probabilities (0 and 1 as a rule) of shape (m, n_outputs), or (m,) where
    there is one output. An infinite score costs nothing where it is right, and is infinitely
    wrong elsewhere; PyTorch has NaN for some of these.
    """

    op = "binary_cross_entropy"  # dz = (sigmoid(z) - t) / (m · n_outputs)
    activation = Sigmoid

    def targets(self, y: npt.ArrayLike, n_outputs: int, dtype: npt.DTypeLike) -> Targets:
        """Probabilities as `dtype`, of shape (m, n_outputs)."""
        targets = _columns(y, n_outputs, dtype)
        if targets.size and not (targets.min() >= 0 and targets.max() <= 1):
            raise ValueError(f"targets lie in {targets.min()}…{targets.max()}; 0…1 is allowed")
        return targets

    def _scores_of(self, probabilities: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.log(probabilities) - np.log1p(-probabilities)


class MeanSquaredError(Loss):
    """``(y - t)²``, the mean over every element of the batch, as in Keras and PyTorch.

    Targets have shape (m, n_outputs), or (m,) where there is one output.
    """

    op = "mean_squared_error"  # dy = 2 (y - t) / (m · n_outputs)
    has_accuracy = False


def _columns(y: npt.ArrayLike, n_outputs: int, dtype: npt.DTypeLike) -> Array:
    """Return `y` as finite numbers of shape (m, n_outputs)."""
    values: Array = np.array(check_numbers("targets", y), dtype, order="C")
    if values.ndim == 1 and n_outputs == 1:
        values = values[:, np.newaxis]
    if values.ndim != 2 or values.shape[1] != n_outputs:
        raise ValueError(f"targets have shape {values.shape}; (samples, {n_outputs}) is needed")
    if not np.isfinite(values).all():
        raise ValueError("targets hold NaN or infinity; finite numbers are needed")
    return values


def _floats(name: str, values: npt.ArrayLike) -> Array:
    """Return numbers as a C-contiguous array of float32, if they are that, or float64."""
    array = check_numbers(name, values)
    return np.ascontiguousarray(array, np.float32 if array.dtype == np.float32 else np.float64)


def _distributions(y: npt.ArrayLike, n_outputs: int, dtype: npt.DTypeLike) -> Targets:
    """Return one-hot rows, or any probabilities, as `dtype`."""
    rows = _columns(y, n_outputs, dtype)
    if (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1, atol=1e-5):
        raise ValueError("each row of one-hot targets must sum to 1, with nothing below 0")
    return rows


# The names are those of `fastnn.fit`, the command line and configuration files.
LOSSES: dict[str, type[Loss]] = {
    "cross-entropy": SoftmaxCrossEntropy,
    "bce": BinaryCrossEntropy,
    "mse": MeanSquaredError,
}


def get(loss: str | Loss) -> Loss:
    """Return a loss given as such, by its name in `LOSSES`, or as ``MODULE:`` or ``FILE.py:NAME``.

    Raises
    ------
    ValueError
        There is no such loss.

    """
    return loss if isinstance(loss, Loss) else class_of(loss, LOSSES, Loss)()
