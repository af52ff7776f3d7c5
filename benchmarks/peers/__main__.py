"""``python -m benchmarks.peers``: FastNN beside what a user would pick instead.

Needs ``pip install -e '.[peers]'``; a library that is not installed is named as missing.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from fastnn import datasets
from fastnn.cli.console import show, show_table
from fastnn.formats import to_json

from . import report as reports
from .compare import run
from .libraries import COLUMNS, FASTNN, LIBRARIES, versions
from .processes import Worker
from .tasks import TASKS

ROUNDS, QUICK_ROUNDS = 7, 3
SLOW_TO_START = ("PyTorch compiled", "tinygrad")  # compile anew in each process
WIDTH = 1000  # of the table at most: folded at the terminal's width, its numbers would be cut


def main(
    rows: Annotated[
        list[str] | None,
        typer.Option(help="Only rows whose name holds this text; may be given several times."),
    ] = None,
    threads: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Numbers of threads, 1 (pinned to a core) and 2 without."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help=f"Fewer, shorter rounds; without {' and '.join(SLOW_TO_START)}."
        ),
    ] = False,
    library: Annotated[
        list[str] | None,
        typer.Option(help="Only this library besides FastNN; may be given several times."),
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write all that was measured there.")
    ] = None,
) -> None:
    """Compare FastNN with other libraries: same weights, batches, order, dtype and threads.

    Before anything is timed, all must come to the same losses, gradients or outputs. Each
    library has a process of its own, and rounds alternate between them.
    """
    wanted = _libraries(library or [])
    missing = [each for each in wanted if each.missing()]
    left_out = [each for each in wanted if quick and each.name in SLOW_TO_START]
    present = [each for each in wanted if each not in (*missing, *left_out)]
    numbers = threads or [1, 2]
    tasks = [
        task.shortened() if quick else task
        for task in TASKS
        if not rows or any(text in task.name for text in rows)
    ]
    with tempfile.TemporaryDirectory() as directory:
        missing_data = write_samples({task.data for task in tasks}, Path(directory))
        tasks = [task for task in tasks if task.data not in missing_data]
        report = {
            "quick": quick,
            "machine": _machine(max(numbers), directory),
            "versions": versions(),
            "missing": [*dict.fromkeys(COLUMNS[each.name] for each in missing)],
            "missing_data": [*missing_data.values()],
            "left_out": [each.name for each in left_out],
            "rows": [],
        }
        progress = Console(stderr=True, log_path=False, highlight=False).log
        for number in numbers:
            chosen = [task for task in tasks if task.is_for(number, numbers)]
            rounds = QUICK_ROUNDS if quick else ROUNDS
            for row in run(chosen, number, present, rounds, directory, progress):
                report["rows"].append(row)
                if json_path is not None:  # anew after each row: an early end loses nothing
                    json_path.write_text(to_json(report, indent=1), encoding="utf-8")
    for table in reports.tables(report):
        show_table(*table, width=WIDTH)
    show(*reports.notes(report))


def _libraries(names):
    """Return FastNN and the libraries of these names, all where there are none."""
    known = [each.name for each in LIBRARIES]
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"unknown library {unknown[0]!r}; there are {', '.join(known)}")
    if missing := LIBRARIES[0].missing():
        raise typer.BadParameter(f"{FASTNN} itself is not installed: {', '.join(missing)}")
    return [each for each in LIBRARIES if not names or each.name in {FASTNN, *names}]


def write_samples(names, directory):
    """Write the samples of data sets to files; return by name why some are missing."""
    missing = {}
    for name in sorted(names & {*datasets.names()}):
        try:
            data = datasets.load(name)
        except datasets.DataError as error:
            missing[name] = str(error)
            continue
        np.save(directory / f"{name}-x.npy", np.asarray(data.x_train))
        np.save(directory / f"{name}-y.npy", data.y_train)
    return missing


def _machine(threads, directory):
    """Return the machine and NumPy's BLAS as the process of a library has them."""
    with Worker(LIBRARIES[0], threads, directory) as worker:
        return worker.ask(ask="machine")["answer"]


if __name__ == "__main__":
    typer.run(main)
