"""Trials: single products that a kernel must get right, with their values and memory layouts.

A kernel that fails a `Trial` has a `Counterexample`, and `shrink` makes it as small as it can.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fastnn.kernels.interface import Array, Kernel

# Takes a, b and out; returns the expected product, and which elements of out are wrong.
Judge: TypeAlias = Callable[[Array, Array, Array], tuple[Array, npt.NDArray[np.bool_]]]

MAX_TRIALS = 5000  # to shrink one counterexample
MAX_SIMPLIFIED = 64  # elements of a and b together; if there are more, they stay as they are


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


# How a matrix may lie in memory. Each function returns a copy in its layout, mostly with foreign
# elements around it, which a kernel must neither write to nor use.
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
# Layouts that repeat values, or cannot be written to.
OPERAND_LAYOUTS = LAYOUTS | {
    "read-only": _read_only,
    "one row repeated": lambda values: np.broadcast_to(_c_order(values[:1]), values.shape),
    "one column repeated": lambda values: np.broadcast_to(_c_order(values[:, :1]), values.shape),
}


def close(a: Array, b: Array, out: Array, every: int = 1) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Judge by wider arithmetic: one row in `every`, and the others by NaN alone.

    The bound on the error, ``k · eps · (|a| @ |b|)`` element by element, is twice what k rounded
    products and additions can add up to, in any order (Higham, "Accuracy and Stability of Numerical
    Algorithms", 3.1), which leaves room for the rounding of the reference.
    """
    wide = np.float64 if a.dtype == np.float32 else np.longdouble
    rows = a[::every]
    exact = rows.astype(wide) @ b.astype(wide)
    scale = abs(rows).astype(wide) @ abs(b).astype(wide)
    bound = a.shape[1] * float(np.finfo(a.dtype).eps) * scale
    expected: Array = out.astype(wide)
    wrong = np.isnan(out)
    expected[::every] = exact
    with np.errstate(invalid="ignore"):
        wrong[::every] = ~(abs(out[::every] - exact) <= bound)  # `>` would let NaN pass
    return expected, wrong


