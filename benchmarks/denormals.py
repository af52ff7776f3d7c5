"""What denormal numbers cost here: ``python -m benchmarks.denormals [--json PATH]``.

On Fashion-MNIST, where Adam's running means fade below the smallest normal number, this measures
the seconds of each epoch in four libraries, which train by turns; the share of the means that are
denormal; and, apart from any training, what a processor takes for arithmetic on such numbers.
"""

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from fastnn import Adam, Dense, ReLU, Sequential, SoftmaxCrossEntropy, datasets, environment, fit
from fastnn.cli.console import fail, show, show_table
from fastnn.engine import Execution
from fastnn.formats import Table, duration, percent, to_json
from fastnn.kernels.measuring.timing import READING_SECONDS, Spread, Stopwatch, alternate
from fastnn.kernels.runtime.denormals import flushed
from fastnn.plan import Plan
from fastnn.study.report.drawing import BLUE, GREEN, INK, ORANGE, PINK

from .peers.compare import trained
from .peers.libraries import COLUMNS, FASTNN, LIBRARIES, versions
from .peers.processes import Worker
from .peers.tasks import TASKS

TASK = next(task for task in TASKS if task.kind == "epoch" and task.optimizer == "adam")
NAMES = (FASTNN, "FastNN keeping", "JAX scan", "PyTorch", "PyTorch flushing", "scikit-learn")
COLOURS = {FASTNN: BLUE, "JAX": GREEN, "PyTorch": ORANGE, "scikit-learn": PINK}
LINES = {"flushed": "-", "kept": "--"}
EPOCHS, TRAININGS = 8, 3
ROUNDS = 31
WIDTH = 100  # characters
NUMBERS = 2048  # of an array that arithmetic is done with: it stays in L1
TINY = np.finfo(np.float32).tiny  # the smallest normal number
NORMAL, DENORMAL = np.float32(1.5), TINY / 8
# What is done to an array of numbers of a kind, x, and another of normal ones, y.
OPERATIONS = {
    "a product": lambda x, y, out: np.multiply(x, y, out=out),
    "a sum": lambda x, y, out: np.add(x, x, out=out),
    "a quotient": lambda x, y, out: np.divide(x, y, out=out),
    "a square root": lambda x, y, out: np.sqrt(x, out=out),
}
CASES = {  # the numbers, and whether they are flushed
    "normal": (NORMAL, False),
    "denormal, kept": (DENORMAL, False),
    "denormal, flushed": (DENORMAL, True),
}


def epochs(directory):
    """Return by library what becomes of denormals, and the seconds of each epoch by training.

    All train by turns, an epoch at a time, on one thread.
    """
    data = datasets.load(TASK.data)
    np.save(Path(directory, f"{TASK.data}-x.npy"), np.asarray(data.x_train))
    np.save(Path(directory, f"{TASK.data}-y.npy"), data.y_train)
    libraries = [each for each in LIBRARIES if each.name in NAMES and not each.missing()]
    libraries.sort(key=lambda library: NAMES.index(library.name))
    runs = []
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(each, 1, directory)) for each in libraries]
        for number in range(TRAININGS):
            progress(f"training {number + 1} of {TRAININGS}")
            runs.append(trained(TASK, 1, workers, EPOCHS - TASK.epochs)[0])
    found = []
    for library in libraries:
        own = [run[library.name] for run in runs]
        if wrong := [result["error"] for result in own if "error" in result]:
            raise RuntimeError(f"{library.name}: {wrong[0]}")
        found.append(
            {
                "library": COLUMNS[library.name],
                "denormals": own[0]["denormals"],
                "seconds": [result["epochs"] for result in own],
            }
        )
    return found


def faded_means():
    """Return after each epoch the share of Adam's means of the gradient that are denormal."""
    shares, optimizer = [], Adam(learning_rate=TASK.learning_rate)

    def count(training):
        means = np.abs(optimizer.state["mean"])
        shares.append(float(np.mean((means > 0) & (means < TINY))))

    data = datasets.load(TASK.data)
    n_in, n_hidden, n_out = TASK.sizes
    fit(
        Sequential([Dense(n_in, n_hidden), ReLU(), Dense(n_hidden, n_out)], rng=0),
        data.x_train,
        data.y_train,
        loss=SoftmaxCrossEntropy(),
        optimizer=optimizer,
        batch_size=TASK.batch_size,
        epochs=EPOCHS,
        callbacks=[count],
        flush_denormals=False,
    )
    return shares


def arithmetic():
    """Return by operation and case the seconds that it takes for each number."""
    cases = [
        (name, case, count, Stopwatch(repeat(call, flush), READING_SECONDS))
        for case, (value, flush) in CASES.items()
        for name, call, count in _calls(value)
    ]
    measured = alternate([[watch] for *_, watch in cases], ROUNDS)
    found = {}
    for (name, case, count, _), seconds in zip(cases, measured, strict=True):
        found.setdefault(name, {})[case] = Spread.of(seconds).median / count
    return found


