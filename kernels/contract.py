"""What a kernel promises, as checks that can be run on any kernel.

Each check takes a `Kernel` and raises ``AssertionError`` with the smallest example it found.
``CONTRACT`` holds for every kernel. ``REPRODUCIBLE`` is what this package's own promise besides,
and BLAS does not: bits that depend on nothing but a row of `a` and on `b`.

Sizes are chosen without knowing a kernel's tiles: every small one, and one below, on and above
the powers of two. What takes a kernel longer than a small part of what it calls reasonable is
left out, so that a check of the slowest rung takes seconds too.
"""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import numpy.typing as npt

from kernels.interface import DTYPES, Array, Kernel
from kernels.threads import MAX_THREADS, get_num_threads, set_num_threads

Shape = tuple[int, int, int]  # (m, k, n)


def _fill(view: Array, values: Array) -> Array:
    view[...] = values
    return view


def _c_order(values: Array) -> Array:
    m, n = values.shape
    return _fill(np.full((m + 2, n), np.nan, values.dtype)[1:-1], values)


def _part_of_wider(values: Array) -> Array:
    m, n = values.shape
    return _fill(np.full((m, n + 3), np.nan, values.dtype)[:, 1:-2], values)


def _steps(values: Array) -> Array:
    m, n = values.shape
    return _fill(np.full((2 * m, 3 * n), np.nan, values.dtype)[::2, ::3], values)


def _misaligned(values: Array) -> Array:
    raw = np.zeros(values.nbytes + values.itemsize, np.uint8)[1 : 1 + values.nbytes]
    return _fill(raw.view(values.dtype).reshape(values.shape), values)


def _record_field(values: Array) -> Array:
    records = np.zeros(values.shape, [("pad", "u1"), ("value", values.dtype)])
    return _fill(records["value"], values)


def _read_only(values: Array) -> Array:
    array = _c_order(values)
    array.flags.writeable = False
    return array


# Where a matrix may lie in memory: each function returns a copy of its values that lies so,
# mostly with foreign elements around it, which nobody may write to or be misled by.
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "C": _c_order,
    "Fortran": lambda values: _c_order(values.T).T,
    "part of a wider matrix": _part_of_wider,
    "transpose of a part": lambda values: _part_of_wider(values.T).T,
    "every second row, every third column": _steps,
    "backwards": lambda values: _c_order(values[::-1, ::-1])[::-1, ::-1],
    "misaligned": _misaligned,
    "field of a packed record": _record_field,
}
# These repeat values, or cannot be written to.
OPERAND_LAYOUTS = LAYOUTS | {
    "read-only": _read_only,
    "one row repeated": lambda values: np.broadcast_to(_c_order(values[:1]), values.shape),
    "one column repeated": lambda values: np.broadcast_to(_c_order(values[:, :1]), values.shape),
}

_EDGES = [size + d for size in (128, 256, 512, 1024) for d in (-1, 0, 1)]
_SHAPES: list[Shape] = [
    *((s, s, s) for s in range(1, 71)),
    *((s, 5, 7) for s in [*range(1, 71), *_EDGES]),
    *((5, s, 7) for s in [*range(1, 71), *_EDGES]),
    *((5, 7, s) for s in [*range(1, 71), *_EDGES]),
    *[(1, 784, 128), (64, 784, 10), (1000, 30, 20), (3, 700, 300), (300, 3, 700), (129, 130, 257)],
]


