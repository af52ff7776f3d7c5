"""One network under several kernels: the same losses first, then what each costs.

Every kernel trains the same network on the same batches. Only kernels that agree with NumPy's
are timed, in rounds of all kernels, so that a slow moment of the machine meets them alike.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import kernels
from fastnn.building import build_loss, build_network, build_optimizer
from fastnn.datasets import Dataset
from fastnn.environment import machine, versions
from fastnn.experiment import Experiment
from fastnn.network import Sequential
from fastnn.runs import load_data
from fastnn.training import fit, step_size
from kernels import timing
from kernels.interface import DTYPES

REFERENCE = "numpy"
STEPS_VERIFIED = 4
TOLERANCES = {"float32": 1e-4, "float64": 1e-9}  # relative, after these steps


class ComparisonError(ValueError):
    """A kernel does not compute what the others do."""


@dataclass
class Contender:
    """A kernel, and what its network took.

    Attributes
    ----------
    kernel : str
    net : Sequential
    loss : float
        Mean over the first steps.
    steps : int
        How many are timed at once, at most an epoch.
    epoch_seconds : list of float
        Of each round, extrapolated from `steps` to an epoch.
    sample_seconds : list of float
        Of each round: inference for one sample, in batches of the training's size.
    skipped : str or None
        Why it is not measured.

    """

    kernel: str
    net: Sequential
    loss: float = math.nan
    steps: int = 1
    epoch_seconds: list[float] = field(default_factory=list)
    sample_seconds: list[float] = field(default_factory=list)
    skipped: str | None = None


class Comparison:
    """The contenders over one experiment.

    Parameters
    ----------
    experiment : Experiment
        Its kernel is of no importance.
    names : sequence of str
        Kernels; NumPy's is added, as what the others are measured by.
    rounds : int
        How often each is timed; the median is what counts.
    seconds : float
        About how long a kernel is timed in each round. Those for which an epoch takes longer
        get fewer steps, at least one.

    Attributes
    ----------
    contenders : list of Contender

    """

    def __init__(
        self, experiment: Experiment, names: Sequence[str], *, rounds: int = 5, seconds: float = 0.3
    ) -> None:
        if rounds < 1:
            raise ValueError(f"rounds must be at least 1, not {rounds}")
        if not 0 < seconds < math.inf:
            raise ValueError(f"seconds must be above 0, not {seconds}")
        self.experiment = experiment.resolved()
        self.rounds, self.seconds = rounds, seconds
        chosen = [kernels.get(name) for name in dict.fromkeys([*names, REFERENCE])]
        if experiment.threads is not None:
            kernels.set_num_threads(experiment.threads)
        self.data: Dataset = load_data(self.experiment)
        self.batch_size = step_size(
            experiment.gradient_descent, experiment.batch_size, len(self.data.x_train)
        )
        self.steps_per_epoch = math.ceil(len(self.data.x_train) / self.batch_size)
        self.contenders = [self._contender(kernel) for kernel in chosen]

    def _contender(self, kernel: kernels.Kernel) -> Contender:
        net = build_network(self.experiment, self.data, self.experiment.seed)
        net.kernel = kernel
        contender = Contender(kernel.name, net)
        largest = max(call.flops for call in net.plan(self.batch_size).calls) // 2
        if largest > kernel.max_multiplications:
            contender.skipped = (
                f"a product has {largest:,} multiplications, "
                f"more than the {kernel.max_multiplications:,} that are reasonable for it"
            )
        return contender

    @property
    def measured(self) -> list[Contender]:
        """The contenders that are not skipped."""
        return [contender for contender in self.contenders if contender.skipped is None]

    def verify(self) -> None:
        """Train a few steps under each kernel, and compare the losses with the reference's.

        Raises
        ------
        ComparisonError
            They differ by more than rounding.

        """
        for contender in self.measured:
            contender.loss, _ = self._train(contender, STEPS_VERIFIED)
        expected = next(c.loss for c in self.contenders if c.kernel == REFERENCE)
        tolerance = TOLERANCES[self.experiment.dtype]
        for contender in self.measured:
            if not math.isclose(contender.loss, expected, rel_tol=tolerance):
                raise ComparisonError(
                    f"kernel {contender.kernel} trains to a loss of {contender.loss!r} in "
                    f"{STEPS_VERIFIED} steps, {REFERENCE} to {expected!r}: more than rounding"
                )

    def measure(self, begins: Callable[[str], object] = lambda name: None) -> None:
        """Time every contender, round by round; `begins` is told each kernel's name before."""
        measured = self.measured
        turns = timing.alternate(
            [self._watches(contender) for contender in measured],
            self.rounds,
            settles=kernels.get_num_threads() > 1,
            begins=lambda number: begins(measured[number].kernel),
        )
        for contender, seconds in zip(measured, turns, strict=True):
            steps, batches = seconds.T
            contender.epoch_seconds = (steps * self.steps_per_epoch).tolist()
            contender.sample_seconds = (batches / self.batch_size).tolist()

    def _watches(self, contender: Contender) -> tuple[timing.Watch, timing.Watch]:
        """Return what times a step of training, and inference for a batch."""
        _, seconds = self._train(contender, 1)
        affordable = int(self.seconds / max(seconds, 1e-9))
        steps = contender.steps = min(max(affordable, 1), self.steps_per_epoch)
        batch = self.data.x_train[: self.batch_size]
        inference = timing.Stopwatch(
            lambda: contender.net(batch), min(self.seconds, seconds * 1000)
        )
        return lambda: self._train(contender, steps)[1] / steps, inference

    def _train(self, contender: Contender, steps: int) -> tuple[float, float]:
        """Train some steps; return their mean loss and their seconds."""
        samples = steps * self.batch_size
        (record,) = fit(
            contender.net,
            self.data.x_train[:samples],
            self.data.y_train[:samples],
            loss=build_loss(self.data),
            optimizer=build_optimizer(self.experiment, self.steps_per_epoch),
            batch_size=self.experiment.batch_size,
            gradient_descent=self.experiment.gradient_descent,
            epochs=1,
            shuffle=False,
            engine="python",  # which every kernel can have
        )
        return record.loss, record.seconds

    def report(self) -> dict[str, Any]:
        """Return what each contender took, ready for `fastnn.reports.to_json`.

        Times are medians over the rounds, in seconds; ratios are to the reference's time. Both
        are None for what was skipped.
        """
        reference = next(c for c in self.contenders if c.kernel == REFERENCE)
        losses = [contender.loss for contender in self.measured]
        return {
            "data": self.experiment.data,
            "sizes": reference.net.sizes,
            "dtype": self.experiment.dtype,
            "threads": kernels.get_num_threads(),
            "seed": self.experiment.seed,
            "optimizer": self.experiment.optimizer,
            "batch_size": self.batch_size,
            "rounds": self.rounds,
            "steps_verified": STEPS_VERIFIED,
            "loss_difference": (max(losses) - min(losses)) / abs(reference.loss),
            "versions": versions(),
            "machine": machine(),
            "kernels": [_row(contender, reference) for contender in self.contenders],
        }


def _row(contender: Contender, reference: Contender) -> dict[str, Any]:
    row: dict[str, Any] = {"kernel": contender.kernel, "skipped": contender.skipped}
    if contender.skipped:
        names = ("loss", "steps", "epoch_seconds", "ratio", "inference_seconds", "inference_ratio")
        return row | dict.fromkeys(names)
    epoch = statistics.median(contender.epoch_seconds)
    sample = statistics.median(contender.sample_seconds)
    return row | {
        "loss": contender.loss,
        "steps": contender.steps,
        "epoch_seconds": epoch,
        "ratio": epoch / statistics.median(reference.epoch_seconds),
        "inference_seconds": sample,
        "inference_ratio": sample / statistics.median(reference.sample_seconds),
    }


def find_fault(name: str) -> str | None:
    """Return why a kernel cannot be used here, or None if a small product comes out right."""
    a = np.arange(6, dtype=np.float64).reshape(2, 3)
    expected = [[5.0, 14.0], [14.0, 50.0]]  # a @ a.T
    try:
        kernel = kernels.get(name)
        for dtype in DTYPES:
            product = kernel(a.astype(dtype), a.astype(dtype).T)
            if product.tolist() != expected:
                return f"computes {product.tolist()} for {expected} in {dtype}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
