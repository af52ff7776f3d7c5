"""``numba``: a micro-tile in registers, operands packed where it pays, parts for threads.

What changed since ``numba-blocked``: the innermost loop is no longer left to the compiler. It is
written in vector instructions (`fastnn.kernels.gemm.microkernel`) around a micro-tile of `out`,
which stays in registers for a whole k-loop; the five loops around it hand it parts of the operands
that fit the caches (`fastnn.kernels.gemm.macrokernel`, `fastnn.kernels.gemm.blocksizes`). And a
large product is cut into parts for threads, here.

Why that is faster: an element of `out` is no longer loaded and stored for every multiplication,
but once for KC of them; each element loaded from `a` serves a whole row of the micro-tile, and each
of `b` a whole column. What limits it then is the arithmetic.

What it costs: code that knows the instruction set, a second or two of compiling for the very first
product, and a small workspace where an operand is packed.

Each element of `out` is computed on one thread, in chains of at most KC fused multiply-adds,
upwards in k and added up in that order. k is cut into the same chains whatever the other sizes are.
So, on one machine, its bits depend on nothing but its row of `a` and its column of `b`.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core.typing import Signature
from numba.extending import intrinsic

from fastnn.kernels.gemm.macrokernel import compile_gemm
from fastnn.kernels.interface import Array, Kernel, Prepared
from fastnn.kernels.runtime.compiling import compiled_for
from fastnn.kernels.runtime.denormals import exchange_mode, leave_worker, read_mode, restore_mode
from fastnn.kernels.runtime.hardware import vector_unit
from fastnn.kernels.runtime.threads import (
    MAX_THREADS,
    get_num_threads,
    get_numba_threads,
    load_threads,
    number_of_threads,
    set_numba_threads,
)
from fastnn.kernels.runtime.vectors import INDEX

VECTOR = vector_unit().width

# The cost of a product is counted in multiply-adds of whole vectors, and these are such costs.
COST_OF_TRANSPOSING = 6  # one vector of an operand, or of `out`
COST_OF_STORING = 4  # one vector of `out`; it decides for products with small k
# With less, a second thread gains nothing. In a loop of the same product, half of it would do; in
# a training step one thread has written what the product reads, and the other has to fetch it.
MIN_COST_PER_THREAD = 2**15


@intrinsic
def _call(typing_context, gemm, arguments):  # type: ignore[no-untyped-def]
    """Call the C function at the address `gemm` with a tuple of integers."""

    def generate(context, builder, signature: Signature, values):  # type: ignore[no-untyped-def]
        address, packed = values
        unpacked = [builder.extract_value(packed, i) for i in range(len(arguments))]
        function = ir.FunctionType(ir.VoidType(), [INDEX] * len(unpacked))
        builder.call(builder.inttoptr(address, function.as_pointer()), unpacked)
        return context.get_dummy_value()

    return types.void(gemm, arguments), generate


@njit
def _cost(m, n, k, cs_b, cs_out, itemsize):  # type: ignore[no-untyped-def]
    """Estimate what a product takes: rows consist of whole vectors, and transposing is not free."""
    lanes = VECTOR // itemsize
    cost = m * (k + COST_OF_STORING) * ((n + lanes - 1) // lanes)
    if cs_b != itemsize:
        cost += COST_OF_TRANSPOSING * k * n // lanes
    if cs_out != itemsize:
        cost += COST_OF_TRANSPOSING * m * n // lanes
    return cost


@njit
def _orient(a, b, out):  # type: ignore[no-untyped-def]
    """Return the cost and the arguments of gemm, for ``out = a @ b`` or for its transpose.

    ``out.T = b.T @ a.T`` is the same arithmetic, but vectors run along m. It is the cheaper one
    where n is small, or where a large `b` is then not to be transposed.
    """
    m, k = a.shape
    n = b.shape[1]
    itemsize = a.itemsize
    # The stride of a dimension of one element means nothing, so that any will do.
    rs_a = a.strides[0] if m > 1 else itemsize
    cs_a = a.strides[1] if k > 1 else itemsize
    rs_b = b.strides[0] if k > 1 else itemsize
    cs_b = b.strides[1] if n > 1 else itemsize
    rs_out = out.strides[0] if m > 1 else itemsize
    cs_out = out.strides[1] if n > 1 else itemsize
    a_, b_, out_ = int(a.ctypes.data), int(b.ctypes.data), int(out.ctypes.data)
    cost = _cost(m, n, k, cs_b, cs_out, itemsize)
    transposed = _cost(n, m, k, rs_a, rs_out, itemsize)
    if transposed < cost:
        return transposed, (n, m, k, b_, cs_b, rs_b, a_, cs_a, rs_a, out_, cs_out, rs_out)
    return cost, (m, n, k, a_, rs_a, cs_a, b_, rs_b, cs_b, out_, rs_out, cs_out)


@njit
def _part(product, i, m_parts, j, n_parts, itemsize):  # type: ignore[no-untyped-def]
    """Return the arguments for one part of `out`; columns are cut between vectors."""
    m, n, k, a, rs_a, cs_a, b, rs_b, cs_b, out, rs_out, cs_out = product
    lanes = VECTOR // itemsize
    vectors = (n + lanes - 1) // lanes
    i0, i1 = m * i // m_parts, m * (i + 1) // m_parts
    j0, j1 = vectors * j // n_parts * lanes, min(n, vectors * (j + 1) // n_parts * lanes)
    return (
        i1 - i0, j1 - j0, k,
        a + i0 * rs_a, rs_a, cs_a,
        b + j0 * cs_b, rs_b, cs_b,
        out + i0 * rs_out + j0 * cs_out, rs_out, cs_out,
    )  # fmt: skip


@njit
def _grid(product, max_parts, itemsize):  # type: ignore[no-untyped-def]
    """Return into how many parts to cut m and n, for at most `max_parts` altogether.

    The grid with the cheapest largest part is chosen; what it reads of the operands counts, too.
    """
    m, n, k, cs_b, cs_out = product[0], product[1], product[2], product[8], product[11]
    lanes = VECTOR // itemsize
    vectors = (n + lanes - 1) // lanes
    best, grid = 0, (1, 1)
    for m_parts in range(1, min(m, max_parts) + 1):
        n_parts = min(vectors, max_parts // m_parts)
        rows, columns = (m + m_parts - 1) // m_parts, (vectors + n_parts - 1) // n_parts * lanes
        cost = _cost(rows, columns, k, cs_b, cs_out, itemsize)
        cost += (rows + columns) * k // lanes
        if cost < best or m_parts == 1:
            best, grid = cost, (m_parts, n_parts)
    return grid


@njit(parallel=True)
def _launch(gemm, product, m_parts, n_parts, itemsize):  # type: ignore[no-untyped-def]
    mode = read_mode()
    for part in prange(m_parts * n_parts):
        i, j = part // n_parts, part % n_parts
        exchange_mode(mode)
        _call(gemm, _part(product, i, m_parts, j, n_parts, itemsize))
        leave_worker()
    restore_mode(mode)


@njit
def multiply(gemm, threads, a, b, out):  # type: ignore[no-untyped-def]
    """Write ``a @ b`` into `out`, from within compiled code.

    Parameters
    ----------
    gemm : int
        `gemm_address` of the dtype.
    threads : int
        The most that may be used; no more are than the product has work for.
    a, b, out : 2-D arrays
        As a kernel's ``compute`` takes them.

    """
    cost, product = _orient(a, b, out)
    max_parts = min(threads, cost // MIN_COST_PER_THREAD)
    m_parts, n_parts = _grid(product, max_parts, a.itemsize) if max_parts > 1 else (1, 1)
    if m_parts * n_parts > 1:
        before = get_numba_threads()
        set_numba_threads(m_parts * n_parts)
        _launch(gemm, product, m_parts, n_parts, a.itemsize)
        set_numba_threads(before)
    else:
        _call(gemm, product)


@cache
def _gemm(dtype: np.dtype[np.floating]) -> Any:
    return compile_gemm(dtype)


def gemm_address(dtype: np.dtype[np.floating]) -> int:
    """Return the address of the product on one thread, which is compiled where no cache has it."""
    address: int = _gemm(dtype).address
    return address


def cache_hits(dtype: np.dtype[np.floating]) -> int:
    """Return 1 if the product on one thread came from Numba's cache on disk, otherwise 0."""
    hits: int = _gemm(dtype).cache_hits
    return hits


