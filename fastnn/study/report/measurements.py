"""Everything that a report shows, measured and trained: one object, ready for JSON."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from fastnn.experiments.run import Run
from fastnn.experiments.settings import Experiment
from fastnn.study import REFERENCE, Progress
from fastnn.study.comparison import Comparison, Contender
from fastnn.study.products import measure_kernel, squares
from fastnn.training import StopTraining, Training


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int  # of the comparison
    seconds: float  # for a kernel in each round
    inference: tuple[int, ...]  # batch sizes
    sides: tuple[int, ...]  # of the square products
    product_seconds: float  # for a kernel at each of these
    reach: float  # the share of `Kernel.max_multiplications` up to which they are measured
    training_seconds: float  # after which a training is stopped


THOROUGH = Effort(
    rounds=9,
    seconds=0.6,
    inference=(1, 4, 16, 64, 256, 1024),
    sides=(8, 16, 32, 64, 128, 256, 512, 1024, 2048),
    product_seconds=0.1,
    reach=1.0,
    training_seconds=10.0,
)
QUICK = Effort(
    rounds=3,
    seconds=0.15,
    inference=(1, 64, 1024),
    sides=(8, 16, 32, 64, 128, 256, 512),
    product_seconds=0.02,
    reach=1 / 16,
    training_seconds=1.0,
)

# The three ways of gradient descent, of one network from the same weights.
DESCENTS = ("batch", "mini-batch", "stochastic")
DESCENT = Experiment(hidden=(32,), optimizer="sgd", learning_rate=0.1, epochs=30)
OUT_OF_TIME = "its time is over"
MAX_EPOCH_RATIO = 4  # of the seconds for a training: an epoch that takes longer is not begun
SNAPSHOT_EPOCHS = (1, 8)  # after which the sine is looked at, besides the last
PERIODS_DRAWN = 2  # of the sine; the network has seen one


class Study:
    """The measurements of a report, which `measure` makes.

    Parameters
    ----------
    experiment : Experiment
        The network under which kernels are compared. Its kernel does not matter.
    names : sequence of str
        Kernels, as `fastnn.kernels.get` takes them.
    effort : Effort

    """

    def __init__(self, experiment: Experiment, names: Sequence[str], effort: Effort) -> None:
        self.experiment, self.effort = experiment.resolved(), effort
        self.comparison = Comparison(
            experiment,
            names,
            rounds=effort.rounds,
            seconds=effort.seconds,
            inference=effort.inference,
        )

    @property
    def parts(self) -> int:
        """How often `measure` reports progress."""
        return self.comparison.parts + 2 * len(self.comparison.measured) + len(DESCENTS) + 1

    def measure(self, progress: Progress = lambda name: None) -> dict[str, Any]:
        """Measure and train everything.

        Raises
        ------
        ValueError
            A kernel is wrong: `fastnn.study.comparison.ComparisonError` or
            `fastnn.study.products.VerificationError`.

        """
        began = time.perf_counter()
        comparison, dtype = self.comparison, self.experiment.dtype
        comparison.verify()
        comparison.measure(progress)
        assert comparison.ceilings is not None
        timings = []
        for contender in comparison.measured:
            progress(f"{contender.kernel}: square products")
            timings += measure_kernel(
                *(contender.net.kernel, squares(*self.effort.sides), dtype),
                seconds=self.effort.product_seconds,
                reach=self.effort.reach,
            )
            comparison.ceilings.remeasure_peak(dtype)
        peak = comparison.ceilings.peak(dtype)
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "description": comparison.data.description,
            "settings": self.experiment.as_dict(),
            "comparison": comparison.report(),
            "speeds": [timing.report(peak) for timing in timings],
            "curves": self._curves(progress),
            "descents": [self._descent(name, progress) for name in DESCENTS],
            "approximation": self._approximation(progress),
            "seconds": time.perf_counter() - began,
        }

    def _curves(self, progress: Progress) -> list[dict[str, Any]]:
        """Train the network under each kernel for which an epoch does not take too long."""
        curves = []
        for contender in self.comparison.measured:
            progress(f"{contender.kernel}: a training")
            if self._is_affordable(contender):
                curves.append(self._curve(contender))
        return curves

    def _is_affordable(self, contender: Contender) -> bool:
        epoch = float(np.median(contender.step_seconds)) * self.comparison.steps_per_epoch
        max_seconds = MAX_EPOCH_RATIO * self.effort.training_seconds
        return contender.kernel == REFERENCE or epoch < max_seconds

    def _curve(self, contender: Contender) -> dict[str, Any]:
        """Train the network under a kernel, for as many epochs as there is time for."""
        run = Run.prepare(self.experiment.replace(kernel=REFERENCE, engine="auto"))
        run.net.kernel = contender.net.kernel
        began = time.perf_counter()

        def stop(training: Training) -> None:
            if time.perf_counter() - began > self.effort.training_seconds:
                raise StopTraining(OUT_OF_TIME)

        run.fit([stop])
        test = run.evaluate()
        return {
            "kernel": contender.kernel,
            "epochs": self.experiment.epochs,
            "history": run.history.as_dicts(),
            "stopped": run.history.stopped,
            "test_accuracy": test.accuracy,
            "test_loss": test.loss,
        }

    def _descent(self, name: str, progress: Progress) -> dict[str, Any]:
        progress(f"{name} gradient descent")
        run = Run.prepare(DESCENT.replace(gradient_descent=name, seed=self.experiment.seed))
        run.train()
        report = run.report()
        kept = (
            *("data", "sizes", "kernel", "gradient_descent", "batch_size", "updates"),
            *("history", "test_accuracy"),
        )
        return {key: report[key] for key in kept} | {"optimizer": DESCENT.optimizer}

    def _approximation(self, progress: Progress) -> dict[str, Any]:
        """Train a network on a sine, and record its answers along the way."""
        progress("a sine")
        run = Run.prepare(Experiment(data="sine", seed=self.experiment.seed))
        end = np.sqrt(3)  # inputs of the data set lie between -√3 and √3, one period
        x = np.linspace(-PERIODS_DRAWN * end, PERIODS_DRAWN * end, 401)
        answers = []

        def look(training: Training) -> None:
            epoch = len(training.history)
            if epoch in (*SNAPSHOT_EPOCHS, training.epochs):
                values = training.net(x[:, None])[:, 0].tolist()
                answers.append({"epoch": epoch, "values": values})

        run.train([look])
        return {
            "x": x.tolist(),
            "target": np.sin(np.pi * x / end).tolist(),
            "seen": (-end, end),
            "answers": answers,
            "updates": run.optimizer.steps,
            "history": run.history.as_dicts(),
            "test_loss": run.test.loss if run.test else None,
        }