def check_product(kernel: Kernel, a: Array, b: Array, out: Array, every: int = 1) -> None:
    """Check one product against wider arithmetic, and that nothing but `out` was written.

    Wider arithmetic may be slow: of a large product `every` so many rows can be compared, and
    the others be asked for numbers only, if `out` was full of NaN.

    The bound on the error, ``k · eps · (|a| @ |b|)`` element by element, is twice what k
    rounded products and additions can add up to, in any order (Higham, "Accuracy and
    Stability of Numerical Algorithms", 3.1): room for the rounding of the reference, too.
    """
    before = [array.tobytes() for array in (a, b)]
    _compute(kernel, a, b, out)
    for name, operand, was in zip("ab", (a, b), before, strict=True):
        assert operand.tobytes() == was, f"{kernel.name} changed {name}: {_case(a, b)}"
    wide = np.float64 if a.dtype == np.float32 else np.longdouble
    rows = a[::every]
    exact = rows.astype(wide) @ b.astype(wide)
    scale = abs(rows).astype(wide) @ abs(b).astype(wide)
    bound = a.shape[1] * float(np.finfo(a.dtype).eps) * scale
    expected: Array = out.astype(wide)
    wrong = np.isnan(out)
    expected[::every] = exact
    with np.errstate(invalid="ignore"):
        wrong[::every] = ~(abs(out[::every] - exact) <= bound)  # this way round NaN is wrong
    _assert_none(wrong, kernel, a, b, out, expected)


def check_shapes(kernel: Kernel) -> None:
    """Check every small shape, tile edges, tall and wide matrices."""
    for shape, dtype in product(_affordable(kernel, _SHAPES), DTYPES):
        a, b = _random(shape, dtype)
        check_product(kernel, a, b, _nan(a, b))


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
    layouts = list(product(OPERAND_LAYOUTS, OPERAND_LAYOUTS, LAYOUTS))
    for shape, dtype in product(_affordable(kernel, shapes), DTYPES):
        left, right = _random(shape, dtype)
        nan = _nan(left, right)
        for a_layout, b_layout, out_layout in layouts:
            a, b = OPERAND_LAYOUTS[a_layout](left), OPERAND_LAYOUTS[b_layout](right)
            out = LAYOUTS[out_layout](nan)
            case = f"a: {a_layout}, b: {b_layout}, out: {out_layout}"
            before = surroundings(out)
            try:
                check_product(kernel, a, b, out)
            except AssertionError as error:
                raise AssertionError(f"{error} ({case})") from None
            assert surroundings(out) == before, f"{kernel.name} wrote beside out: {case}"


def check_special_values(kernel: Kernel) -> None:
    """Check that NaN, infinity and overflow go where IEEE arithmetic has them, zeros included."""
    for a, b in _small_integers(kernel):
        limits = np.finfo(a.dtype)
        for operand, value in product((a, b), (np.nan, np.inf, -np.inf, limits.max)):
            for place in (0, operand.size // 2, operand.size - 1):
                integer = operand.flat[place]
                operand.flat[place] = value
                _check_exact(kernel, a, b, _sum_of_products(a, b))
                operand.flat[place] = integer


def check_denormals(kernel: Kernel) -> None:
    """Check that numbers below the normal range are not taken for zero."""
    for a, b in _small_integers(kernel):
        tiny = np.finfo(a.dtype).smallest_subnormal
        _check_exact(kernel, a * tiny, b, (a @ b) * tiny)
        _check_exact(kernel, a, b * tiny, (a @ b) * tiny)


def check_signed_zeros(kernel: Kernel) -> None:
    """Check that a sum that is zero is +0.0, unless all it sums is -0.0."""
    for a, b in _small_integers(kernel):
        a[a == 0] = -0.0
        products = a[:, :, None] * b
        expected = products.sum(axis=1)
        out = _nan(a, b)
        _compute(kernel, a, b, out)
        negative = np.signbit(out) & (out == 0)
        all_negative = (np.signbit(products) & (products == 0)).all(axis=1)
        _assert_none((out != expected) | (negative & ~all_negative), kernel, a, b, out, expected)


def check_repeatable(kernel: Kernel) -> None:
    """Check that the same product has the same bits again."""
    for a, b in _large(kernel):
        first, second = kernel(a, b), kernel(a, b)
        assert _same_bits(first, second), f"{kernel.name}: other bits again, {_case(a, b)}"


def check_rows_alone(kernel: Kernel) -> None:
    """Check that a row of `a` gives the same bits alone and in any batch."""
    for a, b in _large(kernel):
        whole = kernel(a, b)
        for start, stop in _parts(len(a)):
            part = kernel(a[start:stop], b)
            assert _same_bits(part, whole[start:stop]), (
                f"{kernel.name}: rows {start} to {stop} of {len(a)} have other bits alone, "
                f"{_case(a, b)}"
            )


def check_threads(kernel: Kernel) -> None:
    """Check that the number of threads does not show in the bits."""
    num_threads = get_num_threads()
    try:
        for a, b in _large(kernel):
            set_num_threads(1)
            single = kernel(a, b)
            for n in range(2, MAX_THREADS + 1):
                set_num_threads(n)
                assert _same_bits(kernel(a, b), single), (
                    f"{kernel.name}: {n} threads give other bits than 1, {_case(a, b)}"
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
)
REPRODUCIBLE: tuple[Check, ...] = (check_repeatable, check_rows_alone, check_threads)


def _affordable(kernel: Kernel, shapes: list[Shape]) -> list[Shape]:
    """Return the shapes that are a hundredth of what is reasonable or less, smallest first."""
    limit = kernel.max_multiplications / 100
    return sorted((s for s in shapes if np.prod(s) <= limit), key=lambda s: int(np.prod(s)))


def _random(shape: Shape, dtype: np.dtype[np.floating]) -> tuple[Array, Array]:
    m, k, n = shape
    rng = np.random.default_rng(shape)
    return rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)