def _compile_for_any_layout(function: Callable[..., Any], dtype: np.dtype[np.floating]) -> Any:
    """Compile one version that takes arrays of any layout, aligned, writeable or not.

    Left to itself, Numba would compile one for each combination of these.
    """
    element = numba.from_dtype(dtype)
    operand = types.Array(element, 2, "A", readonly=True, aligned=False)
    out = types.Array(element, 2, "A", aligned=False)
    return compiled_for((types.intp, types.intp, operand, operand, out), function)


@cache
def _compile_alone(dtype: np.dtype[np.floating]) -> Any:
    def multiply_if_alone(gemm, threads, a, b, out):  # type: ignore[no-untyped-def]
        """Multiply, unless there is work for several threads; return whether it is done."""
        cost, product = _orient(a, b, out)
        if threads > 1 and cost >= 2 * MIN_COST_PER_THREAD:
            return False
        _call(gemm, product)
        return True

    return _compile_for_any_layout(multiply_if_alone, dtype)


@cache
def _compile_threaded(dtype: np.dtype[np.floating]) -> Any:
    load_threads()
    return _compile_for_any_layout(multiply.py_func, dtype)


_compiled: dict[int, tuple[Any, int]] = {}  # by the size of an element


def compute(a: Array, b: Array, out: Array) -> None:
    """Write ``a @ b`` into `out`."""
    if a.itemsize not in _compiled:
        _compiled[a.itemsize] = (_compile_alone(a.dtype), gemm_address(a.dtype))
    multiply_if_alone, gemm = _compiled[a.itemsize]
    threads = get_num_threads()
    if not multiply_if_alone(gemm, threads, a, b, out):
        _compile_threaded(a.dtype)(gemm, threads, a, b, out)


