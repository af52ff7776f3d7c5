"""How near the `numba` kernel comes to what was asked of it: against BLAS, against the machine.

    python -m benchmarks.products [--quick] [--threads N] [--rows NAMES] [--json PATH]

prints a table of bars with what was measured for each, and a second one with the worst shapes.
Unset ``OPENBLAS_CORETYPE`` and its like first; a warning names those that are set.

Every figure is a ratio of speeds, the median over rounds in which the compared calls take turns
(`fastnn.kernels.measuring.timing`), and every product is verified before it is timed. The lowest of many medians
is partly the unluckiest, so the lowest of a row are measured again, longer, and the new figures
count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np

from .bars import Outcome, print_outcomes, print_worst
from .layouts import LAYOUTS

with suppress(ImportError):  # asv imports every file here, on commits without the packages too
    import typer

    from fastnn import kernels
    from fastnn.cli.console import fail, show, warn
    from fastnn.cli.progress import count_bar
    from fastnn.environment import blas_restraints, machine, versions
    from fastnn.kernels.interface import DTYPES
    from fastnn.kernels.measuring import timing
    from fastnn.kernels.measuring.ceilings import Crew, FMABurst
    from fastnn.kernels.measuring.timing import Case, Spread
    from fastnn.study.products import (
        Product,
        VerificationError,
        case,
        dense_products,
        verified,
    )

NETWORKS = ((784, 128, 10), (784, 512, 512, 10), (64, 32, 10), (54, 200, 7))
BATCHES = (1, 16, 32, 64, 100, 256, 1024)
SQUARES = (64, 96, 128, 192, 256, 384, 512)
LARGE_SQUARES = (1024, 2048, 3072, 4096)
LAYOUT_N = 512
OVERHEAD_N = 8
LOWEST = 8  # are measured again
AGAIN = 4  # times as long
HASWELL = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma",
    "OPENBLAS_CORETYPE": "Haswell",
}


@dataclass(frozen=True)
class Options:
    """How thorough to be: `seconds` for a shape, and all `threads` of the rows for several."""

    quick: bool
    threads: int

    @property
    def seconds(self) -> float:
        return 0.03 if self.quick else 0.06

    @property
    def thread_counts(self) -> list[int]:
        return sorted({1, self.threads})


def network_products(batches: tuple[int, ...]) -> list[Product]:
    """Return the products of forward and backward steps, each once."""
    layers = [layer for widths in NETWORKS for layer in pairwise(widths)]
    every = [p for batch in batches for layer in layers for p in dense_products(batch, *layer)]
    return list(dict.fromkeys(every))


def random_products(number: int) -> list[Product]:
    """Return products that no one has chosen: sizes from 1 to 1024, small ones as likely."""
    rng = np.random.default_rng(2026)
    sizes = np.exp(rng.uniform(0, np.log(1025), (number, 3))).astype(int).tolist()
    return [
        Product(*shape, transposed)
        for shape, transposed in zip(
            sizes, rng.choice(["", "a", "b"], number).tolist(), strict=True
        )
    ]


def speeds(cases: list[Case], options: Options, threads: int) -> dict[str, Spread]:
    """Return how much faster the first call of each case is than the second."""

    def measured(chosen: list[Case], seconds: float) -> dict[str, Spread]:
        times = timing.measure(chosen, seconds, threads=threads)
        return {
            each.name: Spread.of(rounds[:, 1] / rounds[:, 0])
            for each, rounds in zip(chosen, times, strict=True)
        }

    ratios = measured(cases, options.seconds)
    if len(cases) > LOWEST:
        lowest = sorted(cases, key=lambda each: ratios[each.name].median)[:LOWEST]
        ratios |= measured(lowest, AGAIN * options.seconds)
    return ratios


def against_numpy(
    work: str,
    products: list[Product],
    dtype: str,
    threads: int,
    options: Options,
    **bars: float,
) -> Outcome:
    kernels.set_num_threads(threads)
    cases = [case(kernels.get("numba"), product, dtype) for product in products]
    return Outcome(work, dtype, threads, speeds(cases, options, threads), **bars)


def networks(options: Options) -> Iterator[Outcome]:
    """Measure every product of the networks, forward and backward."""
    products = network_products(BATCHES[::3] if options.quick else BATCHES)
    yield from many_shapes("network shapes", products, options)


def others(options: Options) -> Iterator[Outcome]:
    """Measure shapes that are not on the list."""
    products = random_products(30 if options.quick else 100)
    yield from many_shapes("shapes not on the list", products, options)


def many_shapes(work: str, products: list[Product], options: Options) -> Iterator[Outcome]:
    for threads in options.thread_counts:
        worst = 0.97 if threads == 1 else 0.95
        for dtype in map(str, DTYPES):
            yield against_numpy(
                work, products, dtype, threads, options, mean_bar=1.25, worst_bar=worst
            )


def squares(options: Options) -> Iterator[Outcome]:
    products = [Product(n, n, n) for n in SQUARES]
    for dtype in map(str, DTYPES):
        yield against_numpy("squares", products, dtype, 1, options, worst_bar=1.05)


def large_squares(options: Options) -> Iterator[Outcome]:
    """Measure squares beyond the caches, against BLAS and against the machine's peak."""
    products = [Product(n, n, n) for n in LARGE_SQUARES[: 2 if options.quick else None]]
    for threads in options.thread_counts:
        kernels.set_num_threads(threads)
        with Crew(threads) as crew:
            burst = FMABurst(np.dtype("float32"), crew)
            ratios, shares = {}, {}
            for product in products:
                compared = case(kernels.get("numba"), product, "float32")
                calls = (*compared.calls, burst)
                (times,) = timing.measure(
                    [Case(compared.name, calls)], options.seconds, threads=threads, least=5
                )
                own, reference, peak = times.T
                ratios[compared.name] = Spread.of(reference / own)
                bursts = 2 * product.multiplications / burst.flops
                shares[compared.name] = Spread.of(peak * bursts / own)
        yield Outcome("large squares", "float32", threads, ratios, worst_bar=1.0)
        yield Outcome("large squares, of peak", "float32", threads, shares, worst_bar=0.93)


