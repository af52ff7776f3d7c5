"""Two ways to take turns with several threads: in one process, and in a process each.

    python -m benchmarks.turns [--threads N] [--rounds N] [--json PATH]

Threads that have finished wait for more work in a loop, and take the cores from whatever has the
next turn. FastNN lets them fall asleep (`fastnn.kernels.measuring.timing.settle`) and stays in one
process; `benchmarks.peers` has a process for each library and stops it (SIGSTOP). Here two kernels
do the same products in both ways, which alternate: the figures have to agree.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from fastnn import environment, kernels
from fastnn.cli.console import show, show_table, warn_of_restraints
from fastnn.cli.progress import count_bar
from fastnn.cli.speeds import blas
from fastnn.formats import to_json
from fastnn.kernels.measuring import timing
from fastnn.kernels.measuring.timing import READING_SECONDS_OF_THREADS, Spread, Stopwatch, repeated
from fastnn.study.products import Product, squares, verified

from .peers.processes import Process

KERNELS = ("numba", "numpy")
PRODUCTS = (Product(64, 784, 128), Product(784, 64, 128, "a"), *squares(256, 512))
DTYPE = "float32"


class Side:
    """A kernel with its products, on its turn.

    Parameters
    ----------
    kernel : str
    threads : int

    """

    def __init__(self, kernel: str, threads: int) -> None:
        kernels.set_num_threads(threads)
        calls = [verified(kernels.get(kernel), *p.operands(DTYPE)) for p in PRODUCTS]
        self._watches = [
            Stopwatch(repeated(call), READING_SECONDS_OF_THREADS, threads) for call in calls
        ]

    def turn(self) -> list[float]:
        """Return the seconds of each product; a first reading, which wakes threads, is left out."""
        self._watches[0]()
        return [watch() for watch in self._watches]


def measure(threads: int, rounds: int) -> Iterator[tuple[list[list[float]], list[list[float]]]]:
    """Yield the seconds of each round: by kernel and product, in one process and in a process each.

    Parameters
    ----------
    threads, rounds : int

    """
    with ExitStack() as stack:
        processes = [
            stack.enter_context(Process(__spec__.name, ("--side", kernel), threads))
            for kernel in KERNELS
        ]
        for process in processes:
            process.ask(begin=threads)
        sides = [Side(kernel, threads) for kernel in KERNELS]
        for _ in range(rounds):
            together = []
            for side in sides:
                timing.settle()
                together.append(side.turn())
            timing.settle()
            yield together, [process.ask(go=True)["seconds"] for process in processes]


def answer(kernel: str) -> None:
    """Be the process of one kernel."""
    for line in sys.stdin:
        message = json.loads(line)
        if "begin" in message:
            side = Side(kernel, message["begin"])
            print(json.dumps({}), flush=True)
        else:
            print(json.dumps({"seconds": side.turn()}), flush=True)


def summary(rounds: list[tuple[list[list[float]], list[list[float]]]]) -> list[dict[str, object]]:
    """Return a row for each product: GFLOP/s, and how many times as fast as NumPy, both ways."""
    rows = []
    ways = dict(zip(("together", "apart"), np.moveaxis(np.array(rounds), 0, -1), strict=True))
    for number, product in enumerate(PRODUCTS):
        row: dict[str, object] = {"product": str(product)}
        for way, seconds in ways.items():
            own, reference = seconds[:, number]
            flops = 2 * product.multiplications / own
            row[way] = {
                "flops": asdict(Spread.of(flops)),
                "ratio": asdict(Spread.of(reference / own)),
            }
        each = [seconds[1, number] / seconds[0, number] for seconds in ways.values()]
        row["together_to_apart"] = asdict(Spread.of(each[0] / each[1]))
        rows.append(row)
    return rows


def table_of_ratios(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the titles and the rows of a table: how many times as fast as NumPy, both ways."""
    titles = ["times as fast as numpy", "in one process", "in a process each", "one to the other"]
    return titles, [
        [
            row["product"],
            _shown(row["together"]["ratio"]),
            _shown(row["apart"]["ratio"]),
            _shown(row["together_to_apart"]),
        ]
        for row in report["turns"]
    ]


def main(
    threads: Annotated[int | None, typer.Option(help="Of each kernel. Default: all.")] = None,
    rounds: Annotated[int, typer.Option(help="How many turns each has, both ways.")] = 60,
    json_path: Annotated[Path | None, typer.Option("--json", help="A file for all of it.")] = None,
    side: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Compare two ways to take turns: in one process, and in a process each."""
    if side is not None:
        answer(side)
        return
    warn_of_restraints()
    threads = threads or kernels.get_num_threads()
    measured = []
    with count_bar(rounds) as progress:
        for each in measure(threads, rounds):
            progress("a round")
            measured.append(each)
    report = environment.report() | {"threads": threads, "dtype": DTYPE, "rounds": rounds}
    report["turns"] = summary(measured)
    show(f"{report['machine']['processor']}, BLAS {blas(report)}, threads {threads}, {DTYPE}")
    show_table(*table_of_ratios(report))
    if json_path is not None:
        json_path.write_text(to_json(report, indent=1), encoding="utf-8")


def _shown(spread: dict[str, float]) -> str:
    return f"{spread['median']:.2f} ({spread['low']:.2f}–{spread['high']:.2f})"


if __name__ == "__main__":
    typer.run(main)