@njit
def multiply_alone(gemm, a, b, out):  # type: ignore[no-untyped-def]
    """`multiply` on one thread: without the `prange`, which takes long to compile."""
    _call(gemm, _orient(a, b, out)[1])


@njit
def multiply_threaded(gemm, threads, a, b, out):  # type: ignore[no-untyped-def]
    """`multiply` on at most ``threads[0]`` threads, which is read at each call."""
    multiply(gemm, threads[0], a, b, out)


def prepare(a: Array, b: Array, out: Array) -> Prepared:
    """Return the op for ``out = a @ b``, and its arguments."""
    gemm = gemm_address(a.dtype)
    (m, k), n = a.shape, b.shape[1]
    cost = min(
        _cost.py_func(m, n, k, b.strides[1], out.strides[1], a.itemsize),
        _cost.py_func(n, m, k, a.strides[0], out.strides[0], a.itemsize),
    )
    if MAX_THREADS > 1 and cost >= 2 * MIN_COST_PER_THREAD:
        load_threads()
        return multiply_threaded, (gemm, number_of_threads, a, b, out)
    return multiply_alone, (gemm, a, b, out)


NUMBA = Kernel(
    "numba",
    "a micro-tile in vector registers, operands packed where it pays, parts for threads",
    compute,
    threaded=True,
    prepare=prepare,
    needs_compiler=True,
)
