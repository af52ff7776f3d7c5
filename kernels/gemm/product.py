"""`numba`: the tile in registers, operands packed where it pays, parts of `out` for threads.

What changed since ``numba-blocked``: the innermost loop is no longer left to the compiler's
vectoriser. It is written down, in vector instructions (`fastnn.kernels.gemm.microkernel`), around a tile
of `out` that stays in registers for the whole of a k-loop; the loops around it hand it parts
of the operands that fit the caches (`fastnn.kernels.gemm.blocksizes`, `fastnn.kernels.gemm.macrokernel`).

Why that is faster: an element of `out` is no longer loaded and stored for every
multiplication, only for every kc of them; each element loaded from `a` is used for a whole
row of the tile, each of `b` for a whole column. What limits it is then the arithmetic.

What it costs: code that knows the instruction set, a second or two of compiling on the first
product ever, and a small workspace where an operand is packed.

Each element of `out` is computed on one thread: chains of at most kc fused multiply-adds,
upwards in k, added up in that order. k is cut into the same chains whatever the other sizes. So
on one machine its bits depend on nothing but its row of `a` and its column of `b`.
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

from fastnn.kernels.gemm.blocksizes import vector_unit
from fastnn.kernels.gemm.macrokernel import compile_block
from fastnn.kernels.interface import Array, Kernel
from fastnn.kernels.runtime.compiling import compiled_for
from fastnn.kernels.runtime.denormals import exchange_mode, read_mode, restore_mode
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

# In multiply-adds of whole vectors, the unit of the two cost models below.
COPY = 6  # to transpose or scatter one vector
STORE = 4  # to begin and end the sums of one vector of `out`: a matter of products with small k
# What is worth a thread. A product alone in a loop gains from half of it on, but in a training
# step one thread has written what the product reads, and the other first has to fetch it.
TASK = 2**15


@intrinsic
def _call(typing_context, block, arguments):  # type: ignore[no-untyped-def]
    """Call the C function at the address `block` with a tuple of integers."""

    def generate(context, builder, signature: Signature, values):  # type: ignore[no-untyped-def]
        address, packed = values
        unpacked = [builder.extract_value(packed, i) for i in range(len(arguments))]
        function = ir.FunctionType(ir.VoidType(), [INDEX] * len(unpacked))
        builder.call(builder.inttoptr(address, function.as_pointer()), unpacked)
        return context.get_dummy_value()

    return types.void(block, arguments), generate


@njit
def _cost(m, n, k, b_column, out_column, itemsize):  # type: ignore[no-untyped-def]
    """Estimate what a product takes: tiles have whole vectors, and transposes are no gift."""
    lanes = VECTOR // itemsize
    cost = m * (k + STORE) * ((n + lanes - 1) // lanes)
    if b_column != itemsize:
        cost += COPY * k * n // lanes
    if out_column != itemsize:
        cost += COPY * m * n // lanes
    return cost


@njit
def _arrange(a, b, out):  # type: ignore[no-untyped-def]
    """Return the cost and a block's arguments, for ``out = a @ b`` or the same transposed.

    ``out.T = b.T @ a.T`` is the same arithmetic, but vectors run along m. It is the cheaper
    one where n is small, or where it spares transposing a large `b`.
    """
    m, k = a.shape
    n = b.shape[1]
    itemsize = a.itemsize
    # The stride of a dimension of one element means nothing, so that any will do.
    a_row = a.strides[0] if m > 1 else itemsize
    a_column = a.strides[1] if k > 1 else itemsize
    b_row = b.strides[0] if k > 1 else itemsize
    b_column = b.strides[1] if n > 1 else itemsize
    out_row = out.strides[0] if m > 1 else itemsize
    out_column = out.strides[1] if n > 1 else itemsize
    a_, b_, out_ = int(a.ctypes.data), int(b.ctypes.data), int(out.ctypes.data)
    cost = _cost(m, n, k, b_column, out_column, itemsize)
    transposed = _cost(n, m, k, a_row, out_row, itemsize)
    if transposed < cost:
        return transposed, (
            n, m, k, b_, b_column, b_row, a_, a_column, a_row, out_, out_column, out_row,
        )  # fmt: skip
    return cost, (m, n, k, a_, a_row, a_column, b_, b_row, b_column, out_, out_row, out_column)


@njit
def _part(product, i, m_parts, j, n_parts, itemsize):  # type: ignore[no-untyped-def]
    """Return the arguments for one part of `out`; columns are cut between vectors."""
    m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row, out_column = product
    lanes = VECTOR // itemsize
    vectors = (n + lanes - 1) // lanes
    i0, i1 = m * i // m_parts, m * (i + 1) // m_parts
    j0, j1 = vectors * j // n_parts * lanes, min(n, vectors * (j + 1) // n_parts * lanes)
    return (
        i1 - i0, j1 - j0, k,
        a + i0 * a_row, a_row, a_column,
        b + j0 * b_column, b_row, b_column,
        out + i0 * out_row + j0 * out_column, out_row, out_column,
    )  # fmt: skip


@njit
def _grid(product, tasks, itemsize):  # type: ignore[no-untyped-def]
    """Return into how many parts to cut m and n: `tasks` together, or fewer.

    What the largest part takes counts, and how much of the operands it reads.
    """
    m, n, k, b_column, out_column = product[0], product[1], product[2], product[8], product[11]
    lanes = VECTOR // itemsize
    vectors = (n + lanes - 1) // lanes
    best, grid = 0, (1, 1)
    for m_parts in range(1, min(m, tasks) + 1):
        n_parts = min(vectors, tasks // m_parts)
        rows, columns = (m + m_parts - 1) // m_parts, (vectors + n_parts - 1) // n_parts * lanes
        cost = _cost(rows, columns, k, b_column, out_column, itemsize)
        cost += (rows + columns) * k // lanes
        if cost < best or m_parts == 1:
            best, grid = cost, (m_parts, n_parts)
    return grid


@njit(parallel=True)
def _launch(block, product, m_parts, n_parts, itemsize):  # type: ignore[no-untyped-def]
    mode = read_mode()
    for task in prange(m_parts * n_parts):
        i, j = task // n_parts, task % n_parts
        before = exchange_mode(mode)
        _call(block, _part(product, i, m_parts, j, n_parts, itemsize))
        restore_mode(before)


@njit
def multiply(block, threads, a, b, out):  # type: ignore[no-untyped-def]
    """Write ``a @ b`` into `out`, from within compiled code.

    Parameters
    ----------
    block : int
        ``block_address`` of the dtype.
    threads : int
        As many as it is worth are used, at most these.
    a, b, out : 2-D arrays
        As the bare entrance has them.

    """
    cost, product = _arrange(a, b, out)
    tasks = min(threads, cost // TASK)
    m_parts, n_parts = _grid(product, tasks, a.itemsize) if tasks > 1 else (1, 1)
    if m_parts * n_parts > 1:
        before = get_numba_threads()
        set_numba_threads(m_parts * n_parts)
        _launch(block, product, m_parts, n_parts, a.itemsize)
        set_numba_threads(before)
    else:
        _call(block, product)


@cache
def _block(dtype: np.dtype[np.floating]) -> Any:
    return compile_block(dtype)


def block_address(dtype: np.dtype[np.floating]) -> int:
    """Return what `multiply` needs to know; compiles it where no cache has it."""
    address: int = _block(dtype).address
    return address


def cache_hits(dtype: np.dtype[np.floating]) -> int:
    """Return whether the block came from Numba's cache on disk: 1 or 0."""
    hits: int = _block(dtype).cache_hits
    return hits


