"""How near the `numba` kernel comes to BLAS on the shapes of networks.

``python -m benchmarks.products [--threads N] [--quick]``

Every product is verified before it is timed. Calls of the two kernels alternate in short
batches, so that what else the machine does meets both alike; a figure is the median of the
ratios, and the spread is the middle half of them.
"""

import math
import os
import statistics
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter, sleep

import numpy as np

with suppress(ImportError):  # asv imports every file here, on commits without the packages too
    import typer
    from rich.console import Console
    from rich.table import Table
    from threadpoolctl import threadpool_info

    import kernels
    from kernels import contract

NETWORKS = ((784, 128, 10), (784, 512, 512, 10), (64, 32, 10), (54, 200, 7))
BATCHES = (1, 16, 32, 64, 100, 256, 1024)
PAUSE = 0.05  # seconds
HANDICAPS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_DEBUG_CPU_TYPE")


@dataclass(frozen=True)
class Product:
    """A product as a network has it: m, k, n, and which operands are transposed views."""

    m: int
    k: int
    n: int
    transposed: str = ""

    def __str__(self) -> str:
        a, b = ("ᵀ" if name in self.transposed else "" for name in "ab")
        return f"{self.m}×{self.k}{a} · {self.k}×{self.n}{b}"


def network_products() -> list[Product]:
    """Return the products of forward and backward steps, each once."""
    products: dict[Product, None] = {}
    for batch in BATCHES:
        for widths in NETWORKS:
            for n_in, n_out in pairwise(widths):
                products[Product(batch, n_in, n_out)] = None
                products[Product(n_in, batch, n_out, "a")] = None
                products[Product(batch, n_out, n_in, "b")] = None
    return list(products)


def operands(product: Product, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a, b and an out full of NaN."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal(
        (product.k, product.m) if "a" in product.transposed else (product.m, product.k)
    )
    b = rng.standard_normal(
        (product.n, product.k) if "b" in product.transposed else (product.k, product.n)
    )
    a, b = a.astype(dtype), b.astype(dtype)
    out = np.full((product.m, product.n), np.nan, dtype)
    return a.T if "a" in product.transposed else a, b.T if "b" in product.transposed else b, out


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Return what one of `repeats` calls takes."""
    start = perf_counter()
    for _ in range(repeats):
        call()
    return (perf_counter() - start) / repeats


def turn(call: Callable[[], object], repeats: int) -> float:
    """Return what a call takes once the other kernel's idle threads have gone to sleep.

    Threads of OpenMP and of BLAS wait for work in a loop at first, and would take turns with
    each other's on the same cores.
    """
    if kernels.get_num_threads() > 1:
        sleep(PAUSE)
        call()
    return seconds(call, repeats)


@dataclass(frozen=True)
class Comparison:
    """Median seconds of two calls, and the quartiles of their ratio."""

    ours: float
    theirs: float
    low: float
    ratio: float
    high: float


def compare(ours: Callable[[], object], theirs: Callable[[], object], budget: float) -> Comparison:
    """Time two calls, in turns, for about `budget` seconds."""
    once = max(1e-7, min(seconds(ours, 3), seconds(theirs, 3)))
    repeats = max(1, int(2e-4 / once))
    if kernels.get_num_threads() > 1:
        repeats *= 10
    rounds = max(5, min(101, int(budget / (2 * repeats * once))))
    pairs = [(turn(ours, repeats), turn(theirs, repeats)) for _ in range(rounds)]
    ratios = sorted(other / own for own, other in pairs)
    return Comparison(
        statistics.median(own for own, _ in pairs),
        statistics.median(other for _, other in pairs),
        ratios[rounds // 4],
        statistics.median(ratios),
        ratios[-1 - rounds // 4],
    )


def measure(product: Product, dtype: str, budget: float) -> Comparison:
    """Verify one product, then time it against NumPy."""
    kernel = kernels.get("numba")
    a, b, out = operands(product, dtype)
    contract.check_product(kernel, a, b, out)
    other = np.empty_like(out)
    return compare(lambda: kernel.compute(a, b, out), lambda: np.matmul(a, b, out=other), budget)


def main(
    threads: int = 1,
    quick: bool = False,
) -> None:
    """Print how the `numba` kernel compares with `numpy` on network shapes and on squares."""
    console = Console()
    for name in HANDICAPS:
        if name in os.environ:
            console.print(f"warning: {name} is set, which may hold BLAS back; unset it")
    kernels.set_num_threads(threads)
    blas = ", ".join(
        str(p.get("architecture")) for p in threadpool_info() if "blas" in p["user_api"]
    )
    console.print(f"{threads} threads, BLAS for {blas}; ratio: numpy's time by ours")
    budget = 0.03 if quick else 0.3
    for dtype in ("float32", "float64"):
        measured = [(product, measure(product, dtype, budget)) for product in network_products()]
        mean = math.exp(statistics.fmean(math.log(c.ratio) for _, c in measured))
        slower = sum(c.ratio < 1 for _, c in measured)
        console.print(
            f"{dtype}, {len(measured)} network shapes: geometric mean {mean:.2f}, {slower} below 1"
        )
        table = Table("product", "GFLOP/s", "ratio", "middle half")
        measured.sort(key=lambda row: row[1].ratio)
        squares = [Product(n, n, n) for n in (64, 128, 256, 512, 1024)]
        for product, c in [*measured[:8], *((s, measure(s, dtype, budget)) for s in squares)]:
            speed = 2e-9 * product.m * product.k * product.n / c.ours
            table.add_row(
                str(product), f"{speed:.1f}", f"{c.ratio:.2f}", f"{c.low:.2f} to {c.high:.2f}"
            )
        console.print(table)


if __name__ == "__main__":
    typer.run(main)
