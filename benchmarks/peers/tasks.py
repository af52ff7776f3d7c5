"""What is compared: each task is a row of the table for each number of threads. All is literal."""

from dataclasses import dataclass, replace
from itertools import pairwise

NAMES = {
    "training": "a step of {0}, batch {1.batch_size:,}, {1.optimizer}",
    "gradient": "loss and gradient of {0}, {1.samples:,} samples",
    "inference": "inference of {0}, batch {1.batch_size:,}",
    "epoch": (
        "an epoch of Fashion-MNIST, {0}, batch {1.batch_size:,}, {1.optimizer}, after {1.epochs}"
    ),
    "fit": "the whole of fit, {0}, batch {1.batch_size:,}, {1.optimizer}",
    "process": "fastnn train on digits, the whole process",
    "memory": "peak memory of an epoch of Fashion-MNIST, {0}",
}


@dataclass(frozen=True)
class Task:
    """Work that is the same for every library.

    Parameters
    ----------
    kind : {"training", "gradient", "inference", "epoch", "fit", "process", "memory"}
        Timed is a step of ``training``, a call of ``gradient`` or ``inference``, a whole ``epoch``,
        a whole ``fit``, a whole ``process``. Of ``memory``, the peak is measured in a process that
        trains an epoch.
    sizes : tuple of int
        Features from the input to the output.
    batch_size : int
        Samples of a step or of a call.
    data : {"fashion-mnist", "digits", "matrices", "noise"}
        See `benchmarks.peers.problems`.
    samples : int
        A multiple of the batch size, so that no library compiles for a smaller last batch.
    optimizer : {"sgd", "adam"}
    learning_rate : float
    activation : {"relu", "tanh"}
        Follows each hidden layer.
    epochs : int
        Of a fit; the number before the epoch that is timed; or that whose losses are compared
        before a step is timed.
    threads : {"all", "fewest", "most"}
        With which of the numbers of threads that are asked for.

    """

    kind: str
    sizes: tuple[int, ...]
    batch_size: int
    data: str
    samples: int
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    activation: str = "relu"
    epochs: int = 1
    threads: str = "all"

    @property
    def name(self):
        return NAMES[self.kind].format("-".join(map(str, self.sizes)), self)

    @property
    def regression(self):
        return self.data == "matrices"

    @property
    def steps(self):
        """Steps of an epoch."""
        return self.samples // self.batch_size

    @property
    def flops(self):
        """Floating-point operations, in matrix products, of what is timed.

        The gradient of the input is not needed.
        """
        products = [2 * self.batch_size * a * b for a, b in pairwise(self.sizes)]
        step = sum(products) if self.kind == "inference" else 3 * sum(products) - products[0]
        steps = {"epoch": self.steps, "fit": self.steps * self.epochs}
        return step * steps.get(self.kind, 1)

    def shortened(self):
        """Return the task with a quarter of the steps, where that is still enough.

        Of epochs it is not: Adam's means fade below the smallest normal number in the 800 steps in
        which a pixel is 0, and no pixel is 0 for so long if each epoch has fewer.
        """
        if self.data != "fashion-mnist" or self.kind == "epoch":
            return self
        return replace(self, samples=self.steps // 4 * self.batch_size)

    def is_for(self, threads, numbers):
        """Return whether the task is done with `threads`, of the `numbers` that are asked for."""
        return self.threads == "all" or threads == {"fewest": min, "most": max}[self.threads](
            numbers
        )


DEEP, SHALLOW, TINY = (784, 512, 512, 10), (784, 128, 10), (24, 8, 2)
# Samples of Fashion-MNIST, in batches of 64. The part makes a round of some tens of milliseconds,
# and is more than a cache holds.
PART = 64 * 200
ALL = 64 * 937

TASKS = (
    Task("training", SHALLOW, 64, "fashion-mnist", PART),
    Task("training", SHALLOW, 64, "fashion-mnist", PART, "adam", 0.001),
    Task("training", DEEP, 64, "fashion-mnist", PART),
    Task("training", DEEP, 64, "fashion-mnist", PART, "adam", 0.001),
    Task("training", (64, 32, 10), 32, "digits", 32 * 44, epochs=3),
    Task("gradient", TINY, 200, "matrices", 200, activation="tanh"),
    Task("training", (4, 32, 16, 4), 10_000, "matrices", 10_000, "adam", 0.001, "tanh", epochs=20),
    *(
        Task("inference", sizes, batch_size, "noise", batch_size)
        for sizes in (TINY, SHALLOW, DEEP)
        for batch_size in (1, 64, 1024)
    ),
    Task("fit", DEEP, 64, "fashion-mnist", ALL, epochs=2, threads="fewest"),
    Task("process", (64, 128, 10), 32, "digits", 32 * 44, "adam", 0.001, epochs=60, threads="most"),
    Task("memory", SHALLOW, 64, "fashion-mnist", ALL, threads="most"),
    Task("epoch", SHALLOW, 64, "fashion-mnist", ALL, "adam", 0.001, epochs=5, threads="fewest"),
    Task("epoch", SHALLOW, 32, "fashion-mnist", ALL, "adam", 0.001, epochs=5, threads="fewest"),
    Task("epoch", SHALLOW, 64, "fashion-mnist", ALL, epochs=5, threads="fewest"),
)
