"""The network without NumPy: all of it in the standard library, written to be read.

``python3 -I fastnn/scratch.py`` trains it on the digits beside this file. It is the network
that ``Sequential([Dense(64, 32), ReLU(), Dense(32, 10)])`` builds, under softmax cross-entropy
and mini-batch gradient descent; a test finds the same numbers in both. A matrix is a list of
its rows. Notation: a batch of m samples is ``x[m, n_in]``, and ``d_y`` is the gradient of the
batch's mean loss with respect to ``y``.

At the end it prints how much of the time went into matrix products, and how fast they were.
Little of that time is arithmetic: Python unpacks every number from an object of its own, and packs
every product into a new one. `fastnn.kernels` shows what a processor can do instead.
"""

import argparse
import gzip
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import add, mul
from pathlib import Path
from typing import TypeAlias

Vector: TypeAlias = list[float]
Matrix: TypeAlias = list[Vector]
Samples: TypeAlias = tuple[Matrix, list[int]]  # inputs x[m, 64], and the label of each row
Gradients: TypeAlias = tuple[Matrix, Vector, Matrix, Vector]

DIGITS = Path(__file__).parent / "datasets" / "digits.csv.gz"
CLASSES = 10


class Measured:
    """A matrix product that keeps count of its seconds and its floating-point operations."""

    def __init__(self, product: Callable[[Matrix, Matrix], Matrix]) -> None:
        self.product, self.seconds, self.flops = product, 0.0, 0

    def __call__(self, a: Matrix, b: Matrix) -> Matrix:
        """Return the product."""
        began = time.perf_counter()
        result = self.product(a, b)
        self.seconds += time.perf_counter() - began
        self.flops += 2 * len(a) * len(b) * len(b[0])
        return result


@Measured
def matmul(a: Matrix, b: Matrix) -> Matrix:
    """``c[i, j] = sum over p of a[i, p] · b[p, j]``: each row of a times each column of b."""
    if len(a[0]) != len(b):
        raise ValueError(f"a has {len(a[0])} columns, b has {len(b)} rows; the two must be equal")
    columns = transpose(b)
    # sum and map loop in C: as fast as Python gets without a package.
    return [[sum(map(mul, row, column)) for column in columns] for row in a]


def transpose(a: Matrix) -> Matrix:
    """``aᵀ[j, i] = a[i, j]``."""
    return [list(column) for column in zip(*a, strict=True)]


def add_bias(a: Matrix, bias: Vector) -> Matrix:
    """``a[i, j] + bias[j]``."""
    return [list(map(add, row, bias)) for row in a]


def sum_rows(a: Matrix) -> Vector:
    """``sum over i of a[i, j]``: the gradient of a bias, which is added to every row."""
    return [sum(column) for column in zip(*a, strict=True)]


def relu(a: Matrix) -> Matrix:
    """``max(a, 0)``: without it, two Dense layers could compute no more than one."""
    return [[value if value > 0 else 0.0 for value in row] for row in a]


def relu_backward(y: Matrix, d_y: Matrix) -> Matrix:
    """``d_x = d_y`` where ``y = relu(x)`` is positive, 0 elsewhere."""
    return [
        [slope if value > 0 else 0.0 for value, slope in zip(row, d_row, strict=True)]
        for row, d_row in zip(y, d_y, strict=True)
    ]


def softmax_cross_entropy(scores: Matrix, labels: list[int]) -> tuple[float, Matrix]:
    """Return the sum of the samples' losses, and the gradient of their mean.

    ``p[j] = exp(z[j]) / sum(exp(z))`` is the probability given to class j; the loss of a
    sample is ``-log p[label]``, and the gradient ``(p - onehot(label)) / m``. The largest
    score is subtracted first: p stays the same, and no exponential overflows.
    """
    loss, d_scores = 0.0, []
    for z, label in zip(scores, labels, strict=True):
        largest = max(z)
        exponentials = [math.exp(score - largest) for score in z]
        total = sum(exponentials)
        loss += math.log(total) - (z[label] - largest)
        d_z = [e / total / len(scores) for e in exponentials]
        d_z[label] -= 1 / len(scores)
        d_scores.append(d_z)
    return loss, d_scores


def count_correct(scores: Matrix, labels: list[int]) -> int:
    """Count the rows whose highest score is at their label."""
    return sum(z.index(max(z)) == label for z, label in zip(scores, labels, strict=True))


