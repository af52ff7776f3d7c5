"""`numba`: packing and the loops around the micro-kernel. (work in progress)"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic

from kernels.block import compile_block
from kernels.interface import Array, Kernel
from kernels.threads import get_num_threads
from kernels.tiling import tiling, vector_unit

COPY = 6
VECTOR = vector_unit().width


def _fingerprint() -> str:
    """Return a hash of all sources that end up in the compiled kernel."""
    folder = Path(__file__).parent
    names = ("tiling", "simd", "microkernel", "packing", "block", "packed")
    return hashlib.sha256(
        b"".join((folder / f"{name}.py").read_bytes() for name in names)
    ).hexdigest()


@intrinsic
def call_block(typing_context, block, *arguments):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
        (arguments,) = values[1:]
        arguments = [builder.extract_value(arguments, i) for i in range(12)]
        function = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 12)
        builder.call(builder.inttoptr(values[0], function.as_pointer()), arguments)
        return context.get_dummy_value()

    return types.void(types.intp, types.StarArgTuple.from_types([types.intp] * 12)), generate


@njit
def _cost(m, n, k, b_column, out_column, itemsize):  # type: ignore[no-untyped-def]
    lanes = VECTOR // itemsize
    cost = m * k * ((n + lanes - 1) // lanes)
    if b_column != itemsize:
        cost += COPY * k * n // lanes
    if out_column != itemsize:
        cost += COPY * m * n // lanes
    return cost


@njit(parallel=True)
def _launch(block, m_parts, n_parts, m, n, k, a, ar, ac, b, br, bc, c, cr, cc):
    for t in prange(m_parts * n_parts):
        i, j = t // n_parts, t % n_parts
        i0, i1 = m * i // m_parts, m * (i + 1) // m_parts
        j0, j1 = n * j // n_parts, n * (j + 1) // n_parts
        call_block(block, i1-i0, j1-j0, k, a + i0*ar, ar, ac, b + j0*bc, br, bc, c + i0*cr+j0*cc, cr, cc)


@njit
def multiply(block, threads, a, b, out):
    m, k = a.shape
    n = b.shape[1]
    itemsize = a.itemsize
    ar, ac = a.strides
    br, bc = b.strides
    cr, cc = out.strides
    if m == 1: ar = itemsize; cr = itemsize*n
    if k == 1: ac = itemsize; br = itemsize*n
    if n == 1: bc = itemsize; cc = itemsize
    ap, bp, cp = int(a.ctypes.data), int(b.ctypes.data), int(out.ctypes.data)
    if _cost(m, n, k, bc, cc, itemsize) > _cost(n, m, k, ar, cr, itemsize):
        m, n = n, m
        ap, ar, ac, bp, br, bc = bp, bc, br, ap, ac, ar
        cr, cc = cc, cr
    if threads > 1 and m * n * k > 500000:
        if m >= n:
            _launch(block, threads, 1, m, n, k, ap, ar, ac, bp, br, bc, cp, cr, cc)
        else:
            _launch(block, 1, threads, m, n, k, ap, ar, ac, bp, br, bc, cp, cr, cc)
    else:
        call_block(block, m, n, k, ap, ar, ac, bp, br, bc, cp, cr, cc)


def sigs(element):
    r = types.Array(element, 2, 'A', readonly=True, aligned=False)
    return types.void(types.intp, types.intp, r, r, types.Array(element, 2, 'A', aligned=False))
B = {}
def load():
    multiply.enable_caching(); _launch.enable_caching()
    for d in ('f4','f8'):
        d = np.dtype(d)
        multiply.compile(sigs(numba.from_dtype(d)))
        B[d] = compile_block(d, _fingerprint())
    multiply.disable_compile()
def compute(a, b, out):
    if not B: load()
    multiply(B[a.dtype].address, get_num_threads(), a, b, out)
KERNEL = Kernel("numba", "register tile in vector instructions, packing, threads", compute, threaded=True)
