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
from kernels.packing import copy_block, copy
from kernels.simd import at, pointer_from
from kernels.tiling import tiling, vector_unit
import os
MASKS = vector_unit().masks
AN = int(os.environ.get('AN', '128'))  # pack a if hostile and n >= AN
BM = int(os.environ.get('BM', '28'))
HOSTILE = int(os.environ.get('HOSTILE', '2048'))
MASKS = vector_unit().masks

@njit(inline="always")
def widest(n, m, lanes):
    vectors = (n + lanes - 1) // lanes
    if m == 1 and vectors >= 8:
        return 8
    if m <= 2 and vectors >= 4:
        return 4
    if vectors >= 2 and (MASKS or n >= 2 * lanes):
        return 2
    if MASKS or n >= lanes:
        return 1
    return 0


def build_block(dtype, kc_max, mc_max, nc_max, fingerprint):
    t = tiling(dtype.itemsize)
    mr, lanes, itemsize = t.mr, t.lanes, dtype.itemsize
    nr = lanes * t.vectors
    element = numba.from_dtype(dtype)
    pointer = types.CPointer(element)
    i = types.intp

    @cfunc(types.void(i, i, i, pointer, i, i, pointer, i, i, pointer, i, i), cache=False)
    def block(m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row, out_column):
        panel_row = nr * itemsize
        direct = out_column == itemsize
        transposed = b_column != itemsize
        pack_b = m >= BM and b_row > panel_row
        hostile = a_row % HOSTILE == 0 or (a_row == itemsize and a_column % HOSTILE == 0)
        pack_a = n >= AN and hostile and m > 4 and k > 32
        k_parts = (k + kc_max - 1) // kc_max
        kc_most = (k + k_parts - 1) // k_parts
        m_parts = (m + mc_max - 1) // mc_max
        mc_most = (m + m_parts - 1) // m_parts
        slot = panel_row * kc_most
        panels = min(n, nc_max) // nr + 1 if m_parts > 1 else 1
        b_bytes = slot * panels if pack_b or transposed else 0
        a_bytes = mc_most * (kc_most * itemsize + 64) + kc_most*64 if pack_a else 0
        workspace = np.empty(64 + b_bytes + a_bytes + mr * panel_row, np.uint8)
        b_block = pointer_from((workspace.ctypes.data + 63) // 64 * 64, out)
        a_block = at(b_block, b_bytes)
        scratch = at(a_block, a_bytes)
        for jc in range(0, n, nc_max):
            j_end = min(jc + nc_max, n)
            for p in range(0, k, kc_most):
                kc = min(kc_most, k - p)
                for ic in range(0, m, mc_most):
                    mc = min(mc_most, m - ic)
                    ap = at(a, ic * a_row + p * a_column)
                    ars = a_row; acs = a_column
                    if pack_a:
                        if a_row == itemsize:
                            ars = itemsize; acs = mc * itemsize + 64
                            if jc == 0 or m_parts > 1: copy_block(a_block, acs, ap, a_column, a_row, kc, mc, itemsize)
                        else:
                            acs = itemsize; ars = kc * itemsize + 64
                            if jc == 0 or m_parts > 1: copy_block(a_block, ars, ap, a_row, a_column, mc, kc, itemsize)
                        ap = a_block
                    j = jc
                    panel = b_block
                    while j < j_end:
                        vectors = widest(j_end - j, 99 if pack_b or transposed else m, lanes)
                        width = min(vectors * lanes, j_end - j)
                        tail = width - (vectors - 1) * lanes
                        bp = at(b, p * b_row + j * b_column)
                        bs = b_row
                        packs = 0
                        if pack_b or transposed:
                            if transposed and ic == 0:
                                copy_block(panel, panel_row, bp, b_row, b_column, kc, width, itemsize)
                            elif ic == 0:
                                packs = 1
                            if packs == 0:
                                bp = panel
                                bs = panel_row
                        done = 0
                        left = mc - packs * mr
                        tiles = (left + mr - 1) // mr
                        for t in range(-packs, tiles):
                            rows = left // tiles + (t < left % tiles) if t >= 0 else mr
                            c = at(out, (ic + done) * out_row + j * out_column)
                            x = at(ap, done * ars)
                            if direct:
                                multiply_tile(rows, vectors, packs, kc, x, ars, acs, bp, bs, c, out_row, tail, p == 0, panel)
                            else:
                                if p > 0:
                                    copy(scratch, panel_row, itemsize, c, out_row, out_column, rows, width, itemsize)
                                multiply_tile(rows, vectors, packs, kc, x, ars, acs, bp, bs, scratch, panel_row, tail, p == 0, panel)
                                copy(c, out_row, out_column, scratch, panel_row, itemsize, rows, width, itemsize)
                            if packs:
                                packs = 0
                                bp = panel
                                bs = panel_row
                            done += rows
                        j += width
                        if m_parts > 1: panel = at(panel, slot)
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

SWAP = int(os.environ.get('SWAP', '1'))
COPY = 6
@njit
def cost(m, n, k, lanes, b_column, out_column, itemsize):
    c = m * k * ((n + lanes - 1) // lanes)
    if b_column != itemsize: c += COPY * k * n // lanes
    if out_column != itemsize: c += COPY * m * n // lanes
    return c
@njit
def multiply(block, a, b, out):
    m, k = a.shape
    n = b.shape[1]
    itemsize = a.itemsize
    lanes = 64 // itemsize
    ar, ac = a.strides
    br, bc = b.strides
    cr, cc = out.strides
    if m == 1: ar = itemsize; cr = itemsize*n
    if k == 1: ac = itemsize; br = itemsize*n
    if n == 1: bc = itemsize; cc = itemsize
    if SWAP and cost(m, n, k, lanes, bc, cc, itemsize) > cost(n, m, k, lanes, ar, cr, itemsize):
        call_block(block, n, m, k, b.ctypes.data, bc, br, a.ctypes.data, ac, ar, out.ctypes.data, cc, cr)
    else:
        call_block(block, m, n, k, a.ctypes.data, ar, ac, b.ctypes.data, br, bc, out.ctypes.data, cr, cc)
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
