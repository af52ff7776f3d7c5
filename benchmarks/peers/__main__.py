"""``python -m benchmarks.peers``: the same work in FastNN and in what a user would pick instead.

Needs ``pip install -e '.[peers]'``; a library that is not installed is named as missing.
"""

import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
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
from .whole import DIGITS, MEMORY, digits_process, peak_memory

ROUNDS, QUICK_ROUNDS = 7, 3
SLOW_TO_START = ("PyTorch compiled", "tinygrad")  # compiled anew by each process; no bar is theirs


@dataclass(frozen=True)
class Comparison:
    """What is to be measured, and with what.

    Parameters
    ----------
    texts : list of str
        Rows whose names hold one of them; all rows if there are none.
    threads : list of int
    quick : bool
    libraries : list of Library
        FastNN first.
    directory : str
        Where the samples lie.
    json_path : Path, optional
        Written anew after each row, so that an end before the last one loses nothing.

    """

    texts: list[str]
    threads: list[int]
    quick: bool
    libraries: list
    directory: str
    json_path: Path | None

    def chooses(self, name):
        return not self.texts or any(text in name for text in self.texts)

    @property
    def rounds(self):
        return QUICK_ROUNDS if self.quick else ROUNDS

    def rows(self, threads):
        """Return what the workers are to do with so many threads."""
        rows = [row for row in ROWS if row.threads == threads and self.chooses(row.name)]
        return [replace(row, task=shortened(row.task)) for row in rows] if self.quick else rows

    def measure(self, report, progress):
        """Add the chosen rows to the report."""
        for threads in self.threads:
            if rows := self.rows(threads):
                self._measure_by_turns(rows, threads, report, progress)
        # Of whole processes, one figure each is enough.
        names, threads = [library.name for library in self.libraries], max(self.threads)
        if self.chooses(DIGITS):
            progress(DIGITS)
            self._add(report, digits_process(names, threads, self.rounds))
        if self.chooses(MEMORY):
            progress(MEMORY)
            memory = peak_memory(self.libraries, threads, self.directory, quick=self.quick)
            self._add(report, memory)

    def _measure_by_turns(self, rows, threads, report, progress):
        with ExitStack() as stack:
            workers = [
                stack.enter_context(Worker(library, threads, self.directory))
                for library in self.libraries
            ]
            report["machine"] = workers[0].ask(ask="about")["answer"]
            for row in rows:
                progress(f"{row.name}, threads {threads}")
                self._add(report, run_row(row, workers, self.rounds))

    def _add(self, report, row):
        report["rows"].append(row)
        if self.json_path is not None:
            self.json_path.write_text(json.dumps(report, indent=1), encoding="utf-8")


def run(
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
    wanted = _choose(library or [])
    left_out = [each.name for each in wanted if quick and each.name in SLOW_TO_START]
    present = [each for each in wanted if not each.missing() and each.name not in left_out]
    report = {
        "quick": quick,
        "versions": versions(),
        "missing": [each.name for each in wanted if each.missing()],
        "left_out": left_out,
        "rows": [],
    }
    console = Console(stderr=True, log_path=False, highlight=False)
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.peers.problems", directory], cwd=ROOT, check=True
        )
        comparison = Comparison(rows or [], threads or [1, 2], quick, present, directory, json_path)
        comparison.measure(report, console.log)
    _show(report)


def _choose(names):
    """Return FastNN and the libraries of these names, all where there are none."""
    known = [each.name for each in LIBRARIES]
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"unknown library {unknown[0]!r}; there are {', '.join(known)}")
    if missing := LIBRARIES[0].missing():
        raise typer.BadParameter(f"{FASTNN} itself is not installed: {', '.join(missing)}")
    return [each for each in LIBRARIES if not names or each.name in {FASTNN, *names}]


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
