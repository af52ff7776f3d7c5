"""Optimizers: how parameters follow their gradients.

An optimizer knows two flat vectors, the parameters and their gradients, and nothing of
layers. It writes its update down in a plan and keeps its own vectors (velocity, running
means) from step to step. What changes with the step lives in small arrays that the update
reads and moves on; `Optimizer.begin_steps` fills them, for some steps ahead.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from fastnn.kernels.arrays import aligned_zeros
from fastnn.kernels.finding import class_of
from fastnn.kernels.interface import Array
from fastnn.plan import MAX_STEPS_AT_ONCE, Plan
from fastnn.schedules import Schedule


class Optimizer:
    """What all optimizers share: learning rate, weight decay, clipping, and their state.

    Parameters
    ----------
    learning_rate : float or Schedule
        A positive number, or a function of the number of steps taken, see
        `fastnn.schedules`.
    weight_decay : float
        Adds ``weight_decay * w`` to the gradient: the penalty ``weight_decay / 2 * sum(w²)``, as
        PyTorch's optimizers and scikit-learn's `alpha` do. (Keras decays weights apart from the
        gradient in every optimizer; here only `AdamW` does.)
    clip_norm : float, optional
        Scales the gradient of all parameters down to this Euclidean norm where it is longer:
        Keras's ``global_clipnorm``. (PyTorch's ``clip_grad_norm_`` adds 1e-6 to the norm.)

    Attributes
    ----------
    steps : int
        Number of steps taken.
    state : dict from str to ndarray
        The optimizer's own vectors, each as long as ``net.parameters.flat``; empty before
        the first training.

    """

    slots: ClassVar[tuple[str, ...]] = ()  # names of the vectors it keeps
    rate: Array | None  # the learning rate of this step, for the update to read

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        *,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        if not callable(learning_rate):
            _check("learning_rate", learning_rate, 0 < learning_rate < np.inf, "above 0")
        _check("weight_decay", weight_decay, 0 <= weight_decay < np.inf, "at least 0")
        _check("clip_norm", clip_norm, clip_norm is None or clip_norm > 0, "above 0, or None")
        self.learning_rate = learning_rate
        self.weight_decay = float(weight_decay)
        self.clip_norm = None if clip_norm is None else float(clip_norm)
        self.steps = 0
        self.state: dict[str, Array] = {}
        self.rate: Array | None = None
        self._rates_ahead = np.zeros(MAX_STEPS_AT_ONCE)  # float64, in any network
        self._exact_rate = np.zeros(1)
        self._place = np.zeros(1, np.int64)  # in the rates ahead

    def plan(self, plan: Plan, weights: Array, gradients: Array) -> None:
        """Write down the update of ``weights[p]`` by ``gradients[p]``."""
        if weights.ndim != 1 or weights.shape != gradients.shape:
            raise ValueError(
                f"weights of shape {weights.shape} and gradients of shape {gradients.shape}: "
                "two vectors of one length are needed"
            )
        self._prepare(weights)
        plan.call("next_rate", self._rates_ahead, self._place, self._exact_rate, self.rate)
        if self.clip_norm is not None:
            plan.call("clip_norm", float(self.clip_norm), gradients)
        self.plan_decay(plan, weights, gradients)
        self.plan_update(plan, weights, gradients)

    def begin_steps(self, count: int = 1) -> None:
        """Set what the updates of the next steps read; the steps count as taken.

        Parameters
        ----------
        count : int
            At most `MAX_STEPS_AT_ONCE`.

        """
        mine = vars(self)
        if any(mine.get(name) != value for name, value in self._planned.items()):
            raise ValueError(
                f"{self} was changed during a training, in which only learning_rate may be: "
                f"it began with {self._planned} and has {self._hyperparameters()} now"
            )
        steps = range(self.steps, self.steps + count)
        rate = self.learning_rate
        self._rates_ahead[:count] = (
            [_check_rate(rate(step), step) for step in steps]
            if callable(rate)
            else _check_rate(rate, self.steps)
        )
        self._place[0] = 0
        self.steps += count

    def restore(self, steps: int, state: Mapping[str, Array]) -> None:
        """Go on from the `steps` and the `state` of an earlier training."""
        if set(state) != set(self.slots) and (steps or state):  # none before the first step
            raise ValueError(
                f"the state holds {sorted(state)}; {type(self).__name__} keeps {sorted(self.slots)}"
            )
        self.steps = steps
        for name, vector in state.items():
            own = self.state.get(name)
            if own is not None and own.shape == vector.shape and own.dtype == vector.dtype:
                own[...] = vector  # which a plan may hold
            else:
                self.state[name] = vector.copy()

    def _prepare(self, weights: Array) -> None:
        """Allocate the state on first use; afterwards check that it belongs to `weights`."""
        if not self.state:
            for name in self.slots:
                self.state[name] = aligned_zeros(weights.shape, weights.dtype)
        for name, vector in self.state.items():
            if vector.shape != weights.shape or vector.dtype != weights.dtype:
                raise ValueError(
                    f"this optimizer's {name} holds {vector.size} numbers of {vector.dtype}, "
                    f"the network has {weights.size} of {weights.dtype}; "
                    "take a new optimizer for another network"
                )
        if self.rate is None or self.rate.dtype != weights.dtype:
            self.rate = np.zeros(1, weights.dtype)
        self._planned = self._hyperparameters()

    def _hyperparameters(self) -> dict[str, object]:
        """Return what a plan keeps as it was when it was made."""
        moving = ("learning_rate", "steps", "state", "rate")
        return {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_")
            and name not in moving
            and isinstance(value, int | float | np.generic | str | None)
        }

    def plan_decay(self, plan: Plan, weights: Array, gradients: Array) -> None:
        """Write down the weight decay, before the update."""
        if self.weight_decay:
            plan.call("add_weight_decay", weights, self.weight_decay, gradients)

    def plan_update(self, plan: Plan, weights: Array, gradients: Array) -> None:
        """Write down the update itself, which reads `rate` and may use the vectors in `state`."""
        raise NotImplementedError(f"{type(self).__name__} has no method plan_update")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(learning_rate={self.learning_rate}, steps={self.steps})"


class SGD(Optimizer):
    """Gradient descent, ``w -= learning_rate * g``, with momentum where asked for.

    The formulas are those of Keras and scikit-learn. PyTorch keeps the learning rate out of the
    velocity, which is the same as long as the rate stays the same.

    Parameters
    ----------
    learning_rate : float or Schedule
    momentum : float
        ``velocity = momentum * velocity - learning_rate * g``, then ``w += velocity``.
    nesterov : bool
        Take the gradient's step once more after the velocity's (Sutskever et al., 2013).
    weight_decay, clip_norm
        See `Optimizer`.

    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, clip_norm=clip_norm)
        _check("momentum", momentum, 0 <= momentum < 1, "at least 0 and below 1")
        if nesterov and not momentum:
            raise ValueError("nesterov needs a momentum above 0")
        self.momentum, self.nesterov = float(momentum), nesterov

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        """``velocity``, where there is momentum."""
        return ("velocity",) if self.momentum else ()

    def plan_update(self, plan: Plan, weights: Array, gradients: Array) -> None:
        """``w -= rate · g``, or by way of a velocity."""
        if not self.momentum:
            plan.call("sgd", gradients, self.rate, weights)
            return
        update = "sgd_nesterov" if self.nesterov else "sgd_momentum"
        velocity = self.state["velocity"]
        plan.call(update, gradients, self.rate, self.momentum, velocity, weights)


