"""The matrix products that networks make, and how fast each kernel is at them.

Every product is verified before it is timed, and timed in turns with the one it is compared
with (`fastnn.kernels.measuring.timing`).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from fastnn import kernels
from fastnn.environment import blas_restraints, machine, versions
from fastnn.kernels.interface import Array, Kernel
from fastnn.kernels.measuring import ceilings as machine_ceilings
from fastnn.kernels.measuring import timing
from fastnn.kernels.measuring.timing import Case, Spread
from fastnn.kernels.testing import contract

REFERENCE = "numpy"
# Verification in wider arithmetic takes much longer than the product: of a larger one than this
# many multiplications some rows are compared.
FULLY_COMPARED = 2**20


class VerificationError(ValueError):
    """A kernel computes something else."""


@dataclass(frozen=True)
class Product:
    """A product of matrices: (m × k) · (k × n).

    Parameters
    ----------
    m, k, n : int
    transposed : str
        Which of ``a`` and ``b`` are views of an array that lies in memory the other way round.

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
        """Return a and b, of random numbers, and an out full of NaN."""
        rng = np.random.default_rng((self.m, self.k, self.n))
        a = rng.standard_normal((self.m, self.k)).astype(dtype)
        b = rng.standard_normal((self.k, self.n)).astype(dtype)
        if "a" in self.transposed:
            a = np.asfortranarray(a)
        if "b" in self.transposed:
            b = np.asfortranarray(b)
        return a, b, np.full((self.m, self.n), np.nan, dtype)


def dense_products(batch: int, n_in: int, n_out: int) -> tuple[Product, Product, Product]:
    """Return the products of a dense layer: outputs, gradient of weights, gradient of inputs."""
    return (
        Product(batch, n_in, n_out),
        Product(n_in, batch, n_out, "a"),
        Product(batch, n_out, n_in, "b"),
    )


def verified(kernel: Kernel, a: Array, b: Array, out: Array) -> Callable[[], object]:
    """Return the call of a kernel's bare entrance, after one whose result was checked.

    Raises
    ------
    VerificationError
        The result is wrong.

    """
    multiplications = a.size * b.shape[1]
    out.fill(np.nan)
    try:
        contract.check_product(kernel, a, b, out, every=-(-multiplications // FULLY_COMPARED))
    except AssertionError as error:
        raise VerificationError(f"not timed, since it is wrong: {error}") from None
    return partial(kernel.compute, a, b, out)


def case(kernel: Kernel, product: Product, dtype: str) -> Case:
    """Return a kernel's call and the reference's, both verified, on the same operands."""
    a, b, out = product.operands(dtype)
    reference = verified(kernels.get(REFERENCE), a, b, np.empty_like(out))
    return Case(str(product), (verified(kernel, a, b, out), reference))


# Squares, and what one sample and a batch of 64 take in a network of 784-128-10.
PRODUCTS = (
    *(Product(n, n, n) for n in (64, 256, 1024)),
    *dense_products(64, 784, 128),
    Product(64, 128, 10),
    Product(1, 784, 128),
)


@dataclass(frozen=True)
class Speed:
    """What a kernel reaches at a product.

    Attributes
    ----------
    kernel, product : str
    rounds : int
    flops : Spread
        FLOP/s; a multiplication and the addition of its result are two operations.
    share : Spread
        Of the FMA peak of as many threads.
    ratio : Spread
        To the reference's speed, formed round by round: 2 is twice as fast.

    """

    kernel: str
    product: str
    rounds: int
    flops: Spread
    share: Spread
    ratio: Spread


@dataclass(frozen=True)
class Timing:
    """A kernel's seconds at a product and the reference's, round by round."""

    kernel: str
    product: Product
    own: timing.Seconds
    reference: timing.Seconds

    def speed(self, peak: float) -> Speed:
        """Return what the kernel reaches where the FMA peak is `peak`, in FLOP/s."""
        flops = 2 * self.product.multiplications / self.own
        return Speed(
            self.kernel,
            str(self.product),
            len(self.own),
            Spread.of(flops),
            Spread.of(flops / peak),
            Spread.of(self.reference / self.own),
        )


def measure_kernel(
    kernel: Kernel, products: Sequence[Product], dtype: str, seconds: float = 0.1
) -> list[Timing]:
    """Time a kernel against the reference, at those of some products that are reasonable for it.

    Parameters
    ----------
    kernel : Kernel
    products : sequence of Product
    dtype : str
    seconds : float
        About how long to time each product; three calls of each kernel are made at least.

    Raises
    ------
    VerificationError
        The kernel or the reference computes something else.

    """
    chosen = [p for p in products if p.multiplications <= kernel.max_multiplications]
    if not chosen:
        return []
    cases = [case(kernel, product, dtype) for product in chosen]
    measured = timing.measure(cases, seconds, threads=kernels.get_num_threads(), least=3)
    return [
        Timing(kernel.name, product, *times.T)
        for product, times in zip(chosen, measured, strict=True)
    ]


def measure_ladder(
    dtype: str,
    ladder: Sequence[Kernel] | None = None,
    products: Sequence[Product] = PRODUCTS,
    begins: Callable[[str], object] = lambda name: None,
) -> dict[str, Any]:
    """Measure the machine and then kernels, with as many threads as are set.

    While they are measured, a processor may change its clock. Its FMA peak is therefore measured
    again after each kernel, and the fastest is the one that all have their share of.

    Parameters
    ----------
    dtype : str
        float32 or float64.
    ladder : sequence of Kernel, optional
        All that have a name without.
    products : sequence of Product, optional
    begins : callable, optional
        Is told what is measured next: the machine, or the name of a kernel.

    Returns
    -------
    dict
        Ready for `fastnn.formats.to_json`; figures as `Speed` and `fastnn.kernels.measuring.ceilings` have them.

    """
    threads = kernels.get_num_threads()
    begins("machine")
    measured = machine_ceilings.measure([threads])
    timings = []
    for kernel in map(kernels.get, kernels.names()) if ladder is None else ladder:
        begins(kernel.name)
        timings += measure_kernel(kernel, products, dtype)
        measured = machine_ceilings.measure_again(measured, dtype)
    peak = getattr(measured.ceilings[0], dtype)
    return {
        "dtype": dtype,
        "threads": threads,
        "machine": machine(),
        "versions": versions(),
        "blas_restraints": blas_restraints(),
        "ceilings": asdict(measured),
        "speeds": [asdict(each.speed(peak.median)) for each in timings],
    }
