"""One kernel computes one thing: ``out[m, n] = a[m, k] @ b[k, n]``, overwriting ``out``.

A `Kernel` is a function and the data by which to choose it, not a class to inherit from. There are
two ways to call it:

- ``kernel(a, b, out=None)`` checks everything and answers empty products itself;
- ``kernel.compute(a, b, out)`` checks nothing. Layers call this one, since their shapes and dtypes
  are settled once, when a step is planned.

``compute`` may therefore rely on the following, and on nothing else:

- ``a``, ``b`` and ``out`` are 2-D, of one dtype, float32 or float64, in native byte order.
- Their shapes fit, and ``m``, ``n`` and ``k`` are at least 1.
- ``out`` is writeable, no two of its elements share memory, and it shares none with ``a`` or ``b``.

Strides may be anything: Fortran order, a transpose (``x.T @ dy`` passes a view, never a flag),
every second row, negative, zero (in ``a`` and ``b``), not a multiple of the item size.

``out`` is write-only: what it held before, NaN included, must not show in the result. NaN,
infinities and signed zeros propagate as in IEEE arithmetic.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating]
Compute: TypeAlias = Callable[[Array, Array, Array], object]
Prepared: TypeAlias = tuple[Callable[..., object], tuple[Any, ...]]
Prepare: TypeAlias = Callable[[Array, Array, Array], Prepared]

DTYPES: tuple[np.dtype[np.floating], ...] = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True)
class Kernel:
    """A matrix product with a name.

    Parameters
    ----------
    name : str
        The name for ``kernels.get`` and ``--kernel``.
    summary : str
        One line: what this rung of the ladder changes.
    compute : callable
        ``compute(a, b, out)``, unchecked; see the module for what it may rely on.
    threaded : bool
        Whether one product may use several threads.
    max_multiplications : float
        The largest ``m·n·k`` that is still reasonable for it; benchmarks skip larger products.
    prepare : callable, optional
        For a kernel that Numba compiles: ``prepare(a, b, out)`` returns a compiled function and
        its arguments. Each call computes this product, with the same bits as `compute`, so that
        a compiled program can run the kernel.
    needs_compiler : bool
        Whether it cannot run under ``NUMBA_DISABLE_JIT``.

    """

    name: str
    summary: str
    compute: Compute
    threaded: bool = False
    max_multiplications: float = float("inf")
    prepare: Prepare | None = None
    needs_compiler: bool = False

    def __call__(self, a: Array, b: Array, out: Array | None = None) -> Array:
        """Return ``a @ b``, checked.

        Parameters
        ----------
        a : ndarray of shape (m, k), float32 or float64
        b : ndarray of shape (k, n), the dtype of `a`
        out : ndarray of shape (m, n), the dtype of `a`, optional
            Overwritten, and returned. It must not share memory with `a` or `b`.

        Raises
        ------
        TypeError
            An operand is not an array, or the dtypes are not all float32 or all float64.
        ValueError
            The shapes do not fit, or `out` is read-only or overlaps.

        """
        m, n = _check_operands(a, b)
        if out is None:
            out = np.empty((m, n), a.dtype)
        else:
            _check_out(out, a, b)
        if a.shape[1] == 0:
            out.fill(0)  # a sum of nothing
        elif out.size:
            self.compute(a, b, out)
        return out


def _check_operands(a: Array, b: Array) -> tuple[int, int]:
    """Check `a` and `b` and return the shape of their product."""
    for name, operand in (("a", a), ("b", b)):
        _check_array(name, operand)
    if a.dtype != b.dtype:
        raise TypeError(f"a and b must have one dtype: a is {a.dtype}, b is {b.dtype}")
    if a.shape[1] != b.shape[0]:
        raise ValueError(
            f"shapes do not fit: a is {a.shape}, b is {b.shape}; "
            f"b needs as many rows as a has columns ({a.shape[1]}), not {b.shape[0]}"
        )
    return a.shape[0], b.shape[1]


def _check_array(name: str, operand: object) -> None:
    if not isinstance(operand, np.ndarray) or isinstance(operand, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a numpy array, not {type(operand).__name__}")
    if operand.dtype not in DTYPES:
        raise TypeError(
            f"{name} has dtype {operand.dtype}; float32 and float64 (native byte order) are allowed"
        )
    if operand.ndim != 2:
        raise ValueError(f"{name} must have 2 dimensions, not {operand.ndim}: {operand.shape}")


def _check_out(out: Array, a: Array, b: Array) -> None:
    _check_array("out", out)
    shape = (a.shape[0], b.shape[1])
    if out.dtype != a.dtype:
        raise TypeError(f"out has dtype {out.dtype}; a and b have {a.dtype}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}; the product has {shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only; a writeable array is needed")
    for name, operand in (("a", a), ("b", b)):
        if np.may_share_memory(out, operand) and np.shares_memory(out, operand):
            raise ValueError(f"out shares memory with {name}; a product cannot be done in place")
    if out.size and _overlaps_itself(out):
        raise ValueError(
            f"elements of out share memory (shape {out.shape}, strides {out.strides}); "
            "each needs a place of its own"
        )


def _overlaps_itself(out: Array) -> bool:
    """Return whether two elements may share memory; strides that interleave count as such."""
    (inner, inner_size), (outer, outer_size) = sorted(
        (abs(stride), size) for stride, size in zip(out.strides, out.shape, strict=True)
    )
    if inner_size > 1 and inner < out.itemsize:
        return True
    return bool(outer_size > 1 and outer < inner * (inner_size - 1) + out.itemsize)
