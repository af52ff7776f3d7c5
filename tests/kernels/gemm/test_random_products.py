"""The kernel `numba` on random products: combinations of shape and layout nobody thought of."""

from typing import NamedTuple

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels.gemm.blocksizes import blocksizes
from fastnn.kernels.interface import DTYPES
from fastnn.kernels.runtime.threads import MAX_THREADS, set_num_threads
from fastnn.kernels.testing import contract, trials

CHUNKS, CHUNK, QUICK = 20, 500, 200
THREADS = sorted({1, min(2, MAX_THREADS)})
MAX_MULTIPLICATIONS = 2e7  # so that 10,000 products and their references take minutes
MAX_COMPARED = 3e5  # multiplications in longdouble, which is slow; in more, some rows are compared


def _rows_apart(stride):
    """Return the layout whose rows lie a multiple of `stride` bytes apart."""

    def lay(values):
        m, n = values.shape
        row = -(-n * values.itemsize // stride) * stride // values.itemsize
        view = np.full((m, row), np.nan, values.dtype)[:, :n]
        view[...] = values
        return view

    return lay


def _every_second(values):
    whole = np.full((2 * len(values), values.shape[1]), np.nan, values.dtype)
    whole[::2] = values
    return whole[::2]


LAYOUTS = trials.LAYOUTS | {
    "rows 2048 bytes apart": _rows_apart(2048),
    "rows 4096 bytes apart": _rows_apart(4096),
    "columns 2048 bytes apart": lambda values: _rows_apart(2048)(values.T).T,
    "columns 4096 bytes apart": lambda values: _rows_apart(4096)(values.T).T,
    "every second row": _every_second,
    "every second column": lambda values: _every_second(values.T).T,
    "rows backwards": lambda values: _every_second(values[::-1])[::-1],
    "columns backwards": lambda values: _every_second(values.T[::-1])[::-1].T,
}
OPERAND_LAYOUTS = (
    trials.OPERAND_LAYOUTS
    | LAYOUTS
    | {"one element repeated": lambda values: np.broadcast_to(values[:1, :1].copy(), values.shape)}
)


class Case(NamedTuple):
    """A product; ``check(random_case(number))`` repeats it."""

    number: int
    shape: tuple[int, int, int]
    dtype: np.dtype
    a: str
    b: str
    out: str
    threads: int


def _size(rng, blocksize, maximum):
    """Draw a size: mostly small, often 1, or next to a multiple of a blocksize."""
    kind = rng.choice(["one", "small", "edge", "medium", "large"], p=[0.12, 0.4, 0.25, 0.18, 0.05])
    match kind:
        case "one":
            return 1
        case "small":
            return int(rng.integers(1, 41))
        case "edge":
            return max(1, blocksize * int(rng.integers(1, 9)) + int(rng.integers(-1, 2)))
        case "medium":
            return int(rng.integers(41, 200))
    return int(rng.integers(200, maximum + 1))


def random_case(number):
    rng = np.random.default_rng(number)
    dtype = DTYPES[rng.integers(len(DTYPES))]
    sizes = blocksizes(dtype.itemsize)
    while True:
        m = _size(rng, sizes.MR, 700)
        n = _size(rng, rng.choice([sizes.lanes, sizes.NR]), 700)
        k = _size(rng, rng.choice([8, sizes.KC], p=[0.9, 0.1]), max(700, 3 * sizes.KC))
        if m * n * k <= MAX_MULTIPLICATIONS:
            break
    a, b = rng.choice(sorted(OPERAND_LAYOUTS), 2)
    threads = THREADS[number // CHUNK % len(THREADS)]  # changing it takes longer than a product
    return Case(number, (m, k, n), dtype, str(a), str(b), str(rng.choice(sorted(LAYOUTS))), threads)


def check(case):
    m, k, n = case.shape
    kernel = kernels.get("numba")
    set_num_threads(case.threads)
    rng = np.random.default_rng(case.number)
    # Rows and columns of very different size: an element-wise bound sees what a norm hides.
    a = rng.standard_normal((m, k)) * 10.0 ** rng.integers(-4, 5, (m, 1))
    b = rng.standard_normal((k, n)) * 10.0 ** rng.integers(-4, 5, (1, n))
    a = OPERAND_LAYOUTS[case.a](a.astype(case.dtype))
    b = OPERAND_LAYOUTS[case.b](b.astype(case.dtype))
    out = LAYOUTS[case.out](np.full((m, n), np.nan, case.dtype))
    around = trials.surroundings(out)
    every = 1 if case.dtype == np.float32 else max(1, int(m * k * n / MAX_COMPARED))
    try:
        contract.check_product(kernel, a, b, out, every)
        assert trials.surroundings(out) == around, "wrote beside out"
        if case.number % 4 == 0:
            row = int(rng.integers(m))
            alone = kernel(a[row : row + 1].copy(), b)
            assert alone.tobytes() == out[row : row + 1].tobytes(), f"row {row} differs alone"
        if case.number % 20 == 0:
            set_num_threads(THREADS[0] + THREADS[-1] - case.threads)
            again = kernel(np.asfortranarray(a), np.ascontiguousarray(b))
            assert again.tobytes() == out.tobytes(), "other threads and layouts, other bits"
    except AssertionError as error:
        raise AssertionError(f"{error}: {case}") from None


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_products(chunk):
    for number in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        check(random_case(number))


@pytest.mark.parametrize("threads", THREADS)
def test_some_random_products(threads):
    start = CHUNKS * CHUNK
    for number in range(start, start + QUICK // len(THREADS)):
        check(random_case(number)._replace(threads=threads))


# Small caches make for small blocksizes: all five loops around the micro-kernel take several turns.
SMALL_CACHES = """
from numba.core.caching import NullCache
from fastnn.kernels.runtime import compiling, hardware

small = hardware.Caches(l1=2**12, l2=2**15, l3=2**16)
hardware.caches = lambda: small
compiling._cache_of = lambda function: NullCache()  # which would not notice

from fastnn.kernels.gemm.blocksizes import blocksizes
from tests.kernels.gemm.test_random_products import check, random_case

sizes = blocksizes({dtype.itemsize})
assert max(sizes.MC, sizes.KC, sizes.NC) < 200
for number in range({QUICK}):
    case = random_case(number)
    if case.dtype == "{dtype}":
        check(case)
"""


@pytest.mark.slow
def test_random_products_where_caches_are_small(run_side_by_side):
    scripts = [SMALL_CACHES.format(dtype=dtype, QUICK=QUICK) for dtype in DTYPES]
    run_side_by_side(*((script, {}) for script in scripts))