def _calls(value):
    """Yield the name of an operation, a call that does it, and to how many numbers."""
    arrays = [np.full(NUMBERS, fill, np.float32) for fill in (value, 0.9, 0)]
    for name, operation in OPERATIONS.items():
        yield name, partial(operation, *arrays), NUMBERS
    update = adam_update(value)
    yield "Adam's update", update.run, update.plan.calls[-1].args[-1].size


def adam_update(mean):
    """Return an update by Adam whose running means are all `mean`, ready to run."""
    n_in, n_hidden, n_out = TASK.sizes
    count = n_in * n_hidden + n_hidden + n_hidden * n_out + n_out
    weights = np.full(count, 0.1, np.float32)
    # Without a gradient, normal means would fade; denormal ones stay: 0.9 times the smallest
    # number is rounded to the smallest.
    gradients = np.full(count, 0 if mean < TINY else mean, np.float32)
    optimizer = Adam(learning_rate=TASK.learning_rate)
    plan = Plan(Sequential([Dense(1, 1)]).kernel, np.dtype(np.float32))
    optimizer.plan(plan, weights, gradients)
    optimizer.state["mean"][...], optimizer.state["square"][...] = mean, 1e-6
    optimizer.begin_steps()
    return Execution(plan, threads=False)


def repeat(call, flush):
    """Return a function that makes a call a number of times, in one mode."""

    def calls(times):
        with flushed(flush):
            for _ in range(times):
                call()

    return calls


def progress(text):
    Console(stderr=True, log_path=False, highlight=False).log(text)


def table_of_epochs(report):
    """Return the table of the first and the fifth epoch by library, and of its ratio to FastNN.

    Ratios are formed within a training or a turn, before their median is taken.
    """
    own = np.array(report["epochs"][0]["seconds"])
    rows = []
    for each in report["epochs"]:
        seconds = np.array(each["seconds"])
        first, fifth = seconds[:, 0], seconds[:, 4]
        rows.append(
            [
                each["library"],
                each["denormals"],
                *(duration(np.median(epoch)) for epoch in (first, fifth)),
                f"{np.median(fifth / first):.2f}",
                f"{np.median(seconds[:, 4:] / own[:, 4:]):.2f}",
            ]
        )
    ratio = f"× FastNN, epochs 5 to {own.shape[1]}"
    columns = "library", "denormals", "epoch 1", "epoch 5", "epoch 5 ÷ epoch 1", ratio
    return Table(columns, rows)


def table_of_arithmetic(report):
    """Return the table of what an operation takes for each number, by case."""
    rows = [[name, *map(duration, by.values())] for name, by in report["arithmetic"].items()]
    return Table(("for each number", *CASES), rows)


def draw_shares(axes, report):
    """Draw the share of denormal means after each epoch."""
    shares = report["faded_means"]
    axes.plot(range(1, len(shares) + 1), shares, color=INK, marker="o")
    axes.yaxis.set_major_formatter(lambda share, place: percent(share))
    axes.set(xlabel="epoch", ylim=(0, 1.25 * max(shares)))


def draw_epochs(axes, report):
    """Draw the median seconds of each epoch by library, dashed where denormals are kept."""
    for each in report["epochs"]:
        seconds = np.median(each["seconds"], axis=0)
        axes.plot(
            range(1, len(seconds) + 1),
            seconds,
            color=COLOURS[each["library"]],
            linestyle=LINES[each["denormals"]],
            label=f"{each['library']}, {each['denormals']}",
        )
    axes.yaxis.set_major_formatter(lambda seconds, place: f"{seconds:g} s")
    axes.set(xlabel="epoch", ylim=(0, None))


def main(
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write all that was measured there.")
    ] = None,
) -> None:
    """Measure what denormal numbers cost: in training, by library, and in arithmetic."""
    try:
        with tempfile.TemporaryDirectory() as directory:
            by_library = epochs(directory)
    except datasets.DataError as error:
        fail(str(error))
        raise typer.Exit(1) from None
    report = {
        "machine": environment.machine(),
        "versions": versions(),
        "epochs": by_library,
        "faded_means": faded_means(),
        "arithmetic": arithmetic(),
    }
    if json_path is not None:
        json_path.write_text(to_json(report, indent=1), encoding="utf-8")
    show_table(*table_of_epochs(report), width=WIDTH)
    show_table(*table_of_arithmetic(report), width=WIDTH)
    show(f"Denormal means after each epoch: {', '.join(map(percent, report['faded_means']))}.")


if __name__ == "__main__":
    typer.run(main)
