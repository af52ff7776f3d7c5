"""The matrix products that networks make, and how fast each kernel is at them.

Every product is verified before it is timed, and timed by turns with the one it is compared with
(`fastnn.kernels.measuring.timing`).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from fastnn import environment, kernels
from fastnn.kernels.interface import Array, Kernel
from fastnn.kernels.measuring import ceilings, timing
from fastnn.kernels.measuring.timing import FloatArray, Spread
from fastnn.kernels.testing import contract
from fastnn.study import REFERENCE, Progress

# Wider arithmetic takes much longer than the product itself, so that only some rows are verified
# of a product with more multiplications than this.
MAX_MULTIPLICATIONS_VERIFIED = 2**20


class VerificationError(ValueError):
    """A kernel computes something else."""


@dataclass(frozen=True)
class Product:
    """A product of matrices: (m × k) · (k × n).

    Parameters
    ----------
    m, k, n : int
    transposed : str
        Which of ``a`` and ``b`` are transposed views.

    """

    m: int
    k: int
    n: int
    transposed: str = ""

    def __str__(self) -> str:
        a, b = ("ᵀ" if name in self.transposed else "" for name in "ab")
        return f"{self.m}×{self.k}{a}·{self.k}×{self.n}{b}"

    @property
    def multiplications(self) -> int:
        """How many there are; as many additions go with them."""
        return self.m * self.k * self.n

    def operands(self, dtype: str) -> tuple[Array, Array, Array]:
        """Return random a and b, and an out full of NaN."""
        rng = np.random.default_rng((self.m, self.k, self.n))
        a, b = (
            rng.standard_normal(shape).astype(dtype, order="F" if name in self.transposed else "C")
            for name, shape in (("a", (self.m, self.k)), ("b", (self.k, self.n)))
        )
        return a, b, np.full((self.m, self.n), np.nan, dtype)


def squares(*sides: int) -> list[Product]:
    """Return the products of square matrices."""
    return [Product(n, n, n) for n in sides]


def dense_products(batch: int, n_in: int, n_out: int) -> list[Product]:
    """Return the products of a dense layer: outputs, gradient of weights, gradient of inputs."""
    return [
        Product(batch, n_in, n_out),
        Product(n_in, batch, n_out, "a"),
        Product(batch, n_out, n_in, "b"),
    ]


PRODUCT_SECONDS = 0.1  # for which a kernel is timed at a product
# Squares, and what one sample and a batch of 64 take in a network of 784-128-10.
PRODUCTS = (
    *squares(64, 256, 1024),
    *dense_products(64, 784, 128),
    Product(64, 128, 10),
    Product(1, 784, 128),
)


@dataclass(frozen=True)
class Timing:
    """By round, the seconds of a kernel at a product and of what it is compared with."""

    kernel: str
    product: Product
    own: FloatArray
    reference: FloatArray

    @property
    def flops(self) -> FloatArray:
        """FLOP/s; a multiplication and the addition of its result are two operations."""
        return 2 * self.product.multiplications / self.own

    @property
    def ratio(self) -> FloatArray:
        """How many times as fast as the reference the kernel is."""
        return self.reference / self.own

    def report(self, peak: float) -> dict[str, Any]:
        """Return what the kernel reaches where `peak` is the FMA peak, in FLOP/s."""
        return {
            "kernel": self.kernel,
            "product": str(self.product),
            "n": self.product.n,
            "rounds": len(self.own),
            "flops": asdict(Spread.of(self.flops)),
            "share": asdict(Spread.of(self.flops / peak)),
            "ratio": asdict(Spread.of(self.ratio)),
        }


def measure_kernel(
    kernel: Kernel,
    products: Sequence[Product],
    dtype: str,
    *,
    seconds: float = PRODUCT_SECONDS,
    reach: float = 1.0,
    against: Product | None = None,
) -> list[Timing]:
    """Verify a kernel at some products, and time it by turns with what it is compared with.

    Parameters
    ----------
    kernel : Kernel
    products : sequence of Product
    dtype : str
    seconds : float
        About how long to time each product.
    reach : float
        The share of `Kernel.max_multiplications` up to which products are measured.
    against : Product, optional
        Compare the kernel with itself at this product; without, with NumPy at the same operands.

    Raises
    ------
    VerificationError
        The kernel or NumPy computes something else.

    """
    limit = reach * kernel.max_multiplications
    chosen = [product for product in products if product.multiplications <= limit]
    cases = []
    for product in chosen:
        a, b, out = product.operands(dtype)
        if against:
            reference = verified(kernel, *against.operands(dtype))
        else:
            reference = verified(kernels.get(REFERENCE), a, b, np.empty_like(out))
        cases.append((verified(kernel, a, b, out), reference))
    rounds = timing.compare(cases, seconds, threads=kernels.get_num_threads()) if cases else []
    return [
        Timing(kernel.name, product, *each.T) for product, each in zip(chosen, rounds, strict=True)
    ]


def verified(kernel: Kernel, a: Array, b: Array, out: Array) -> Callable[[], object]:
    """Return the bare call of a kernel, after one whose result was verified."""
    multiplications = a.size * b.shape[1]
    every = -(-multiplications // MAX_MULTIPLICATIONS_VERIFIED)
    out.fill(np.nan)
    try:
        contract.check_product(kernel, a, b, out, every=every)
    except AssertionError as error:
        raise VerificationError(f"not timed, since it is wrong: {error}") from None
    return partial(kernel.compute, a, b, out)


def report_speeds(
    chosen: Sequence[Kernel], dtype: str, progress: Progress = lambda name: None
) -> dict[str, Any]:
    """Measure the machine, and then kernels at `PRODUCTS`, with as many threads as are set.

    Returns
    -------
    dict
        Ready for `fastnn.formats.to_json`. Its ``ceilings`` are those of `Ceilings`, its
        ``speeds`` as `Timing.report` returns them.

    """
    progress("machine")
    limits = ceilings.measure(kernels.get_num_threads())
    timings = []
    for kernel in chosen:
        progress(kernel.name)
        timings += measure_kernel(kernel, PRODUCTS, dtype, seconds=PRODUCT_SECONDS)
        limits.remeasure_peak(dtype)  # since a processor changes its clock
    return environment.report() | {
        "dtype": dtype,
        "threads": limits.threads,
        "ceilings": asdict(limits),
        "speeds": [timing.report(limits.peak(dtype)) for timing in timings],
    }