class RMSprop(Optimizer):
    """Divide the gradient by a running root mean square of itself (Hinton, 2012).

    ``square = rho * square + (1 - rho) * g²``, then
    ``w -= learning_rate * g / (√square + epsilon)``: epsilon stands beside the root, as in PyTorch;
    in Keras it is below the root. Names and defaults are those of Keras.

    Parameters
    ----------
    learning_rate : float or Schedule
    rho : float
        How much of the running mean of squares is kept each step.
    epsilon : float
        Added to the root, so that nothing is divided by 0.
    weight_decay, clip_norm
        See `Optimizer`.

    """

    slots = ("square",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        *,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, clip_norm=clip_norm)
        _check("rho", rho, 0 <= rho < 1, "at least 0 and below 1")
        _check("epsilon", epsilon, epsilon > 0, "above 0")
        self.rho, self.epsilon = float(rho), float(epsilon)

    def plan_update(self, plan: Plan, weights: Array, gradients: Array) -> None:
        """``w -= rate · g / (√square + ε)``."""
        square = self.state["square"]
        rest = 1 - self.rho
        plan.call("rmsprop", gradients, self.rate, self.rho, rest, self.epsilon, square, weights)


class Adam(Optimizer):
    """A running mean of the gradient over a running root mean square (Kingma and Ba, 2015).

    ``w -= learning_rate * m̂ / (√v̂ + epsilon)``, with the bias-corrected means of g and of g².
    Epsilon stands beside the corrected root, as in the paper's algorithm 1 and in PyTorch; Keras
    and scikit-learn add it to the root before the correction. Names are those of Keras, the
    epsilon of 1e-8 that of the paper, PyTorch and scikit-learn (Keras has 1e-7).

    Parameters
    ----------
    learning_rate : float or Schedule
    beta_1, beta_2 : float
        How much of the running means of gradients and of squares is kept each step.
    epsilon : float
        Added to the root, so that nothing is divided by 0.
    weight_decay, clip_norm
        See `Optimizer`.

    """

    slots = ("mean", "square")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, clip_norm=clip_norm)
        _check("beta_1", beta_1, 0 <= beta_1 < 1, "at least 0 and below 1")
        _check("beta_2", beta_2, 0 <= beta_2 < 1, "at least 0 and below 1")
        _check("epsilon", epsilon, epsilon > 0, "above 0")
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)
        self._factors: Array | None = None
        self._counted = np.zeros(1, np.int64)  # steps, as the update counts them

    def begin_steps(self, count: int = 1) -> None:
        """Set the learning rates, and the step that the bias corrections start from."""
        self._counted[0] = self.steps
        super().begin_steps(count)

    def _prepare(self, weights: Array) -> None:
        super()._prepare(weights)
        if self._factors is None or self._factors.dtype != weights.dtype:
            self._factors = np.ones(2, weights.dtype)

    def plan_update(self, plan: Plan, weights: Array, gradients: Array) -> None:
        """``w -= rate · mean / (√square + ε)``, with both means corrected."""
        betas = np.array([self.beta_1, self.beta_2])
        plan.call("next_corrections", self._counted, betas, self._exact_rate, self._factors)
        plan.call(
            "adam",
            gradients,
            self._factors,
            1 - self.beta_1,
            self.beta_2,
            1 - self.beta_2,
            self.epsilon,
            self.state["mean"],
            self.state["square"],
            weights,
        )


