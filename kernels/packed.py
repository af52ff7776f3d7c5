"""`numba`: packing and the loops around the micro-kernel. (work in progress)"""

from typing import Any

import numba
import numpy as np
from numba import cfunc, njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from llvmlite import ir

from kernels.interface import Array, Kernel
from kernels.microkernel import multiply_tile
from kernels.packing import copy_block
from kernels.simd import at, pointer_from
from kernels.tiling import tiling, vector_unit
import os
MASKS = vector_unit().masks

def build_block(dtype, kc_max, mc_max, nc_max, fingerprint):
    t = tiling(dtype.itemsize)
    mr, lanes, itemsize = t.mr, t.lanes, dtype.itemsize
    nr = lanes * t.vectors
    element = numba.from_dtype(dtype)
    pointer = types.CPointer(element)
    i = types.intp
    PB = int(os.environ.get('PB', '1000000'))
    PA = int(os.environ.get('PA', '0'))

    @cfunc(types.void(i, i, i, pointer, i, i, pointer, i, i, pointer, i, i), cache=False)
    def block(m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row, out_column):
        direct = out_column == itemsize or n == 1
        pack_b = (b_column != itemsize and n > 1) or m >= PB
        pack_a = PA and n >= PA
        workspace = np.empty(64 + (nr * (min(k, kc_max) + mr) * itemsize if (pack_b or not direct) else 0) + ((min(m,mc_max) * (kc_max*itemsize+64)) if pack_a else 0), np.uint8)
        panel = pointer_from((workspace.ctypes.data + 63) // 64 * 64, out)
        scratch = at(panel, min(k, kc_max) * nr * itemsize)
        ablock = at(scratch, nr*mr*itemsize)
        for p in range(0, k, kc_max):
            kc = min(kc_max, k - p)
            first = p == 0
            for ic in range(0, m, mc_max):
                mc = min(mc_max, m - ic)
                ap = at(a, ic * a_row + p * a_column)
                ars = a_row; acs = a_column
                if pack_a:
                    if a_row == itemsize:
                        ars = itemsize; acs = mc * itemsize + 64
                        copy_block(ablock, acs, ap, a_column, a_row, kc, mc, itemsize)
                    else:
                        acs = itemsize; ars = kc * itemsize + 64
                        copy_block(ablock, ars, ap, a_row, a_column, mc, kc, itemsize)
                    ap = ablock
                tiles = (mc + mr - 1) // mr
                j = 0
                while j < n:
                    vectors = (n - j + lanes - 1) // lanes
                    if vectors >= 8 and m == 1: vectors = 8
                    elif vectors >= 4 and m <= 2: vectors = 4
                    else: vectors = min(2, vectors)
                    if pack_b: vectors=min(2,vectors)
                    width = min(vectors * lanes, n - j)
                    tail = width - (vectors - 1) * lanes
                    bp = at(b, p * b_row + j * b_column)
                    bs = b_row
                    if pack_b:
                        copy_block(panel, nr * itemsize, bp, b_row, b_column, kc, width, itemsize)
                        bp = panel
                        bs = nr * itemsize
                    i = 0
                    for t in range(tiles):
                        rows = mc // tiles + (t < mc % tiles)
                        c = at(out, (ic + i) * out_row + j * out_column)
                        cs = out_row
                        if not direct:
                            if not first:
                                copy_block(scratch, nr * itemsize, c, out_row, out_column, rows, width, itemsize)
                            multiply_tile(rows, vectors, kc, at(ap, i * ars), ars, acs, bp, bs, scratch, nr*itemsize, tail, first)
                            for ii in range(0):
                                pass
                        else:
                            multiply_tile(rows, vectors, kc, at(ap, i * ars), ars, acs, bp, bs, c, cs, tail, first)
                        i += rows
                    j += width
    return block

@intrinsic
def call_block(tc, block, m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row, out_column):
    sig = types.void(*[types.intp]*13)
    def cg(ctx, bd, sig, args):
        I = ir.IntType(64)
        f = ir.FunctionType(ir.VoidType(), [I]*12)
        bd.call(bd.inttoptr(args[0], f.as_pointer()), args[1:])
        return ctx.get_dummy_value()
    return sig, cg

@njit
def multiply(block, a, b, out):
    m, k = a.shape
    n = b.shape[1]
    call_block(block, m, n, k, a.ctypes.data, a.strides[0], a.strides[1], b.ctypes.data, b.strides[0], b.strides[1], out.ctypes.data, out.strides[0], out.strides[1])
def sigs(element):
    r = types.Array(element, 2, 'A', readonly=True, aligned=False)
    return types.void(types.intp, r, r, types.Array(element, 2, 'A', aligned=False))
def load():
    global multiply, B
    for d in (types.float32, types.float64): multiply.compile(sigs(d))
    multiply.disable_compile()
    B = {}
    for d in ('f4','f8'):
        d = np.dtype(d); t = tiling(d.itemsize)
        B[d] = build_block(d, int(os.environ.get('KC', t.kc)), int(os.environ.get('MC', t.mc)), t.nc, 'x')
def compute(a, b, out):
    multiply(B[a.dtype].address, a, b, out)
