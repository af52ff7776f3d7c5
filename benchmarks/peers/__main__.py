"""``python -m benchmarks.peers``: the same work in FastNN and in what a user would pick instead."""

import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from . import report as reports
from .compare import run_row
from .names import FASTNN, LIBRARIES, versions
from .processes import ROOT, Worker
from .rows import ROWS, shortened
from .whole import digits_process, peak_memory

ROUNDS, QUICK_ROUNDS = 9, 3
WHOLE, MEMORY = "whole process", "memory"  # the two rows that are no task of a worker


def run(
    rows: Annotated[
        list[str] | None,
        typer.Option(help="Only rows whose name holds this text; may be given several times."),
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(help="Numbers of threads, 1 (pinned to a core) and 2.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter rounds.")] = False,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write all that was measured there.")
    ] = None,
    libraries: Annotated[
        list[str] | None, typer.Option("--library", help="Only these besides FastNN.")
    ] = None,
) -> None:
    """Compare FastNN with other libraries: same weights, batches, order, dtype and threads.

    Before anything is timed, all must come to the same losses, gradients or outputs. Each
    library has a process of its own, and rounds alternate between them.
    """
    console = Console(stderr=True, log_path=False)
    named = [each for each in LIBRARIES if each.name in {FASTNN, *(libraries or [])}]
    wanted = named if libraries else list(LIBRARIES)
    present = [each for each in wanted if not each.missing()]
    report = {
        "quick": quick,
        "versions": versions(),
        "missing": [each.name for each in wanted if each.missing()],
        "rows": [],
    }
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.peers.problems", directory], cwd=ROOT, check=True
        )
        for number in threads or [1, 2]:
            _measure(report, number, rows, quick, present, directory, console)
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=1), encoding="utf-8")
    _show(report)
    raise typer.Exit(1 if reports.failing(report) else 0)


def _measure(report, threads, texts, quick, libraries, directory, console):
    """Measure all rows of a number of threads, and add them to the report."""

    def chosen(name):
        return not texts or any(text in name for text in texts)

    rounds = QUICK_ROUNDS if quick else ROUNDS
    rows = [row for row in ROWS if row.threads == threads and chosen(row.name)]
    if quick:
        rows = [replace(row, task=shortened(row.task)) for row in rows]
    if rows:
        with ExitStack() as stack:
            workers = [
                stack.enter_context(Worker(library, threads, directory)) for library in libraries
            ]
            for row in rows:
                console.log(f"{row.name}, threads {threads}", highlight=False)
                measured = run_row(row, workers, rounds)
                report["rows"].append(measured)
    names = [library.name for library in libraries]
    if chosen(WHOLE):
        console.log(f"{WHOLE}, threads {threads}", highlight=False)
        report["rows"].append(digits_process(names, threads, rounds))
    if chosen(MEMORY):
        console.log(f"{MEMORY}, threads {threads}", highlight=False)
        report["rows"].append(peak_memory(names, threads, directory, quick))


def _show(report):
    header, *rows = reports.lines(report)
    table = Table(show_lines=True)
    for title in header:
        table.add_column(title, justify="left" if title in ("work", "bar", "holds") else "right")
    for row in rows:
        table.add_row(*row)
    # As wide as it needs to be: in a narrower one every number would be cut.
    console = Console(highlight=False, markup=False, width=1000)
    console.width = console.measure(table).maximum
    console.print(table)
    for line in reports.notes(report):
        console.print(line, soft_wrap=True)


if __name__ == "__main__":
    typer.run(run)
