"""One network under several kernels: the same losses first, then what each kernel costs.

Every kernel trains the same network on the same batches, from the same weights in each round: steps
that went on from round to round would fit a few batches, whose gradients fade. Kernels that agree
with the reference are timed in rounds of all of them, so that a slow moment of the machine meets
them alike; a ratio is formed within a round. A slow kernel is timed over fewer steps, or fewer
samples, and the result is extrapolated and marked so.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from fastnn import environment, kernels
from fastnn.callbacks import TerminateOnNaN
from fastnn.data import Batches, resolve_batch_size
from fastnn.experiments.build import Builder, targets_for
from fastnn.experiments.run import load_data
from fastnn.experiments.settings import Experiment
from fastnn.kernels.interface import Array
from fastnn.kernels.measuring import ceilings, timing
from fastnn.kernels.measuring.ceilings import Ceilings
from fastnn.kernels.measuring.timing import FloatArray, Spread, Stopwatch, repeated
from fastnn.network import Sequential
from fastnn.study import REFERENCE, SPECIFICATION, Progress
from fastnn.study.profile import MAX_STEPS, Profile, profile
from fastnn.training import fit

STEPS_VERIFIED = 4
TOLERANCES = {"float32": 1e-4, "float64": 1e-9}  # relative, after these steps
INFERENCE_BATCH_SIZES = (1, 32, 1024)
MAX_QUIET_NOISE = 0.2  # the middle half of the rounds, relative to the median


class ComparisonError(ValueError):
    """A kernel does not compute what the others do."""


@dataclass
class Contender:
    """A kernel with its network, and how long that takes."""

    kernel: str
    net: Sequential
    skipped: str | None = None  # why it is not measured
    loss: float = math.nan  # mean over the first steps
    steps: int = 1  # that are timed at once, an epoch at most
    samples: dict[int, int] = field(default_factory=dict)  # timed, by batch size of inference
    step_seconds: FloatArray = field(default_factory=lambda: np.empty(0))  # by round
    # By batch size and by round, extrapolated from `samples`.
    inference_seconds: dict[int, FloatArray] = field(default_factory=dict)
    profile: Profile | None = None


class Comparison:
    """The contenders over one experiment.

    Sets the number of threads for the whole process, so that all contenders have the same.

    Parameters
    ----------
    experiment : Experiment
        Its kernel does not matter.
    names : sequence of str
        Kernels, as `fastnn.kernels.get` takes them; the reference is added.
    rounds : int
        How often each kernel is timed; the median counts.
    seconds : float
        About how long a kernel is timed in each round. A kernel that takes longer for an epoch is
        timed over fewer steps, but at least one.
    inference : sequence of int
        Batch sizes at which inference is timed.

    Attributes
    ----------
    contenders : list of Contender

    """

    def __init__(
        self,
        experiment: Experiment,
        names: Sequence[str],
        *,
        rounds: int = 5,
        seconds: float = 0.3,
        inference: Sequence[int] = INFERENCE_BATCH_SIZES,
    ) -> None:
        if rounds < 1:
            raise ValueError(f"rounds must be at least 1, not {rounds}")
        if not 0 < seconds < math.inf:
            raise ValueError(f"seconds must be above 0, not {seconds}")
        if not inference or min(inference) < 1:
            raise ValueError(f"batch sizes of inference must be at least 1, not {inference}")
        self.builder = Builder(experiment)
        self.experiment = self.builder.experiment
        self.rounds, self.seconds, self.inference = rounds, seconds, tuple(inference)
        chosen = _distinct([kernels.get(name) for name in (*names, REFERENCE)])
        kernels.set_num_threads(experiment.threads or kernels.get_num_threads())
        self.data = load_data(self.experiment)
        self.loss = self.builder.build_loss(self.data)
        self.targets = targets_for(self.loss, self.data.y_train, self.data)
        self.batch_size = resolve_batch_size(
            experiment.gradient_descent, experiment.batch_size, len(self.data.x_train)
        )
        self.steps_per_epoch = math.ceil(len(self.data.x_train) / self.batch_size)
        self.contenders = [self._contender(kernel) for kernel in chosen]
        self.weights = self.contenders[0].net.parameters.flat.copy()  # that all begin with
        self.ceilings: Ceilings | None = None

    def _contender(self, kernel: kernels.Kernel) -> Contender:
        net = self.builder.build_network(self.data, self.experiment.seed, kernel=kernel)
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

    def named(self, kernel: str) -> Contender:
        """Return the contender of a kernel; `StopIteration` where there is none."""
        return next(contender for contender in self.contenders if contender.kernel == kernel)

    def verify(self) -> None:
        """Train a few steps under each kernel; compare losses and gradients with the reference's.

        Raises
        ------
        ComparisonError
            They differ by more than rounding.

        """
        steps = min(STEPS_VERIFIED, self.steps_per_epoch)
        for contender in self.measured:
            contender.loss, _ = self._train(contender, steps, -(-STEPS_VERIFIED // steps))
        reference = self.named(REFERENCE)
        tolerance = TOLERANCES[self.experiment.dtype]
        for contender in self.measured:
            if not math.isclose(contender.loss, reference.loss, rel_tol=tolerance):
                raise ComparisonError(
                    f"kernel {contender.kernel} trains to a loss of {contender.loss!r} in "
                    f"{STEPS_VERIFIED} steps, {REFERENCE} to {reference.loss!r}: more than rounding"
                )
        # An optimizer may hide what is wrong with gradients, such as their length.
        parameters = reference.net.parameters.flat
        expected = self._gradient(reference, parameters)
        for contender in self.measured:
            difference = self._gradient(contender, parameters) - expected
            relative = float(np.linalg.norm(difference) / (np.linalg.norm(expected) or 1.0))
            if not relative <= tolerance:
                raise ComparisonError(
                    f"kernel {contender.kernel} computes a gradient that differs from "
                    f"{REFERENCE}'s by {relative:.1e} of its length: more than rounding"
                )

    def _gradient(self, contender: Contender, parameters: Array) -> Array:
        samples = self.data.x_train[: self.batch_size], self.targets[: self.batch_size]
        objective = contender.net.objective(*samples, loss=self.loss)
        return objective(parameters)[1].copy()

    @property
    def parts(self) -> int:
        """How often `measure` reports progress."""
        return 1 + len(self.measured) * (self.rounds + 1)

    def measure(self, progress: Progress = lambda name: None) -> None:
        """Measure the machine's ceilings, time every contender in rounds, and profile its step."""
        progress("machine")
        threads, measured = kernels.get_num_threads(), self.measured
        self.ceilings = ceilings.measure(threads)
        turns = timing.alternate(
            [self._watches(contender) for contender in measured],
            self.rounds,
            settles=threads > 1,
            on_turn=lambda number: progress(measured[number].kernel),
        )
        for contender, seconds in zip(measured, turns, strict=True):
            contender.step_seconds, *batches = seconds.T
            contender.inference_seconds = {
                size: taken * (size / contender.samples[size])
                for size, taken in zip(self.inference, batches, strict=True)
            }
        for contender in measured:
            progress(contender.kernel)
            contender.net.parameters.flat[:] = self.weights
            if threads > 1:
                timing.settle()
            contender.profile = self._profile(contender.net)
        self.ceilings.remeasure_peak(self.experiment.dtype)

    def _watches(self, contender: Contender) -> list[timing.Watch]:
        """Return what times a step of training, and inference at each batch size."""
        seconds = self._step_seconds(contender, 1)
        # The first of two epochs makes the plan, which takes longer than a short step.
        epochs = 2 if seconds < timing.LONG_CALL_SECONDS else 1
        seconds = self._step_seconds(contender, 1, epochs)
        each = self.seconds / (1 + len(self.inference))
        affordable = each / max(seconds, 1e-9)  # steps
        steps = contender.steps = min(max(int(affordable), 1), self.steps_per_epoch)
        # A sample's inference takes less than its training.
        max_samples = max(int(affordable * self.batch_size), 1)
        contender.samples = {size: min(size, max_samples) for size in self.inference}
        stopwatches = [
            Stopwatch(
                repeated(partial(contender.net, self._samples(contender.net, samples))),
                each,
                kernels.get_num_threads(),
            )
            for samples in contender.samples.values()
        ]
        return [partial(self._step_seconds, contender, steps, epochs), *stopwatches]

    def _samples(self, net: Sequential, number: int) -> Array:
        """Return a number of samples, which repeat if there are fewer."""
        x = net.check_inputs(self.data.x_train[:number])
        return np.resize(x, (number, net.n_in))

    def _step_seconds(self, contender: Contender, steps: int, epochs: int = 1) -> float:
        """Train from the weights that all begin with; return the seconds of a step."""
        contender.net.parameters.flat[:] = self.weights
        return self._train(contender, steps, epochs)[1] / steps

    def _train(self, contender: Contender, steps: int, epochs: int = 1) -> tuple[float, float]:
        """Train epochs of some steps; return the last one's mean loss and its seconds."""
        samples = steps * self.batch_size
        *_, record = fit(
            contender.net,
            self.data.x_train[:samples],
            self.targets[:samples],
            loss=self.loss,
            optimizer=self.builder.build_optimizer(self.steps_per_epoch),
            batch_size=self.experiment.batch_size,
            gradient_descent=self.experiment.gradient_descent,
            epochs=epochs,
            shuffle=False,
            callbacks=[TerminateOnNaN()],
            engine="python",  # the one that runs every kernel
        )
        return record.loss, record.seconds

    def _profile(self, net: Sequential) -> Profile:
        """Profile the first steps of a training, each of which takes its batch from the data."""
        samples = net.check_data(self.data.x_train, self.targets, self.loss)
        batches = Batches(*samples, self.batch_size)
        steps = min(len(batches) // self.batch_size, MAX_STEPS)
        plan, optimizer = net.training_plan(), self.builder.build_optimizer(self.steps_per_epoch)
        inputs, targets = batches.plan(plan, self.batch_size)
        net.plan_step(plan, inputs, targets, self.loss, optimizer, np.zeros(3))
        optimizer.begin_steps(steps)
        return profile(plan, self.seconds, max_steps=steps, flush_denormals=net.flush_denormals)

    def report(self) -> dict[str, Any]:
        """Return how long each contender takes, ready for `fastnn.formats.to_json`.

        Figures are spreads over the rounds, times in seconds. A skipped kernel has none. What is
        said of the lines of a step is that of `fastnn.study.profile.Profile`. ``noise`` is the
        middle half of the noisiest step, relative to its median; above a limit the machine is
        ``busy``.
        """
        assert self.ceilings is not None
        reference = self.named(REFERENCE)
        losses = [contender.loss for contender in self.measured]
        noise = max(Spread.of(each.step_seconds).width for each in self.measured)
        return environment.report() | {
            "data": self.experiment.data,
            "sizes": reference.net.sizes,
            "dtype": self.experiment.dtype,
            "threads": kernels.get_num_threads(),
            "flush_denormals": self.experiment.flush_denormals,
            "seed": self.experiment.seed,
            "optimizer": self.experiment.optimizer,
            "batch_size": self.batch_size,
            "steps_per_epoch": self.steps_per_epoch,
            "inference": self.inference,
            "rounds": self.rounds,
            "steps_verified": STEPS_VERIFIED,
            "loss_difference": (max(losses) - min(losses)) / (abs(reference.loss) or 1.0),
            "ceilings": asdict(self.ceilings),
            "noise": noise,
            "busy": noise > MAX_QUIET_NOISE,
            "kernels": [self._row(contender) for contender in self.contenders],
        }

    def _row(self, contender: Contender) -> dict[str, Any]:
        row = {
            "kernel": contender.kernel,
            "summary": contender.net.kernel.summary,
            "skipped": contender.skipped,
        }
        if contender.skipped:
            return row
        assert self.ceilings is not None
        assert contender.profile is not None
        steps = contender.step_seconds
        flops = contender.net.plan(self.batch_size).flops / steps
        peak = self.ceilings.peak(self.experiment.dtype)
        return row | {
            "loss": contender.loss,
            "steps": contender.steps,
            "extrapolated": contender.steps < self.steps_per_epoch,
            "step_seconds": asdict(Spread.of(steps)),
            "epoch_seconds": asdict(Spread.of(steps * self.steps_per_epoch)),
            "flops": asdict(Spread.of(flops)),
            "peak_share": asdict(Spread.of(flops / peak)),
            "doubt": contender.profile.doubt,
            "product_share": contender.profile.product_share,
            "amdahl": contender.profile.amdahl,
            "lines": contender.profile.lines(),
            "python_share": contender.profile.python_share,
            "speedup": {
                other: self._speedup(other, contender) for other in (SPECIFICATION, REFERENCE)
            },
            "inference": [self._inference(contender, size) for size in self.inference],
        }

    def _inference(self, contender: Contender, size: int) -> dict[str, Any]:
        seconds = contender.inference_seconds[size]
        reference = self.named(REFERENCE).inference_seconds[size]
        return {
            "batch_size": size,
            "extrapolated": contender.samples[size] < size,
            "seconds": asdict(Spread.of(seconds)),
            "samples_per_second": asdict(Spread.of(size / seconds)),
            "speedup": asdict(Spread.of(reference / seconds)),
        }

    def _speedup(self, other: str, contender: Contender) -> dict[str, float] | None:
        """Return how many times as fast as under another kernel a step is, if that is measured."""
        for each in self.measured:
            if each.kernel == other:
                return asdict(Spread.of(each.step_seconds / contender.step_seconds))
        return None


def _distinct(chosen: Sequence[kernels.Kernel]) -> list[kernels.Kernel]:
    """Return each kernel once; `ComparisonError` if two have one name in the report."""
    by_name: dict[str, kernels.Kernel] = {}
    for kernel in chosen:
        if by_name.setdefault(kernel.name, kernel) != kernel:
            raise ComparisonError(f"two kernels are called {kernel.name!r}: rename one of them")
    return list(by_name.values())
