"""The kernel `numba` against BLAS, over many products.

    python -m benchmarks.products [--quick] [--threads N] [--rows NAMES] [--json PATH]

A row of the first table is the geometric mean of how many times as fast `numba` is, over some
products, the lowest of these ratios, and the mean share of the machine's peak; the second table has
the products where `numba` does worst. `fastnn.study.products` verifies and times them. The lowest
of many medians is partly the unluckiest, so the lowest of a row are measured again, longer, and the
new figures count.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from pathlib import Path
from statistics import geometric_mean, median
from typing import Annotated

import numpy as np
import typer

from fastnn import environment, kernels
from fastnn.cli.console import fail, show, show_table, warn_of_restraints
from fastnn.cli.progress import count_bar
from fastnn.cli.speeds import blas
from fastnn.formats import to_json
from fastnn.kernels.measuring import ceilings
from fastnn.kernels.measuring.timing import Spread
from fastnn.study.products import (
    Product,
    VerificationError,
    dense_products,
    measure_kernel,
    squares,
)

from .suites.layouts import LAYOUTS

KERNEL = "numba"
NETWORKS = ((784, 128, 10), (784, 512, 512, 10), (64, 32, 10), (54, 200, 7))
BATCH_SIZES = (1, 16, 32, 64, 100, 256, 1024)
SIDES = (64, 96, 128, 192, 256, 384, 512)
LARGE_SIDES = (1024, 2048, 3072, 4096)
LAYOUT_SIDES = (512,) * 3
SMALLEST_SIDE = 8  # of a product that is hardly more than a call
SECONDS, SECONDS_OF_LARGE = 0.1, 2.0  # for a product
QUICK_FACTOR = 0.3
REMEASURED = 8  # the lowest ratios of a row
REMEASURING_FACTOR = 4  # times as long
LOWEST_SHOWN = 3
WIDTH = 100  # characters
AVX2 = "avx2"
HASWELL = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma",
    "OPENBLAS_CORETYPE": "Haswell",
}


@dataclass(frozen=True)
class LaidOut(Product):
    """A product whose operands have one of the `LAYOUTS`, which it is called by."""

    layout: str = "contiguous"

    def __str__(self) -> str:
        return self.layout

    def operands(self, dtype):
        operands = super().operands(dtype)
        return tuple(lay(x) for lay, x in zip(LAYOUTS[self.layout], operands, strict=True))


def network_products(quick: bool) -> list[Product]:
    """Return the products of forward and backward steps of the networks, each once."""
    batch_sizes = BATCH_SIZES[::3] if quick else BATCH_SIZES
    layers = [layer for widths in NETWORKS for layer in pairwise(widths)]
    every = [p for batch in batch_sizes for layer in layers for p in dense_products(batch, *layer)]
    return list(dict.fromkeys(every))


def random_products(quick: bool) -> list[Product]:
    """Return products of random sizes from 1 to 1024, the logarithms of which are uniform."""
    number = 30 if quick else 100
    rng = np.random.default_rng(2026)
    sizes = np.exp(rng.uniform(0, np.log(1025), (number, 3))).astype(int).tolist()
    transposed = rng.choice(["", "a", "b"], number).tolist()
    return [Product(*shape, which) for shape, which in zip(sizes, transposed, strict=True)]


@dataclass(frozen=True)
class Row:
    """What is measured under one name."""

    work: str  # the products; where they are not compared with NumPy, also what with
    products: Callable[[bool], list[Product]]  # from whether to be quick
    dtypes: tuple[str, ...] = ("float32", "float64")
    threaded: bool = False  # whether they are measured on all threads as well as on one
    against: Product | None = None  # what the kernel is compared at, instead of with NumPy
    seconds: float = SECONDS  # for each product


ROWS = {
    "networks": Row("network shapes", network_products, threaded=True),
    "others": Row("random shapes", random_products, threaded=True),
    "squares": Row("squares", lambda quick: squares(*SIDES)),
    "large": Row(
        "large squares",
        lambda quick: squares(*LARGE_SIDES[: 2 if quick else None]),
        dtypes=("float32",),
        threaded=True,
        seconds=SECONDS_OF_LARGE,
    ),
    "layouts": Row(
        "layouts, to contiguous",
        lambda quick: [LaidOut(*LAYOUT_SIDES, layout=name) for name in list(LAYOUTS)[1:]],
        against=Product(*LAYOUT_SIDES),
    ),
    "overhead": Row("call overhead", lambda quick: squares(SMALLEST_SIDE)),
}


@dataclass(frozen=True)
class Outcome:
    """How many times as fast the kernel is, and its share of the FMA peak, by product."""

    work: str
    dtype: str
    threads: int
    ratios: dict[str, Spread]
    shares: dict[str, Spread]

    @property
    def mean(self) -> float:
        return geometric_mean(ratio.median for ratio in self.ratios.values())

    @property
    def share(self) -> float:
        return geometric_mean(share.median for share in self.shares.values())

    @property
    def spread(self) -> float:
        """The middle half of the rounds of a typical product, relative to its median."""
        return median(each.width for each in self.ratios.values())

    def lowest(self, number: int) -> list[tuple[str, Spread]]:
        """Return `number` products with the lowest ratios, and these, the lowest first."""
        return sorted(self.ratios.items(), key=lambda item: item[1].median)[:number]

    def report(self) -> dict[str, object]:
        ((shape, worst),) = self.lowest(1)
        return asdict(self) | {
            "mean": self.mean,
            "worst": {"shape": shape, **asdict(worst)},
            "share": self.share,
            "spread": self.spread,
        }


def measure(row: Row, threads: int, quick: bool) -> Iterator[Outcome]:
    """Measure a row for each of its dtypes and numbers of threads."""
    products, seconds = row.products(quick), row.seconds * (QUICK_FACTOR if quick else 1)
    for number, dtype in product(sorted({1, threads if row.threaded else 1}), row.dtypes):
        kernels.set_num_threads(number)
        limits = ceilings.measure(number)

        def timings(chosen, seconds, dtype=dtype):
            kernel = kernels.get(KERNEL)
            found = measure_kernel(kernel, chosen, dtype, seconds=seconds, against=row.against)
            return {timing.product: timing for timing in found}

        found = timings(products, seconds)
        if len(products) > REMEASURED:
            lowest = sorted(products, key=lambda p: np.median(found[p].ratio))[:REMEASURED]
            found |= timings(lowest, REMEASURING_FACTOR * seconds)
        limits.remeasure_peak(dtype)
        ratios = {str(p): Spread.of(timing.ratio) for p, timing in found.items()}
        peak = limits.peak(dtype)
        shares = {str(p): Spread.of(timing.flops / peak) for p, timing in found.items()}
        yield Outcome(row.work, dtype, number, ratios, shares)


def measure_avx2(quick: bool) -> Iterator[Outcome]:
    """Measure the network shapes where Numba and OpenBLAS take the processor for a Haswell.

    In a process of its own, since both look at the environment when they are loaded. Numba's
    cache on disk keeps the code for each processor apart.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "outcomes.json")
        command = [sys.executable, "-m", __spec__.name, "--rows", "networks"]
        command += ["--threads", "1", "--json", str(path), *["--quick"] * quick]
        root = Path(__file__).parents[1]
        done = subprocess.run(
            command, cwd=root, env=os.environ | HASWELL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise VerificationError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
        outcomes = json.loads(path.read_text(encoding="utf-8"))["outcomes"]
    for outcome in outcomes:
        ratios, shares = (
            {shape: Spread(**spread) for shape, spread in outcome[name].items()}
            for name in ("ratios", "shares")
        )
        yield Outcome("network shapes, AVX2", outcome["dtype"], 1, ratios, shares)


def print_outcomes(outcomes: list[Outcome]) -> None:
    rows, lowest = [], []
    for each in outcomes:
        place = [each.work, each.dtype, str(each.threads)]
        ((_, worst),) = each.lowest(1)
        figures = f"{each.mean:.2f}", f"{worst.median:.2f}", f"{each.share:.1%}"
        rows.append([*place, *figures, f"{each.spread:.1%}"])
        for shape, ratio in each.lowest(LOWEST_SHOWN):
            middle_half = f"{ratio.low:.2f}–{ratio.high:.2f}"
            lowest.append([*place, shape, f"{ratio.median:.2f}", middle_half])
    head = ("dtype", "threads")
    columns = ("times as fast as numpy", *head, "mean", "lowest", "of peak", "spread")
    show_table(columns, rows, width=WIDTH)
    show_table(("lowest of", *head, "product", "ratio", "middle half"), lowest, width=WIDTH)


def main(
    quick: Annotated[bool, typer.Option(help="A part of the products, in fewer rounds.")] = False,
    threads: Annotated[int | None, typer.Option(help="Of the rows for all threads.")] = None,
    rows: Annotated[str, typer.Option(help="Which, separated by commas.")] = ",".join(
        [*ROWS, AVX2]
    ),
    json_path: Annotated[Path | None, typer.Option("--json", help="A file for all of it.")] = None,
) -> None:
    """Compare the kernel `numba` with BLAS, over many products."""
    chosen = rows.split(",")
    if unknown := set(chosen) - {*ROWS, AVX2}:
        known = ", ".join([*ROWS, AVX2])
        raise typer.BadParameter(f"no rows {', '.join(sorted(unknown))}; there are {known}")
    warn_of_restraints()
    threads = threads or kernels.get_num_threads()
    outcomes, faults = [], []
    with count_bar(len(chosen)) as progress:
        for name in chosen:
            progress(name)
            try:
                is_avx2 = name == AVX2
                outcomes += measure_avx2(quick) if is_avx2 else measure(ROWS[name], threads, quick)
            except VerificationError as error:
                faults.append(f"{name}: {error}")
    report = environment.report()
    show(f"{report['machine']['processor']}, BLAS {blas(report)}")
    print_outcomes(outcomes)
    if json_path is not None:
        report["outcomes"] = [outcome.report() for outcome in outcomes]
        json_path.write_text(to_json(report, indent=1), encoding="utf-8")
    for fault in faults:
        fail(fault)
    if faults:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