def layouts(options: Options) -> Iterator[Outcome]:
    """Measure the kernel at operands that lie awkwardly, against itself at contiguous ones."""
    kernels.set_num_threads(1)
    kernel, product = kernels.get("numba"), Product(LAYOUT_N, LAYOUT_N, LAYOUT_N)
    for dtype in map(str, DTYPES):
        contiguous = product.operands(dtype)
        reference = verified(kernel, *contiguous)
        cases = [
            Case(
                name,
                (
                    verified(kernel, *(f(x) for f, x in zip(layout, contiguous, strict=True))),
                    reference,
                ),
            )
            for name, layout in LAYOUTS.items()
            if name != "contiguous"
        ]
        ratios = speeds(cases, options, 1)
        yield Outcome("layouts, to contiguous", dtype, 1, ratios, worst_bar=0.9)


def overhead(options: Options) -> Iterator[Outcome]:
    """Measure a call of the bare entrance against one of NumPy's, where there is little to do."""
    kernels.set_num_threads(1)
    for dtype in map(str, DTYPES):
        a, b, out = Product(OVERHEAD_N, OVERHEAD_N, OVERHEAD_N).operands(dtype)
        ours = verified(kernels.get("numba"), a, b, out)
        ratios = speeds(
            [Case(f"{OVERHEAD_N}³", (ours, partial(np.matmul, a, b, out=out)))], options, 1
        )
        yield Outcome("call overhead", dtype, 1, ratios, worst_bar=1 / 1.5)


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
        outcomes = json.loads(path.read_text(encoding="utf-8"))["outcomes"]
    for outcome in outcomes:
        ratios = {shape: Spread(**spread) for shape, spread in outcome["ratios"].items()}
        yield Outcome("network shapes, AVX2", outcome["dtype"], 1, ratios, mean_bar=1.0)


ROWS: dict[str, Callable[[Options], Iterator[Outcome]]] = {
    "networks": networks,
    "others": others,
    "squares": squares,
    "large": large_squares,
    "layouts": layouts,
    "overhead": overhead,
    "avx2": avx2,
}


def main(
    quick: Annotated[bool, typer.Option(help="A part of the shapes, in fewer rounds.")] = False,
    threads: Annotated[int | None, typer.Option(help="Of the rows for all threads.")] = None,
    rows: Annotated[str, typer.Option(help="Which, separated by commas.")] = ",".join(ROWS),
    json_path: Annotated[Path | None, typer.Option("--json", help="A file for all of it.")] = None,
) -> None:
    """Print how near the `numba` kernel comes to what was asked of it."""
    chosen = rows.split(",")
    if unknown := [name for name in chosen if name not in ROWS]:
        raise typer.BadParameter(f"no rows {', '.join(unknown)}; there are {', '.join(ROWS)}")
    for name, value in blas_restraints().items():
        warn(f"{name}={value} is set, which may hold BLAS below the processor: unset it to compare")
    options = Options(quick, threads or kernels.get_num_threads())
    outcomes, faults = [], []
    with count_bar(len(chosen)) as advance:
        for name in chosen:
            advance(name)
            try:
                outcomes += ROWS[name](options)
            except VerificationError as error:  # the other rows are worth having
                faults.append(f"{name}: {error}")
    found = machine()
    show(f"{found['processor']}, BLAS {' '.join(filter(None, found['blas'].values()))}")
    show("Times as fast as numpy, or as named: medians, and how wide their middle half is.")
    print_outcomes(outcomes)
    print_worst(outcomes)
    if json_path is not None:
        report = {"machine": found, "versions": versions(), "blas_restraints": blas_restraints()}
        report["outcomes"] = [outcome.report() for outcome in outcomes]
        json_path.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    for fault in faults:
        fail(fault)
    if faults:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
