"""Everything that a report shows, measured and trained: one object, ready for JSON."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from fastnn.experiments.run import Run
from fastnn.experiments.settings import Experiment
from fastnn.kernels import Kernel
from fastnn.kernels.measuring import ceilings as machine_ceilings
from fastnn.study.comparison import REFERENCE, Comparison, Contender
from fastnn.study.products import Product, Timing, measure_kernel
from fastnn.training import StopTraining, Training

Begins = Callable[[str], object]


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes
    ----------
    rounds : int
        Of the comparison.
    seconds : float
        For a kernel in each round.
    inference : tuple of int
        Batch sizes.
    sizes : tuple of int
        Sides of the square products.
    product : float
        Seconds for a kernel at each of these.
    reach : float
        What of the largest product that a kernel calls reasonable for itself is measured.
    training : float
        Seconds after which a training ends, if its network is not trained by then. A kernel that
        takes several times as long for a single epoch does not begin one.

    """

    rounds: int
    seconds: float
    inference: tuple[int, ...]
    sizes: tuple[int, ...]
    product: float
    reach: float
    training: float


THOROUGH = Effort(
    rounds=9,
    seconds=0.6,
    inference=(1, 4, 16, 64, 256, 1024),
    sizes=(8, 16, 32, 64, 128, 256, 512, 1024, 2048),
    product=0.1,
    reach=1.0,
    training=10.0,
)
QUICK = Effort(
    rounds=3,
    seconds=0.15,
    inference=(1, 64, 1024),
    sizes=(8, 16, 32, 64, 128, 256, 512),
    product=0.02,
    reach=1 / 16,
    training=1.0,
)

# The three ways of gradient descent, of one network from the same weights.
DESCENTS = ("batch", "mini-batch", "stochastic")
DESCENT = Experiment(hidden=(32,), optimizer="sgd", learning_rate=0.1, epochs=30)
OUT_OF_TIME = "its time is over"
EPOCHS_TOO_LONG = 4  # times the seconds for a training
SNAPSHOTS = (1, 8)  # epochs after which an approximation is looked at, besides the last
PERIODS = 2  # of the sine that are drawn; the network has seen one


class Study:
    """What is to be measured, and how far it is.

    Parameters
    ----------
    experiment : Experiment
        The network that the kernels are compared with. Its kernel is of no importance.
    names : sequence of str
        Kernels, as `fastnn.kernels.finding.find` takes them.
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
        """How often `measure` says that something begins."""
        return self.comparison.parts + 2 * len(self.comparison.measured) + len(DESCENTS) + 1

    def measure(self, begins: Begins = lambda name: None) -> dict[str, Any]:
        """Measure and train; `begins` is told what comes next.

        Raises
        ------
        ValueError
            A kernel is wrong: `fastnn.study.comparison.ComparisonError` or
            `fastnn.study.products.VerificationError`.

        """
        began = time.perf_counter()
        self.comparison.verify()
        self.comparison.measure(begins)
        assert self.comparison.ceilings is not None
        dtype, ceilings = self.experiment.dtype, self.comparison.ceilings
        contenders = self.comparison.measured
        timings, curves = [], []
        for contender in contenders:
            begins(f"{contender.kernel}: square products")
            timings += self._squares(contender.net.kernel)
            ceilings = machine_ceilings.measure_again(ceilings, dtype)
        self.comparison.ceilings = ceilings
        peak = getattr(ceilings.ceilings[0], dtype).median
        for contender in contenders:
            begins(f"{contender.kernel}: a training")
            if self._is_affordable(contender):
                curves.append(self._curve(contender))
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "description": self.comparison.data.description,
            "settings": asdict(self.experiment),
            "comparison": self.comparison.report(),
            "speeds": [{"n": n} | asdict(timing.speed(peak)) for n, timing in timings],
            "curves": curves,
            "descents": [self._descent(name, begins) for name in DESCENTS],
            "approximation": self._approximation(begins),
            "seconds": time.perf_counter() - began,
        }

    def _squares(self, kernel: Kernel) -> list[tuple[int, Timing]]:
        """Time a kernel at square products, by their side."""
        most = kernel.max_multiplications * self.effort.reach
        sizes = [n for n in self.effort.sizes if n**3 <= most]
        products = [Product(n, n, n) for n in sizes]
        timings = measure_kernel(kernel, products, self.experiment.dtype, self.effort.product)
        return list(zip(sizes, timings, strict=True))

    def _is_affordable(self, contender: Contender) -> bool:
        epoch = float(np.median(contender.step_seconds)) * self.comparison.steps_per_epoch
        return contender.kernel == REFERENCE or epoch < EPOCHS_TOO_LONG * self.effort.training

    def _curve(self, contender: Contender) -> dict[str, Any]:
        """Train the network under a kernel, for as many epochs as there is time for."""
        run = Run.prepare(replace(self.experiment, kernel=REFERENCE, engine="auto"))
        run.net.kernel = contender.net.kernel
        began = time.perf_counter()

        def stop(training: Training) -> None:
            if time.perf_counter() - began > self.effort.training:
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

    def _descent(self, name: str, begins: Begins) -> dict[str, Any]:
        begins(f"{name} gradient descent")
        run = Run.prepare(replace(DESCENT, gradient_descent=name, seed=self.experiment.seed))
        run.train()
        report = run.report()
        kept = (
            *("data", "sizes", "kernel", "gradient_descent", "batch_size", "updates"),
            *("history", "test_accuracy"),
        )
        return {key: report[key] for key in kept} | {"optimizer": DESCENT.optimizer}

    def _approximation(self, begins: Begins) -> dict[str, Any]:
        """Let a network learn a sine, and look at it now and then."""
        begins("a sine")
        run = Run.prepare(Experiment(data="sine", seed=self.experiment.seed))
        end = np.sqrt(3)  # inputs of the data set lie between -√3 and √3, one period
        x = np.linspace(-PERIODS * end, PERIODS * end, 401)
        answers = []

        def look(training: Training) -> None:
            epoch = len(training.history)
            if epoch in (*SNAPSHOTS, training.epochs):
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