class AdamW(Adam):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019).

    ``w -= learning_rate * weight_decay * w`` before Adam's update, as in Keras and PyTorch; the
    parameters are those of `Adam`, with a weight decay of 0.004 as in Keras (PyTorch has 0.01).
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        weight_decay: float = 0.004,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, weight_decay=weight_decay, clip_norm=clip_norm
        )

    def plan_decay(self, plan: Plan, weights: Array, gradients: Array) -> None:
        """``w -= rate · weight_decay · w``."""
        if self.weight_decay:
            plan.call("decay_weights", self._exact_rate, np.array([self.weight_decay]), weights)


def _check_rate(rate: object, step: int) -> float:
    """Return a learning rate, if it is a number that a step can be made with."""
    if isinstance(rate, np.ndarray) and not rate.ndim:
        rate = rate[()]
    if not isinstance(rate, int | float | np.integer | np.floating) or not 0 <= rate < np.inf:
        raise ValueError(f"the learning rate of step {step} must be at least 0, not {rate!r}")
    return float(rate)


def _check(name: str, value: object, allowed: bool, what: str) -> None:
    if not allowed:
        raise ValueError(f"{name} must be {what}, not {value!r}")


# The names are those of the command line and of configuration files.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}


def get(optimizer: str | Optimizer) -> Optimizer:
    """Return an optimizer given as such, or with its defaults by its name in `OPTIMIZERS`.

    ``MODULE:NAME`` and ``FILE.py:NAME`` name a user's own class.

    Raises
    ------
    ValueError
        There is no such optimizer.

    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    # All arguments of FastNN's own classes have defaults.
    build: Callable[[], Optimizer] = class_of(optimizer, OPTIMIZERS, Optimizer)
    return build()
