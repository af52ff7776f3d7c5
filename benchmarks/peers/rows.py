"""What is compared: the work of each row, and how far ahead FastNN is to be.

A bar is the least ratio ``peer's seconds / FastNN's seconds``. Everything here is literal.
"""

from dataclasses import dataclass, field, replace
from itertools import pairwise, product


@dataclass(frozen=True)
class Task:
    """One piece of work, the same for every library.

    Parameters
    ----------
    kind : {"training", "gradient", "inference", "fit", "memory"}
        ``training`` is timed by the epoch, ``fit`` as a whole, ``gradient`` and ``inference`` by
        the call; ``memory`` is one epoch that isn't timed.
    sizes : tuple of int
        Features from the input to the output.
    batch_size : int
        Rows of a step or of a call.
    data : {"fashion-mnist", "digits", "matrices", "noise"}
        See `benchmarks.peers.problems`.
    samples : int
        A multiple of the batch size: a smaller last batch would need a second shape compiled.
    optimizer : {"sgd", "adam"}
    learning_rate : float
    activation : {"relu", "tanh"}
        Follows each hidden layer.
    epochs : int
        Whose losses are compared, before anything is timed; or that ``fit`` does.

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

    @property
    def regression(self):
        return self.data == "matrices"

    @property
    def steps(self):
        """How many make an epoch."""
        return self.samples // self.batch_size

    @property
    def flops(self):
        """Floating-point operations of a step's matrix products; the first dx is not needed."""
        products = [2 * self.batch_size * a * b for a, b in pairwise(self.sizes)]
        return sum(products) if self.kind == "inference" else 3 * sum(products) - products[0]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Parameters
    ----------
    name : str
    threads : int
        With 1, the process is pinned to a single core.
    task : Task
    bars : dict
        Least ratio by library; "JAX" is the better of its two ways.
    limit : float, optional
        Most seconds that FastNN may take for one call.
    share : float, optional
        Least share of the FMA peak.

    """

    name: str
    threads: int
    task: Task
    bars: dict[str, float] = field(default_factory=dict)
    limit: float | None = None
    share: float | None = None


# Of Fashion-MNIST's 60,000: as many as a round of some tens of milliseconds takes, and more than
# fit into a cache.
STEPS = 200
EPOCH_STEPS = 937  # of all of it, but for the last 32 samples
DEEP, SHALLOW = (784, 512, 512, 10), (784, 128, 10)
RATES = {"sgd": 0.1, "adam": 0.001}

TRAINING_BARS = {
    ("sgd", 1): {"NumPy": 1.2, "JAX": 1.5, "PyTorch": 3.0, "scikit-learn": 2.5},
    ("sgd", 2): {"NumPy": 1.5, "JAX": 1.5, "PyTorch": 3.0, "scikit-learn": 3.0},
    ("adam", 1): {"NumPy": 1.5, "JAX": 1.5, "PyTorch": 3.0, "scikit-learn": 2.5},
    ("adam", 2): {"NumPy": 1.5, "JAX": 1.5, "PyTorch": 3.0, "scikit-learn": 3.0},
}


def _sizes(sizes):
    return "-".join(map(str, sizes))


def _fashion_mnist(sizes, optimizer, threads):
    task = Task("training", sizes, 64, "fashion-mnist", 64 * STEPS, optimizer, RATES[optimizer])
    name = f"a step of {_sizes(sizes)}, batch 64, {optimizer}"
    return Row(name, threads, task, TRAINING_BARS[optimizer, threads])


def _small(threads):
    digits = Task("training", (64, 32, 10), 32, "digits", 44 * 32, epochs=3)
    gradient = Task("gradient", (24, 8, 2), 200, "matrices", 200, activation="tanh")
    matrices = Task(
        "training", (4, 32, 16, 4), 10_000, "matrices", 10_000, "adam", 0.001, "tanh", epochs=20
    )
    return (
        Row("a step of 64-32-10, batch 32, sgd", threads, digits, {"PyTorch": 5.0, "NumPy": 3.0}),
        Row(
            "loss and gradient of 24-8-2, 200 samples",
            threads,
            gradient,
            {"PyTorch": 10.0},
            limit=8e-6,
        ),
        Row("a step of 4-32-16-4, batch 10,000, adam", threads, matrices, {"PyTorch": 10.0}),
    )


def _inference(sizes, batch_size, threads):
    task = Task("inference", sizes, batch_size, "noise", batch_size)
    name = f"inference of {_sizes(sizes)}, batch {batch_size:,}"
    return Row(name, threads, task, {"onnxruntime": 1.0})


FIT = Row(
    "the whole of fit, 784-512-512-10, batch 64, sgd",
    1,
    Task("fit", DEEP, 64, "fashion-mnist", 64 * EPOCH_STEPS, epochs=2),
    share=0.8,
)

ROWS = (
    *(
        _fashion_mnist(sizes, optimizer, threads)
        for sizes, optimizer, threads in product((SHALLOW, DEEP), ("sgd", "adam"), (1, 2))
    ),
    *_small(1),
    *_small(2),
    *(
        _inference(sizes, batch_size, threads)
        for sizes, batch_size, threads in product(
            ((24, 8, 2), SHALLOW, DEEP), (1, 64, 1024), (1, 2)
        )
    ),
    FIT,
)
INFERENCE_MEAN = 1.25  # least geometric mean of the ratios to onnxruntime, over all cells
# The run whose memory is measured.
EPOCH = Task("memory", SHALLOW, 64, "fashion-mnist", 64 * EPOCH_STEPS)


def shortened(task):
    """Return the task with a quarter of the steps an epoch, where that is still enough."""
    if task.data != "fashion-mnist":
        return task
    return replace(task, samples=task.steps // 4 * task.batch_size)