def _nan(a: Array, b: Array) -> Array:
    """Return what is to hold ``a @ b``, full of what must not show in it."""
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
    """Yield pairs of which the larger ones are worth several threads."""
    shapes: list[Shape] = [(3, 5, 2), (37, 70, 33), (131, 97, 66), (300, 129, 48)]
    for shape, dtype in product(_affordable(kernel, shapes), DTYPES):
        yield _random(shape, dtype)


def _parts(m: int) -> Iterator[tuple[int, int]]:
    yield from ((i, i + 1) for i in range(m))
    yield from ((1, stop) for stop in (2, m // 2, m) if stop > 1)


def _compute(kernel: Kernel, a: Array, b: Array, out: Array) -> None:
    with np.errstate(all="ignore"):  # to warn, as BLAS in NumPy does, is the caller's choice
        kernel.compute(a, b, out)


def _sum_of_products(a: Array, b: Array) -> Array:
    with np.errstate(all="ignore"):
        sums: Array = (a[:, :, None] * b).sum(axis=1)
    return sums


def _check_exact(kernel: Kernel, a: Array, b: Array, expected: Array) -> None:
    out = _nan(a, b)
    _compute(kernel, a, b, out)
    same = (out == expected) | (np.isnan(out) & np.isnan(expected))
    _assert_none(~same, kernel, a, b, out, expected)


def _assert_none(
    wrong: npt.NDArray[np.bool_], kernel: Kernel, a: Array, b: Array, out: Array, expected: Array
) -> None:
    if wrong.any():
        i, j = (int(index) for index in np.argwhere(wrong)[0])
        raise AssertionError(
            f"{kernel.name}: out[{i}, {j}] is {out[i, j]}, not {expected[i, j]}; "
            f"{wrong.sum()} of {wrong.size} elements are wrong, {_case(a, b)}"
        )


def _case(a: Array, b: Array) -> str:
    return f"{a.shape} @ {b.shape} in {a.dtype}"


def surroundings(view: Array) -> bytes:
    """Return the bytes of the array that `view` is a part of, without what `view` itself holds."""
    values = view.copy()
    view[...] = 0
    assert view.base is not None
    surroundings: bytes = view.base.tobytes()
    view[...] = values
    return surroundings


def _same_bits(x: Array, y: Array) -> bool:
    return x.tobytes() == y.tobytes()
