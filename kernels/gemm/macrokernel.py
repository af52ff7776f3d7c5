"""The five loops around the micro-kernel: a product on one thread.

The outer three, jc, pc and ic, cut the matrices into parts that a cache holds::

             jc                        pc                        jc
       +---+------+---+          +---+----+---+            +---+------+---+
       |   |      |   |          |   |    |   |            |   |      |   |
    ic |   |######|   | MC += ic |   |####|   | MC  *  pc  |   |######|   | KC
       |   |      |   |          |   |    |   |            |   |      |   |
       +---+------+---+          +---+----+---+            +---+------+---+
              NC                       KC                         NC
       out                       block of A, in L2         panel of B, in L3

The inner two, jr and ir, are the macro-kernel, which calls the micro-kernel for each micro-tile::

             jr                                                  jr
       +-----+--+-----+          +------------+            +-----+--+-----+
       |     |  |     |          |            |            |     |##|     |
    ir |     |##|     | MR += ir |############| MR  *      |     |##|     | KC
       |     |  |     |          |            |            |     |##|     |
       +-----+--+-----+          +------------+            +-----+--+-----+
              NR                       KC                         NR
       micro-tile of out,        micro-panel of A,         micro-panel of B,
       in registers              in L1                     in L1 and L2

A part that is read again before it leaves its cache is packed where that pays:

- A micro-panel of B is packed by the first micro-kernel that reads it, which stores what it loads
  while its arithmetic goes on: such packing is almost free. Where rows of B are not contiguous,
  it is transposed beforehand.
- A block of A is packed where it exceeds L1 and is read often enough, and where the rows of a
  micro-panel would compete for the same few places in L1.
- Products with few rows leave B where it is.

Where the rows of `out` are not contiguous, a micro-tile is computed beside it and copied.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numba import njit, types
from numba.extending import overload

from fastnn.kernels.arrays import CACHE_LINE
from fastnn.kernels.gemm.blocksizes import VECTORS_IN_NR, Blocksizes, blocksizes
from fastnn.kernels.gemm.microkernel import MAX_WIDE_ROWS, MAX_WIDE_VECTORS, microkernel
from fastnn.kernels.gemm.packing import STRIP_BYTES, copy, pack
from fastnn.kernels.runtime.compiling import c_function
from fastnn.kernels.runtime.hardware import caches, vector_unit
from fastnn.kernels.runtime.vectors import keep_alive

MASKS = vector_unit().masks
L1 = caches().l1

ALIASING_STRIDE = 2048  # bytes: lines this far apart, or a multiple, share two sets of a 32 KiB L1
L1_WAYS = 8  # lines that such a set holds, in most processors
MIN_COLUMNS_TO_PACK_A = 1024  # of `out`: with fewer, a packed block of A is not read often enough
MAX_K_UNPACKED = 32  # with k no larger, packing A costs more than it saves


class Operand(NamedTuple):
    """Where a matrix lies: the address of its first element, row and column stride in bytes."""

    address: int
    rs: int
    cs: int


class BlockOfA(NamedTuple):
    """A block of A in micro-panels of MR rows, packed or in place."""

    address: int
    rs: int
    cs: int
    ps: int  # panel stride: bytes from one micro-panel to the next
    max_rows: int  # of a micro-tile


class PackingOfB(NamedTuple):
    """How micro-panels of B are obtained for a product; with no packing they are read in place."""

    vectors: int  # in a row of a micro-panel, at most
    by_microkernel: bool  # by the first one that reads it
    by_transposing: bool  # beforehand
    for_all_blocks: bool  # kept for further blocks of A, each in a place of its own


class MicropanelOfB(NamedTuple):
    """A micro-panel of B: where to read it, and where to pack it."""

    source: Operand
    packed: Operand
    columns: int
    vectors: int  # in a row; 0 stands for a single column
    packs: bool  # whether the first micro-kernel is to pack it


def blocksizes_of(element: types.Float) -> Blocksizes:
    """Return the blocksizes for elements of this type, from within compiled code."""
    return blocksizes(element.bitwidth // 8)


@overload(blocksizes_of)
def _blocksizes_of(element):  # type: ignore[no-untyped-def]
    constants = blocksizes_of(element.instance_type)
    return lambda element: constants


@njit
def _part(x, i, j):  # type: ignore[no-untyped-def]
    return Operand(x.address + i * x.rs + j * x.cs, x.rs, x.cs)


@njit(inline="always")
def _rows_of_microtile(left, max_rows, mr, vectors):  # type: ignore[no-untyped-def]
    """Return the rows of the next micro-tile: `max_rows`, or fewer as an edge case."""
    rows = min(left, max_rows)
    if vectors < VECTORS_IN_NR:
        while rows != mr and rows & (rows - 1) != 0:  # as `is_narrow_variant`
            rows -= 1
    return rows


@njit(inline="always")
def _vectors_of_microtile(columns, m, lanes, max_vectors):  # type: ignore[no-untyped-def]
    """Return the vectors in a row of the next micro-tile; 0 stands for a single column.

    That is NR, more for few rows, or less as an edge case.
    """
    vectors = columns // lanes + (MASKS and columns % lanes != 0)
    if m == 1 and min(vectors, max_vectors) >= MAX_WIDE_VECTORS:
        return MAX_WIDE_VECTORS
    if m <= MAX_WIDE_ROWS and min(vectors, max_vectors) >= MAX_WIDE_VECTORS // 2:
        return MAX_WIDE_VECTORS // 2
    return min(VECTORS_IN_NR, vectors)


@njit(inline="always")
def _loop_ir(element, m, kc, a, b, out, overwrites, scratch):  # type: ignore[no-untyped-def]
    """Multiply a block of A with a micro-panel of B: the loop of the macro-kernel along rows."""
    sizes = blocksizes_of(element)
    size = sizes.itemsize
    edge_lanes = b.columns - (b.vectors - 1) * sizes.lanes
    in_place = out.cs == size
    source, packs = b.source, b.packs
    ir = 0
    while ir < m:
        rows = _rows_of_microtile(m - ir, a.max_rows, sizes.MR, b.vectors)
        # A micro-tile may have fewer rows than a micro-panel of A, and begin within one.
        micropanel_of_a = a.address + ir // sizes.MR * a.ps + ir % sizes.MR * a.rs
        tile = _part(out, ir, 0)
        # Prefetched meanwhile: the rows below or, after the last rows, the columns to the right.
        next_out = tile.address + rows * out.rs if m - ir > rows else out.address + b.columns * size
        if not in_place:
            tile = scratch
            if not overwrites:
                copy(
                    element, size, tile.address, tile.rs, size,
                    out.address + ir * out.rs, out.rs, out.cs, rows, b.columns,
                )  # fmt: skip
        microkernel(
            element, rows, b.vectors, int(packs), kc,
            micropanel_of_a, a.rs, a.cs, source.address, source.rs, tile.address, tile.rs,
            edge_lanes, overwrites, b.packed.address, b.packed.rs, next_out,
        )  # fmt: skip
        if not in_place:
            copy(
                element, size, out.address + ir * out.rs, out.rs, out.cs,
                tile.address, tile.rs, size, rows, b.columns,
            )  # fmt: skip
        if packs:  # it is packed by now
            source, packs = b.packed, False
        ir += rows


@njit(inline="always")
def _macrokernel(
    element, m, n, kc, a, b, out, overwrites, is_first_block, packing, packed, scratch
):  # type: ignore[no-untyped-def]
    """Multiply a block of A with a panel of B, which the first block finds unpacked."""
    sizes = blocksizes_of(element)
    size, lanes = sizes.itemsize, sizes.lanes
    jr = 0
    while jr < n:
        vectors = _vectors_of_microtile(n - jr, m, lanes, packing.vectors)
        columns = min(max(1, vectors * lanes), n - jr)
        source = _part(b, 0, jr)
        if packing.by_transposing and is_first_block:
            pack(
                element, size, packed.address, packed.rs,
                source.address, source.rs, source.cs, kc, columns,
            )  # fmt: skip
        packs = packing.by_microkernel and vectors > 0  # single columns stay in place
        if packing.by_transposing or (packs and not is_first_block):
            source = packed
        _loop_ir(
            element, m, kc, a,
            MicropanelOfB(source, packed, columns, vectors, packs and is_first_block),
            _part(out, 0, jr), overwrites, scratch,
        )  # fmt: skip
        jr += columns
        if packing.for_all_blocks:
            packed = _part(packed, kc, 0)  # the next one begins behind this one


@njit(inline="always")
def _packed_cs(mr, size):  # type: ignore[no-untyped-def]
    """Return the column stride of a packed micro-panel of A: MR elements, in whole strips."""
    return (mr * size + STRIP_BYTES - 1) // STRIP_BYTES * STRIP_BYTES


@njit(inline="always")
def _pack_block_of_a(element, m, kc, a, to):  # type: ignore[no-untyped-def]
    """Pack a block of A: micro-panels one behind the other, each column by column."""
    size, mr = blocksizes_of(element).itemsize, blocksizes_of(element).MR
    cs = _packed_cs(mr, size)
    for i in range(0, m, mr):
        pack(
            element, size, to + i // mr * kc * cs, cs,
            a.address + i * a.rs, a.cs, a.rs, kc, min(mr, m - i),
        )  # fmt: skip


@njit(inline="always")
def _block_of_a(element, m, kc, a, packs, packed, max_rows):  # type: ignore[no-untyped-def]
    """Return a block of A, packed to address `packed` or in place."""
    size, mr = blocksizes_of(element).itemsize, blocksizes_of(element).MR
    if packs:
        _pack_block_of_a(element, m, kc, a, packed)
        cs = _packed_cs(mr, size)
        return BlockOfA(packed, size, cs, kc * cs, mr)
    return BlockOfA(a.address, a.rs, a.cs, mr * a.rs, max_rows)


@njit(inline="always")
def _choose_packing_of_b(m, sizes, b, out):  # type: ignore[no-untyped-def]
    transposes = b.cs != sizes.itemsize
    packs = not transposes and m >= 2 * sizes.MR and b.rs > sizes.NR * sizes.itemsize
    wide = m <= MAX_WIDE_ROWS and out.cs == sizes.itemsize and not transposes
    return PackingOfB(MAX_WIDE_VECTORS if wide else VECTORS_IN_NR, packs, transposes, m > sizes.MC)


@njit(inline="always")
def _choose_kc_and_nc(m, k, sizes, packing):  # type: ignore[no-untyped-def]
    """Return KC and NC for this product.

    k is cut evenly, and alike for every m and n, since the sums of each part start at zero. For
    few rows, each micro-panel of a transposed B is used up at once: nothing reads it again.
    """
    parts = (k + sizes.KC - 1) // sizes.KC
    few = m <= MAX_WIDE_ROWS and packing.by_transposing
    return (k + parts - 1) // parts, packing.vectors * sizes.lanes if few else sizes.NC


@njit(inline="always")
def _aliases_in_l1(a, size):  # type: ignore[no-untyped-def]
    """Return whether the elements that a step reads compete for a few lines of L1."""
    return a.rs % ALIASING_STRIDE == 0 or (a.rs == size and a.cs % ALIASING_STRIDE == 0)


@njit(inline="always")
def _packs_a(m, n, k, sizes, a):  # type: ignore[no-untyped-def]
    large = m * k * sizes.itemsize > L1 and n >= MIN_COLUMNS_TO_PACK_A
    aliases = n > sizes.NR and _aliases_in_l1(a, sizes.itemsize)
    return m > MAX_WIDE_ROWS and k > MAX_K_UNPACKED and (large or aliases)


def compile_gemm(dtype: np.dtype[np.floating]) -> Any:
    """Compile the product of one thread for `dtype`, as a C function.

    ``gemm(m, n, k, a, rs_a, cs_a, b, rs_b, cs_b, out, rs_out, cs_out)`` takes addresses and
    strides in bytes. All sizes are at least 1.

    Parameters
    ----------
    dtype : numpy.dtype
        float32 or float64.

    """
    element = numba.from_dtype(dtype)
    # Closed over, and so part of what code on disk is known by: other caches, other code.
    sizes = blocksizes(dtype.itemsize)

    def gemm(m, n, k, a, rs_a, cs_a, b, rs_b, cs_b, out, rs_out, cs_out):  # type: ignore[no-untyped-def]
        a, b = Operand(a, rs_a, cs_a), Operand(b, rs_b, cs_b)
        out = Operand(out, rs_out, cs_out)
        size, MR, NR, MC = sizes.itemsize, sizes.MR, sizes.NR, sizes.MC
        packing = _choose_packing_of_b(m, sizes, b, out)
        KC, NC = _choose_kc_and_nc(m, k, sizes, packing)
        packs_a = _packs_a(m, n, k, sizes, a)
        # Unpacked rows that alias: no more in a micro-tile than a set of L1 holds lines of.
        max_rows = (
            min(MR, L1_WAYS) if _aliases_in_l1(a, size) and not packing.by_microkernel else MR
        )

        # The workspace holds packed micro-panels of B, the packed block of A and a micro-tile.
        packed_rs = NR * size
        lanes_beyond = 0 if MASKS else sizes.lanes  # single columns, a micro-panel each
        micropanels = min(n, NC) // NR + 1 + lanes_beyond if packing.for_all_blocks else 1
        packs_b = packing.by_microkernel or packing.by_transposing
        b_bytes = micropanels * KC * packed_rs if packs_b else 0
        micropanels_of_a = (min(m, MC) + MR - 1) // MR
        a_bytes = micropanels_of_a * KC * _packed_cs(MR, size) if packs_a else 0
        workspace = np.empty(CACHE_LINE + b_bytes + a_bytes + MR * packed_rs, np.uint8)
        packed_b = (int(workspace.ctypes.data) + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE
        packed_a = packed_b + b_bytes
        first_micropanel = Operand(packed_b, packed_rs, size)
        scratch = Operand(packed_a + a_bytes, packed_rs, size)

        for jc in range(0, n, NC):
            nc = min(NC, n - jc)
            for pc in range(0, k, KC):
                kc = min(KC, k - pc)
                for ic in range(0, m, MC):
                    mc = min(MC, m - ic)
                    block = _block_of_a(
                        element, mc, kc, _part(a, ic, pc), packs_a, packed_a, max_rows
                    )
                    _macrokernel(
                        element, mc, nc, kc, block, _part(b, pc, jc), _part(out, ic, jc),
                        pc == 0, ic == 0, packing, first_micropanel, scratch,
                    )  # fmt: skip
        keep_alive(workspace)

    signature = types.void(*[types.intp] * 12)
    return c_function(signature, gemm)