@dataclass
class Network:
    """``scores = relu(x @ w1 + b1) @ w2 + b2``: a Dense layer, ReLU, a Dense layer."""

    w1: Matrix
    b1: Vector
    w2: Matrix
    b2: Vector

    @classmethod
    def glorot(cls, n_in: int, n_hidden: int, n_out: int, rng: random.Random) -> "Network":
        """Start with biases of 0 and weights drawn from ±sqrt(6 / (rows + columns)).

        Signals then keep their size on the way forward and back (Glorot and Bengio, 2010).
        """

        def weights(rows: int, columns: int) -> Matrix:
            limit = math.sqrt(6 / (rows + columns))
            return [[rng.uniform(-limit, limit) for _ in range(columns)] for _ in range(rows)]

        w1, w2 = weights(n_in, n_hidden), weights(n_hidden, n_out)
        return cls(w1, [0.0] * n_hidden, w2, [0.0] * n_out)

    def forward(self, x: Matrix) -> tuple[Matrix, Matrix]:
        """Return the hidden layer's outputs, which `backward` needs, and the scores."""
        hidden = relu(add_bias(matmul(x, self.w1), self.b1))
        return hidden, add_bias(matmul(hidden, self.w2), self.b2)

    def backward(self, x: Matrix, hidden: Matrix, d_scores: Matrix) -> Gradients:
        """Apply the chain rule from the scores back to every parameter.

        For ``y = x @ w + b`` it gives ``d_w = xᵀ @ d_y``, ``d_b = sum_rows(d_y)`` and
        ``d_x = d_y @ wᵀ``, which is the ``d_y`` of the layer before.
        """
        d_hidden = relu_backward(hidden, matmul(d_scores, transpose(self.w2)))
        d_w2, d_b2 = matmul(transpose(hidden), d_scores), sum_rows(d_scores)
        d_w1, d_b1 = matmul(transpose(x), d_hidden), sum_rows(d_hidden)
        return d_w1, d_b1, d_w2, d_b2

    def step(self, gradients: Gradients, learning_rate: float) -> None:
        """``w -= learning_rate · d_w``: move every parameter a little downhill."""

        def descend(vector: Vector, slopes: Vector) -> Vector:
            return [v - learning_rate * d for v, d in zip(vector, slopes, strict=True)]

        d_w1, d_b1, d_w2, d_b2 = gradients
        self.w1 = list(map(descend, self.w1, d_w1))
        self.b1 = descend(self.b1, d_b1)
        self.w2 = list(map(descend, self.w2, d_w2))
        self.b2 = descend(self.b2, d_b2)


def train(
    network: Network,
    samples: Samples,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    rng: random.Random | None,
) -> Iterator[tuple[float, float]]:
    """Train in place; yield each epoch's mean loss and accuracy, taken before each step.

    Every epoch takes the samples in a new order drawn by `rng`, or as they come if it is None.
    """
    x, y = samples
    order = list(range(len(x)))
    for _ in range(epochs):
        if rng:
            rng.shuffle(order)
        total_loss, correct = 0.0, 0
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch, labels = [x[i] for i in chosen], [y[i] for i in chosen]
            hidden, scores = network.forward(batch)
            loss, d_scores = softmax_cross_entropy(scores, labels)
            network.step(network.backward(batch, hidden, d_scores), learning_rate)
            total_loss, correct = total_loss + loss, correct + count_correct(scores, labels)
        yield total_loss / len(x), correct / len(x)


def load_digits() -> tuple[Samples, Samples]:
    """Return training and test samples; every fifth of a class, in file order, is for the test."""
    seen: Counter[int] = Counter()
    training: Samples = [], []
    test: Samples = [], []
    with gzip.open(DIGITS, "rt", encoding="ascii") as lines:
        for line in lines:
            *pixels, label = map(int, line.split(","))
            inputs, labels = training if seen[label] % 5 else test
            inputs.append([pixel / 16 for pixel in pixels])  # 16 is the darkest
            labels.append(label)
            seen[label] += 1
    return training, test


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Train a network on digits without NumPy.")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=32, help="outputs of the hidden layer")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for name in ("epochs", "hidden", "batch_size", "learning_rate"):
        if not 0 < getattr(args, name) < math.inf:
            parser.error(f"{name} must be above 0 and finite, not {getattr(args, name)}")
    return args


def main() -> None:
    """Train on the digits, and print where the time went."""
    args = arguments()
    began = time.perf_counter()
    training, (x_test, y_test) = load_digits()
    rng = random.Random(args.seed)
    network = Network.glorot(len(x_test[0]), args.hidden, CLASSES, rng)
    epochs = train(network, training, args.epochs, args.batch_size, args.learning_rate, rng)
    for epoch, (loss, accuracy) in enumerate(epochs, start=1):
        test_accuracy = count_correct(network.forward(x_test)[1], y_test) / len(y_test)
        line = f"epoch {epoch:3}  loss {loss:.4f}  accuracy {accuracy:.4f}"
        print(f"{line}  test accuracy {test_accuracy:.4f}", flush=True)
        if not math.isfinite(loss):
            sys.exit(f"the loss is {loss}: try a learning rate below {args.learning_rate}")
    seconds = time.perf_counter() - began
    share, speed = matmul.seconds / seconds, matmul.flops / matmul.seconds / 1e9
    print(f"{seconds:.1f} s, {share:.0%} of it in matrix products, at {speed:.3f} GFLOP/s")


if __name__ == "__main__":
    main()
