"""The kernel `numba` against BLAS, over many products.

    python -m benchmarks.products [--quick] [--threads N] [--rows NAMES] [--json PATH]

Each row of the table is the geometric mean of how many times as fast `numba` is, over some
products, and the lowest of these ratios; a second table has the products where it is slowest.
`fastnn.study.products` verifies and times them. The lowest of many medians is partly the
unluckiest, so that the lowest of a row are measured again, longer, and the new figures count.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from json import loads
from pathlib import Path
from statistics import geometric_mean, median
from typing import Annotated

import numpy as np
import typer

from fastnn import kernels
from fastnn.cli.console import fail, show, show_table, warn_of_restraints
from fastnn.cli.progress import count_bar
from fastnn.cli.speeds import blas
from fastnn.environment import blas_restraints, machine, versions
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
DTYPES = ("float32", "float64")
NETWORKS = ((784, 128, 10), (784, 512, 512, 10), (64, 32, 10), (54, 200, 7))
BATCH_SIZES = (1, 16, 32, 64, 100, 256, 1024)
SIDES = (64, 96, 128, 192, 256, 384, 512)
LARGE_SIDES = (1024, 2048, 3072, 4096)
LAYOUT_SIDE = 512
SMALLEST_SIDE = 8  # of a product that is hardly more than a call
MIN_ROUNDS = 7
MIN_ROUNDS_OF_LARGE = 5
REMEASURED = 8  # the lowest ratios of a row
REMEASURING_FACTOR = 4  # times as long
LOWEST_SHOWN = 3
WIDTH = 100  # characters
HASWELL = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma",
    "OPENBLAS_CORETYPE": "Haswell",
}


@dataclass(frozen=True)
class Options:
    """How thorough to be: `seconds` for a product, and all `threads` of the rows for several."""

    quick: bool
    threads: int

    @property
    def seconds(self) -> float:
        return 0.03 if self.quick else 0.06

    @property
    def thread_counts(self) -> list[int]:
        return sorted({1, self.threads})


@dataclass(frozen=True)
class Outcome:
    """How many times as fast the kernel is at some products.

    Attributes
    ----------
    work : str
        The products; where the kernel is not compared with NumPy, also what with.
    dtype : str
    threads : int
    ratios : dict of str to Spread
        By product, over the rounds.

    """

    work: str
    dtype: str
    threads: int
    ratios: dict[str, Spread]

    @property
    def mean(self) -> float:
        return geometric_mean(ratio.median for ratio in self.ratios.values())

    def lowest(self, number: int) -> list[tuple[str, Spread]]:
        """Return so many products with the lowest ratios, the lowest first."""
        return sorted(self.ratios.items(), key=lambda item: item[1].median)[:number]

    @property
    def spread(self) -> float:
        """The middle half of the rounds of a typical product, relative to its median."""
        return median(each.width for each in self.ratios.values())

    def report(self) -> dict[str, object]:
        ((shape, worst),) = self.lowest(1)
        return asdict(self) | {
            "mean": self.mean,
            "worst": {"shape": shape, **asdict(worst)},
            "spread": self.spread,
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


def network_products(batch_sizes: Sequence[int]) -> list[Product]:
    """Return the products of forward and backward steps, each once."""
    layers = [layer for widths in NETWORKS for layer in pairwise(widths)]
    every = [p for batch in batch_sizes for layer in layers for p in dense_products(batch, *layer)]
    return list(dict.fromkeys(every))


def random_products(number: int) -> list[Product]:
    """Return products of random sizes from 1 to 1024, the logarithms of which are uniform."""
    rng = np.random.default_rng(2026)
    sizes = np.exp(rng.uniform(0, np.log(1025), (number, 3))).astype(int).tolist()
    transposed = rng.choice(["", "a", "b"], number).tolist()
    return [Product(*shape, which) for shape, which in zip(sizes, transposed, strict=True)]


def compare(
    work: str,
    products: Sequence[Product],
    dtype: str,
    threads: int,
    options: Options,
    against: Product | None = None,
) -> Outcome:
    """Compare the kernel with NumPy, or with itself at another product."""
    kernels.set_num_threads(threads)

    def measure(chosen: Sequence[Product], seconds: float) -> dict[Product, Spread]:
        timings = measure_kernel(
            *(kernels.get(KERNEL), chosen, dtype),
            seconds=seconds,
            min_rounds=MIN_ROUNDS,
            against=against,
        )
        return {timing.product: Spread.of(timing.ratio) for timing in timings}

    ratios = measure(products, options.seconds)
    if len(products) > REMEASURED:
        lowest = sorted(products, key=lambda product: ratios[product].median)[:REMEASURED]
        ratios |= measure(lowest, REMEASURING_FACTOR * options.seconds)
    return Outcome(work, dtype, threads, {str(p): ratio for p, ratio in ratios.items()})


def networks(options: Options) -> Iterator[Outcome]:
    """Measure every product of the networks, forward and backward."""
    products = network_products(BATCH_SIZES[::3] if options.quick else BATCH_SIZES)
    for threads in options.thread_counts:
        for dtype in DTYPES:
            yield compare("network shapes", products, dtype, threads, options)


def others(options: Options) -> Iterator[Outcome]:
    """Measure products that nobody has chosen."""
    products = random_products(30 if options.quick else 100)
    for threads in options.thread_counts:
        for dtype in DTYPES:
            yield compare("random shapes", products, dtype, threads, options)


def small_squares(options: Options) -> Iterator[Outcome]:
    """Measure squares that caches hold."""
    for dtype in DTYPES:
        yield compare("squares", squares(*SIDES), dtype, 1, options)


def large_squares(options: Options) -> Iterator[Outcome]:
    """Measure squares beyond the caches, against BLAS and against the machine's peak."""
    dtype = "float32"
    for threads in options.thread_counts:
        kernels.set_num_threads(threads)
        limits = ceilings.measure(threads)
        timings = []
        for product in squares(*LARGE_SIDES[: 2 if options.quick else None]):
            timings += measure_kernel(
                *(kernels.get(KERNEL), [product], dtype),
                seconds=options.seconds,
                min_rounds=MIN_ROUNDS_OF_LARGE,
            )
            limits.remeasure_peak(dtype)
        ratios = {str(each.product): Spread.of(each.ratio) for each in timings}
        yield Outcome("large squares", dtype, threads, ratios)
        peak = limits.peak(dtype)
        shares = {str(each.product): Spread.of(each.flops / peak) for each in timings}
        yield Outcome("large squares, of peak", dtype, threads, shares)


