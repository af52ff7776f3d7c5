"""The contract of a kernel, as checks that can be run on any kernel.

Each check takes a `Kernel` and raises ``AssertionError`` with the smallest example among those it
tries; `examine` then looks for a smaller one. ``CONTRACT`` holds for every kernel. ``REPRODUCIBLE``
is what this package's own kernels promise besides, and BLAS does not: bits that depend on nothing
but a row of `a` and on `b`.

Sizes are chosen without knowledge of a kernel's blocksizes: every small one, and one below, on and
above each power of two. Products that are large for a kernel, by its own ``max_multiplications``,
are left out, so that checking the slowest rung takes seconds too.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numba
import numpy as np

from fastnn.kernels import get
from fastnn.kernels.interface import DTYPES, Array, Kernel
from fastnn.kernels.runtime.abi import entry_point
from fastnn.kernels.runtime.program import Program
from fastnn.kernels.runtime.threads import MAX_THREADS, get_num_threads, set_num_threads
from fastnn.kernels.testing.trials import (
    LAYOUTS,
    OPERAND_LAYOUTS,
    Counterexample,
    Trial,
    case,
    close,
    equal,
    equal_and_signed,
    shrink,
    verify,
)

Shape = tuple[int, int, int]  # (m, k, n)

MIN_AFFORDABLE = 1000  # multiplications: a product that any kernel can be asked for
AFFORDABLE_PART = 0.01  # of `Kernel.max_multiplications`
_EDGES = [size + d for size in (128, 256, 512, 1024) for d in (-1, 0, 1)]
_SHAPES: list[Shape] = [
    *((s, s, s) for s in range(1, 71)),
    *((s, 5, 7) for s in [*range(1, 71), *_EDGES]),
    *((5, s, 7) for s in [*range(1, 71), *_EDGES]),
    *((5, 7, s) for s in [*range(1, 71), *_EDGES]),
    *[(1, 784, 128), (64, 784, 10), (1000, 30, 20), (3, 700, 300), (300, 3, 700), (129, 130, 257)],
]


def check_product(kernel: Kernel, a: Array, b: Array, out: Array, every: int = 1) -> None:
    """Check one product against wider arithmetic, and that the operands are unchanged.

    Wider arithmetic is slow, so of a large product one row in `every` may be compared, and the
    others only searched for NaN, with which `out` must be filled beforehand.
    """
    verify(kernel, a, b, out, partial(close, every=every))


def check_shapes(kernel: Kernel) -> None:
    """Check every small shape, tile edges, tall and wide matrices."""
    for shape, dtype in product(_affordable(kernel, _SHAPES), DTYPES):
        Trial(*_random(shape, dtype)).put_to(kernel)


def check_empty(kernel: Kernel) -> None:
    """Check products without rows or columns, and sums of nothing."""
    for (m, k, n), dtype in product(product((0, 1, 3), repeat=3), DTYPES):
        if m * k * n:
            continue
        a, b = np.ones((m, k), dtype), np.ones((k, n), dtype)
        out = kernel(a, b, _nan(a, b))
        assert not out.any(), f"{kernel.name}: ({m}, {k}) @ ({k}, {n}) must be zeros, not {out}"


def check_layouts(kernel: Kernel) -> None:
    """Check each layout of each operand with each of the others."""
    shapes: list[Shape] = [(1, 3, 1), (3, 5, 4), (17, 9, 33)]
    for shape, dtype in product(_affordable(kernel, shapes), DTYPES):
        a, b = _random(shape, dtype)
        for layouts in product(OPERAND_LAYOUTS, OPERAND_LAYOUTS, LAYOUTS):
            Trial(a, b, layouts=layouts).put_to(kernel)


def check_special_values(kernel: Kernel) -> None:
    """Check that NaN, infinity and overflow propagate as in IEEE arithmetic, through zeros too."""
    for a, b in _small_integers(kernel):
        limits = np.finfo(a.dtype)
        for operand, value in product((a, b), (np.nan, np.inf, -np.inf, limits.max)):
            for place in (0, operand.size // 2, operand.size - 1):
                integer = operand.flat[place]
                operand.flat[place] = value
                Trial(a, b, equal).put_to(kernel)
                operand.flat[place] = integer


def check_denormals(kernel: Kernel) -> None:
    """Check that denormal numbers are not taken for zero."""
    for a, b in _small_integers(kernel):
        tiny = np.finfo(a.dtype).smallest_subnormal
        Trial(a * tiny, b, equal).put_to(kernel)
        Trial(a, b * tiny, equal).put_to(kernel)


def check_signed_zeros(kernel: Kernel) -> None:
    """Check that a sum of zero is +0.0, unless every term is -0.0."""
    for a, b in _small_integers(kernel):
        a[a == 0] = -0.0
        Trial(a, b, equal_and_signed).put_to(kernel)


def check_prepared(kernel: Kernel) -> None:
    """Check that a compiled program, if it can run the kernel, gets the same bits."""
    if kernel.prepare is None or numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return
    for a, b in _large(kernel):
        for operands in ((a, b), (np.asfortranarray(a), np.asfortranarray(b))):
            out = _nan(a, b)
            op, arguments = kernel.prepare(*operands, out)
            address = entry_point(op, arguments, strided=True)
            assert address, f"{kernel.name}: prepare returns {op}, which is not compiled"
            Program([(address, arguments)]).run()
            assert _same_bits(out, kernel(*operands)), (
                f"{kernel.name}: a compiled program gets other bits, {case(a, b)}"
            )


def check_repeatable(kernel: Kernel) -> None:
    """Check that the same product gives the same bits again."""
    for a, b in _large(kernel):
        first, second = kernel(a, b), kernel(a, b)
        assert _same_bits(first, second), f"{kernel.name}: other bits again, {case(a, b)}"


def check_rows_alone(kernel: Kernel) -> None:
    """Check that a row of `a` gives the same bits alone and in any batch."""
    for a, b in _large(kernel):
        whole = kernel(a, b)
        for start, stop in _parts(len(a)):
            part = kernel(a[start:stop], b)
            assert _same_bits(part, whole[start:stop]), (
                f"{kernel.name}: rows {start} to {stop} of {len(a)} have other bits alone, "
                f"{case(a, b)}"
            )


def check_threads(kernel: Kernel) -> None:
    """Check that the bits do not depend on the number of threads."""
    num_threads = get_num_threads()
    try:
        for a, b in _large(kernel):
            set_num_threads(1)
            single = kernel(a, b)
            for n in range(2, MAX_THREADS + 1):
                set_num_threads(n)
                assert _same_bits(kernel(a, b), single), (
                    f"{kernel.name}: {n} threads give other bits than 1, {case(a, b)}"
                )
    finally:
        set_num_threads(num_threads)


Check = Callable[[Kernel], None]
CONTRACT: tuple[Check, ...] = (
    check_empty,
    check_shapes,
    check_layouts,
    check_special_values,
    check_denormals,
    check_signed_zeros,
    check_prepared,
)
REPRODUCIBLE: tuple[Check, ...] = (check_repeatable, check_rows_alone, check_threads)


def examine(kernel: Kernel, check: Check) -> AssertionError | None:
    """Run a check; return the smallest example of what it finds, or None."""
    try:
        check(kernel)
    except Counterexample as found:
        return shrink(found)
    except AssertionError as found:
        return found
    except Exception as error:
        return AssertionError(f"{kernel.name} raised {type(error).__name__}: {error}")
    return None


def find_fault(name: str) -> str | None:
    """Return why a kernel cannot be used here, or None if a small product comes out right."""
    a = np.arange(6, dtype=np.float64).reshape(2, 3)
    expected = [[5.0, 14.0], [14.0, 50.0]]  # a @ a.T
    try:
        kernel = get(name)
        for dtype in DTYPES:
            product = kernel(a.astype(dtype), a.astype(dtype).T)
            if product.tolist() != expected:
                return f"computes {product.tolist()} for {expected} in {dtype}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _affordable(kernel: Kernel, shapes: list[Shape]) -> list[Shape]:
    """Return the shapes that a kernel can compute in an instant, smallest first.

    Whatever a kernel calls reasonable, some shapes are left: without any, nothing would be checked.
    """
    limit = max(kernel.max_multiplications * AFFORDABLE_PART, MIN_AFFORDABLE)
    return sorted((s for s in shapes if np.prod(s) <= limit), key=lambda s: int(np.prod(s)))


def _random(shape: Shape, dtype: np.dtype[np.floating]) -> tuple[Array, Array]:
    m, k, n = shape
    rng = np.random.default_rng(shape)
    return rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)


def _nan(a: Array, b: Array) -> Array:
    """Return an array for ``a @ b``, full of NaN, which must not show in the product."""
    return np.full((a.shape[0], b.shape[1]), np.nan, a.dtype)


def _small_integers(kernel: Kernel) -> Iterator[tuple[Array, Array]]:
    """Yield pairs whose product is exact in any order of summation, zeros among them."""
    shapes: list[Shape] = [(1, 1, 1), (2, 3, 4), (1, 9, 17), (6, 17, 1), (15, 18, 35)]
    for (m, k, n), dtype in product(_affordable(kernel, shapes), DTYPES):
        rng = np.random.default_rng(k)
        a = rng.integers(-3, 4, (m, k)).astype(dtype)
        b = rng.integers(-3, 4, (k, n)).astype(dtype)
        a[0], b[:, 0] = 0, 0
        yield a, b


def _large(kernel: Kernel) -> Iterator[tuple[Array, Array]]:
    """Yield pairs, the larger of which have work for several threads."""
    shapes: list[Shape] = [(3, 5, 2), (37, 70, 33), (131, 97, 66), (300, 129, 48)]
    for shape, dtype in product(_affordable(kernel, shapes), DTYPES):
        yield _random(shape, dtype)


def _parts(m: int) -> Iterator[tuple[int, int]]:
    yield from ((i, i + 1) for i in range(m))
    yield from ((1, stop) for stop in (2, m // 2, m) if stop > 1)


def _same_bits(x: Array, y: Array) -> bool:
    return x.tobytes() == y.tobytes()