def _entrance(function: Callable[..., Any], dtype: np.dtype[np.floating]) -> Any:
    """Compile one version that takes arrays of any layout, aligned, writeable or not.

    Left to itself, Numba would compile one for each combination of these.
    """
    element = numba.from_dtype(dtype)
    operand = types.Array(element, 2, "A", readonly=True, aligned=False)
    out = types.Array(element, 2, "A", aligned=False)
    return compiled_for((types.intp, types.intp, operand, operand, out), function)


@cache
def _compile_alone(dtype: np.dtype[np.floating]) -> Any:
    def multiply_if_alone(block, threads, a, b, out):  # type: ignore[no-untyped-def]
        """Multiply, unless it is worth more than one thread; return whether it was not."""
        cost, product = _arrange(a, b, out)
        if threads > 1 and cost >= 2 * TASK:
            return False
        _call(block, product)
        return True

    return _entrance(multiply_if_alone, dtype)


@cache
def _compile_threaded(dtype: np.dtype[np.floating]) -> Any:
    """Compile what only large products need, as `prange` takes long to compile."""
    load_threads()
    return _entrance(multiply.py_func, dtype)


_entrances: dict[int, tuple[Any, int]] = {}  # by the size of an element


def compute(a: Array, b: Array, out: Array) -> None:
    """Write ``a @ b`` into `out`."""
    if a.itemsize not in _entrances:
        _entrances[a.itemsize] = (_compile_alone(a.dtype), block_address(a.dtype))
    multiply_if_alone, block = _entrances[a.itemsize]
    threads = get_num_threads()
    if not multiply_if_alone(block, threads, a, b, out):
        _compile_threaded(a.dtype)(block, threads, a, b, out)


@njit
def multiply_alone(block, a, b, out):  # type: ignore[no-untyped-def]
    """`multiply` on one thread: without the `prange`, which takes long to compile."""
    _call(block, _arrange(a, b, out)[1])


@njit
def multiply_threaded(block, threads, a, b, out):  # type: ignore[no-untyped-def]
    """`multiply` on as many threads as ``threads[0]`` says by then."""
    multiply(block, threads[0], a, b, out)


def prepare(a: Array, b: Array, out: Array) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return what compiled code calls for ``out = a @ b``."""
    block = block_address(a.dtype)
    (m, k), n = a.shape, b.shape[1]
    cost = min(
        _cost.py_func(m, n, k, b.strides[1], out.strides[1], a.itemsize),
        _cost.py_func(n, m, k, a.strides[0], out.strides[0], a.itemsize),
    )
    if MAX_THREADS > 1 and cost >= 2 * TASK:
        load_threads()
        return multiply_threaded, (block, number_of_threads, a, b, out)
    return multiply_alone, (block, a, b, out)


NUMBA = Kernel(
    "numba",
    "a tile in vector registers, operands packed where it pays, parts for threads",
    compute,
    threaded=True,
    prepare=prepare,
    needs_compiler=True,
)