def layouts(options: Options) -> Iterator[Outcome]:
    """Measure the kernel at awkward layouts, against itself at contiguous operands."""
    sides = (LAYOUT_SIDE,) * 3
    products = [LaidOut(*sides, layout=name) for name in LAYOUTS if name != "contiguous"]
    for dtype in DTYPES:
        work = "layouts, to contiguous"
        yield compare(work, products, dtype, 1, options, against=Product(*sides))


def overhead(options: Options) -> Iterator[Outcome]:
    """Measure a call with little to do."""
    for dtype in DTYPES:
        yield compare("call overhead", squares(SMALLEST_SIDE), dtype, 1, options)


def avx2(options: Options) -> Iterator[Outcome]:
    """Measure the network shapes again where Numba and OpenBLAS take the processor for a Haswell.

    In a process of its own, since both look at the environment when they are loaded. Numba's
    cache on disk keeps the code for each processor apart.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "outcomes.json")
        command = [sys.executable, "-m", __spec__.name, "--rows", "networks"]
        command += ["--threads", "1", "--json", str(path), *["--quick"] * options.quick]
        root = Path(__file__).parents[1]
        done = subprocess.run(
            command, cwd=root, env=os.environ | HASWELL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise VerificationError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
        outcomes = loads(path.read_text(encoding="utf-8"))["outcomes"]
    for outcome in outcomes:
        ratios = {shape: Spread(**spread) for shape, spread in outcome["ratios"].items()}
        yield Outcome("network shapes, AVX2", outcome["dtype"], 1, ratios)


ROWS: dict[str, Callable[[Options], Iterator[Outcome]]] = {
    "networks": networks,
    "others": others,
    "squares": small_squares,
    "large": large_squares,
    "layouts": layouts,
    "overhead": overhead,
    "avx2": avx2,
}


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    head = ("dtype", "threads")
    places = [[each.work, each.dtype, str(each.threads)] for each in outcomes]
    means = [
        [*place, f"{each.mean:.2f}", f"{each.lowest(1)[0][1].median:.2f}", f"{each.spread:.1%}"]
        for place, each in zip(places, outcomes, strict=True)
    ]
    show_table(("times as fast as numpy", *head, "mean", "lowest", "spread"), means, width=WIDTH)
    lowest = [
        [*place, shape, f"{ratio.median:.2f}", f"{ratio.low:.2f}–{ratio.high:.2f}"]
        for place, each in zip(places, outcomes, strict=True)
        for shape, ratio in each.lowest(LOWEST_SHOWN)
    ]
    show_table(("lowest of", *head, "product", "ratio", "middle half"), lowest, width=WIDTH)


def main(
    quick: Annotated[bool, typer.Option(help="A part of the products, in fewer rounds.")] = False,
    threads: Annotated[int | None, typer.Option(help="Of the rows for all threads.")] = None,
    rows: Annotated[str, typer.Option(help="Which, separated by commas.")] = ",".join(ROWS),
    json_path: Annotated[Path | None, typer.Option("--json", help="A file for all of it.")] = None,
) -> None:
    """Compare the kernel `numba` with BLAS, over many products."""
    chosen = rows.split(",")
    if unknown := [name for name in chosen if name not in ROWS]:
        raise typer.BadParameter(f"no rows {', '.join(unknown)}; there are {', '.join(ROWS)}")
    warn_of_restraints()
    options = Options(quick, threads or kernels.get_num_threads())
    outcomes, faults = [], []
    with count_bar(len(chosen)) as progress:
        for name in chosen:
            progress(name)
            try:
                outcomes += ROWS[name](options)
            except VerificationError as error:
                faults.append(f"{name}: {error}")
    report = {"machine": machine(), "versions": versions(), "blas_restraints": blas_restraints()}
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