def equal(a: Array, b: Array, out: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Judge sums that are exact in any order, or not finite."""
    with np.errstate(all="ignore"):
        expected: Array = (a[:, :, None] * b).sum(axis=1)
    return expected, ~((out == expected) | (np.isnan(out) & np.isnan(expected)))


def equal_and_signed(a: Array, b: Array, out: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Judge as `equal` does, and zeros by their sign: +0.0, unless every term is -0.0."""
    products = a[:, :, None] * b
    negative = (np.signbit(products) & (products == 0)).all(axis=1)
    expected, wrong = equal(a, b, out)
    return np.where(negative, -0.0, expected), wrong | ((out == 0) & np.signbit(out) & ~negative)


@dataclass(frozen=True)
class Trial:
    """A product that a kernel must get right.

    Parameters
    ----------
    a : ndarray of shape (m, k)
    b : ndarray of shape (k, n)
    judge : callable
        `close`, or for values that it suits, `equal` or `equal_and_signed`.
    layouts : tuple of str
        The layouts of a and b, from `OPERAND_LAYOUTS`, and of out, from `LAYOUTS`.

    """

    a: Array
    b: Array
    judge: Judge = close
    layouts: tuple[str, str, str] = ("C", "C", "C")

    def put_to(self, kernel: Kernel) -> None:
        """Let a kernel compute the product, and check what it does.

        Raises
        ------
        Counterexample
            The result is wrong, memory other than `out` has changed, or the kernel raised.

        """
        a, b = self.operands()
        out = LAYOUTS[self.layouts[2]](np.full((len(a), b.shape[1]), np.nan, a.dtype))
        before = surroundings(out)
        try:
            verify(kernel, a, b, out, self.judge)
            unchanged = surroundings(out) == before
            assert unchanged, f"{kernel.name} wrote beside out: {case(a, b)}"
        except AssertionError as error:
            raise Counterexample(f"{error}{self._where()}", kernel, self, out) from None

    def operands(self) -> tuple[Array, Array]:
        """Return new copies of a and b in their layouts."""
        return OPERAND_LAYOUTS[self.layouts[0]](self.a), OPERAND_LAYOUTS[self.layouts[1]](self.b)

    def _where(self) -> str:
        if set(self.layouts) == {"C"}:
            return ""
        named = zip(("a", "b", "out"), self.layouts, strict=True)
        return f" ({', '.join(f'{name}: {layout}' for name, layout in named)})"


class Counterexample(AssertionError):  # noqa: N818 - not an error of the program
    """A product that a kernel gets wrong.

    Attributes
    ----------
    kernel : Kernel
    trial : Trial
    out : ndarray of shape (m, n)
        As the kernel left it; it was full of NaN.

    """

    def __init__(self, text: str, kernel: Kernel, trial: Trial, out: Array) -> None:
        super().__init__(text)
        self.kernel, self.trial, self.out = kernel, trial, out

    @property
    def expected(self) -> Array:
        """The right product, in the arithmetic that `out` was judged by."""
        return self.trial.judge(*self.trial.operands(), self.out)[0]


def verify(kernel: Kernel, a: Array, b: Array, out: Array, judge: Judge) -> None:
    """Call ``compute``; assert that `out` is right, and that `a` and `b` are unchanged."""
    before = [array.tobytes() for array in (a, b)]
    try:
        with np.errstate(all="ignore"):  # a kernel may warn, as NumPy's BLAS does
            kernel.compute(a, b, out)
    except Exception as error:
        raise AssertionError(
            f"{kernel.name} raised {type(error).__name__}: {error}; {case(a, b)}"
        ) from error
    for name, operand, was in zip("ab", (a, b), before, strict=True):
        assert operand.tobytes() == was, f"{kernel.name} changed {name}: {case(a, b)}"
    expected, wrong = judge(a, b, out)
    if wrong.any():
        i, j = (int(index) for index in np.argwhere(wrong)[0])
        raise AssertionError(
            f"{kernel.name}: out[{i}, {j}] is {out[i, j]}, not {expected[i, j]}; "
            f"{wrong.sum()} of {wrong.size} elements are wrong, {case(a, b)}"
        )


def case(a: Array, b: Array) -> str:
    """Describe a product for a message."""
    return f"{a.shape} @ {b.shape} in {a.dtype}"


def shrink(found: Counterexample) -> Counterexample:
    """Return a smaller example of the same mistake, from which nothing can be left out.

    Rows, columns and steps of k are left out, many at a time at first, as long as the kernel still
    fails. Then layouts become plain, and elements become 1 or 2.
    """
    candidates = _simpler(found.trial)
    for _ in range(MAX_TRIALS):
        try:
            next(candidates).put_to(found.kernel)
        except StopIteration:
            break
        except Counterexample as smaller:
            found = smaller
            candidates = _simpler(found.trial)
    return found


def _simpler(trial: Trial) -> Iterator[Trial]:
    """Yield trials that are a little smaller or plainer."""
    a, b = trial.a, trial.b
    sizes = (len(a), len(b), b.shape[1])
    for axis in sorted(range(3), key=lambda axis: sizes[axis]):
        for kept in _smaller(sizes[axis]):
            if axis == 0:
                yield replace(trial, a=a[kept])
            elif axis == 1:
                yield replace(trial, a=a[:, kept], b=b[kept])
            else:
                yield replace(trial, b=b[:, kept])
    in_a, in_b, in_out = trial.layouts
    for layouts in (("C", in_b, in_out), (in_a, "C", in_out), (in_a, in_b, "C")):
        if layouts != trial.layouts:
            yield replace(trial, layouts=layouts)
    singly = a.size + b.size <= MAX_SIMPLIFIED
    yield from (replace(trial, a=values) for values in _plainer(a, singly))
    yield from (replace(trial, b=values) for values in _plainer(b, singly))


def _plainer(values: Array, singly: bool) -> Iterator[Array]:
    """Yield ones, and copies with a single element made 1 or 2 if that is to be tried."""
    places = np.argwhere(values != 1)
    if len(places):
        yield np.ones_like(values)
    for place in map(tuple, places if singly else ()):
        for plain in (1, 2):
            if values[place] != plain:
                simple = values.copy()
                simple[place] = plain
                yield simple


def _smaller(size: int) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the indices below `size` with a run left out, from half of them down to one."""
    without = size // 2
    while without:
        for start in range(0, size, without):
            if size > without:
                yield np.delete(np.arange(size), slice(start, start + without))
        without //= 2


def surroundings(view: Array) -> bytes:
    """Return the bytes of the array that `view` is a part of, with zeros in place of `view`."""
    values = view.copy()
    view[...] = 0
    assert view.base is not None
    surroundings: bytes = view.base.tobytes()
    view[...] = values
    return surroundings
