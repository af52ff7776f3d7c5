"""The loops around the micro-kernel: a product on one thread.

In BLIS's order, from the outside: columns by nc, k by kc, rows by mc; then the panels of `b`
by nr, and the tiles under each by mr. A part that is used again before it leaves its cache is
packed where that pays:

- A panel of `b` is packed by the first tile that reads it, which stores what it loads while
  its arithmetic goes on: such packing is almost free. Where rows of `b` are not contiguous, a
  copy of its own transposes the panel before.
- A block of `a` is packed only where its stride is hostile, a multiple of 2048 bytes: the
  rows of a tile then compete for the same few places of L1.
- Products with few rows leave `b` where it is.

Where `out` has no contiguous rows, a tile is computed beside it and copied.
"""

from typing import Any

import numba
import numpy as np
from numba import njit, types

from kernels.compiling import c_function
from kernels.microkernel import multiply_tile
from kernels.packing import copy
from kernels.simd import LINE, keep, prefetch_for_writing
from kernels.tiling import tiling, vector_unit

MASKS = vector_unit().masks

HOSTILE = 2048  # bytes: rows this far apart, or a multiple, share two sets of a 32 KiB L1
FEW_COLUMNS = 128  # of `out`: with fewer, a packed block of `a` is not read often enough
PREFETCH_FROM = 48  # steps of k: a shorter loop ends before the memory could answer


@njit(inline="always")
def _vectors_of_tile(columns, rows, lanes, in_place):  # type: ignore[no-untyped-def]
    """Return how many vectors the next tile takes; 0 stands for a single column."""
    vectors = columns // lanes + (MASKS and columns % lanes != 0)
    if in_place and rows == 1 and vectors >= 8:
        return 8
    if in_place and rows <= 2 and vectors >= 4:
        return 4
    return min(2, vectors)


@njit(inline="always")
def _multiply_panel(  # type: ignore[no-untyped-def]
    element,
    itemsize,
    m,
    width,
    kc,
    a,
    a_row,
    a_column,
    b,
    b_row,
    out,
    out_row,
    out_column,
    mr,
    vectors,
    tail,
    first,
    packs,
    panel,
    panel_row,
    scratch,
):
    """Multiply m rows of `a` with a panel of `b`, `vectors` wide."""
    direct = out_column == itemsize
    done = 0
    left = m - packs * mr
    tiles = (left + mr - 1) // mr
    for t in range(-packs, tiles):
        rows = left // tiles + (t < left % tiles) if t >= 0 else mr
        to = out + done * out_row
        to_row = out_row
        if not direct:
            if not first:
                copy(
                    element,
                    itemsize,
                    scratch,
                    panel_row,
                    itemsize,
                    to,
                    out_row,
                    out_column,
                    rows,
                    width,
                )
            to = scratch
            to_row = panel_row
        elif kc > PREFETCH_FROM:
            for i in range(rows, 2 * rows):
                for offset in range(0, width * itemsize + LINE, LINE):
                    prefetch_for_writing(to + i * out_row + offset)
        multiply_tile(
            element,
            rows,
            vectors,
            int(t < 0),
            kc,
            a + done * a_row,
            a_row,
            a_column,
            b,
            b_row,
            to,
            to_row,
            tail,
            first,
            panel,
        )
        if not direct:
            copy(
                element,
                itemsize,
                out + done * out_row,
                out_row,
                out_column,
                scratch,
                panel_row,
                itemsize,
                rows,
                width,
            )
        if t < 0:
            b = panel
            b_row = panel_row
        done += rows


def compile_block(dtype: np.dtype[np.floating]) -> Any:
    """Compile the product of one thread for `dtype`, as a C function.

    ``block(m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row, out_column)``
    takes addresses and strides in bytes. All sizes are at least 1.

    Parameters
    ----------
    dtype : numpy.dtype
        float32 or float64.

    """
    tiles = tiling(dtype.itemsize)
    element = numba.from_dtype(dtype)
    # As np.intp: Python's integers would be literal types, and each a version of every callee.
    itemsize, lanes, mr, nr, kc_max, mc_max, nc_max, panel_row = (
        np.intp(number)
        for number in (
            dtype.itemsize,
            tiles.lanes,
            tiles.mr,
            tiles.vectors * tiles.lanes,
            tiles.kc,
            tiles.mc,
            tiles.nc,
            tiles.vectors * tiles.lanes * dtype.itemsize,
        )
    )

    def block(m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row, out_column):  # type: ignore[no-untyped-def]
        transposes = b_column != itemsize
        packs = not transposes and m >= 2 * mr and b_row > panel_row
        in_place = out_column == itemsize and not (packs or transposes)
        packs_a = (
            n >= FEW_COLUMNS
            and m > 4
            and k > 32
            and (a_row % HOSTILE == 0 or (a_row == itemsize and a_column % HOSTILE == 0))
        )
        k_parts = (k + kc_max - 1) // kc_max
        kc_even = (k + k_parts - 1) // k_parts
        blocks = (m + mc_max - 1) // mc_max
        panel_bytes = kc_even * panel_row
        panels = 1 if blocks == 1 else min(n, nc_max) // nr + 1
        b_bytes = panels * panel_bytes if packs or transposes else 0
        a_bytes = (min(m, mc_max) + LINE) * (kc_even * itemsize + LINE) if packs_a else 0
        workspace = np.empty(LINE + b_bytes + a_bytes + mr * panel_row, np.uint8)
        b_packed = (int(workspace.ctypes.data) + LINE - 1) // LINE * LINE
        a_packed = b_packed + b_bytes
        scratch = a_packed + a_bytes
        for jc in range(0, n, nc_max):
            j_end = min(jc + nc_max, n)
            for p in range(0, k, kc_even):
                kc = min(kc_even, k - p)
                for ic in range(0, m, mc_max):
                    mc = min(mc_max, m - ic)
                    a_block, a_block_row, a_block_column = (
                        a + ic * a_row + p * a_column,
                        a_row,
                        a_column,
                    )
                    if packs_a:
                        if a_row == itemsize:
                            a_block_column = mc * itemsize + LINE
                            if jc == 0 or blocks > 1:
                                copy(
                                    element,
                                    itemsize,
                                    a_packed,
                                    a_block_column,
                                    itemsize,
                                    a_block,
                                    a_column,
                                    a_row,
                                    kc,
                                    mc,
                                )
                        else:
                            a_block_row, a_block_column = kc * itemsize + LINE, itemsize
                            if jc == 0 or blocks > 1:
                                copy(
                                    element,
                                    itemsize,
                                    a_packed,
                                    a_block_row,
                                    itemsize,
                                    a_block,
                                    a_row,
                                    a_column,
                                    mc,
                                    kc,
                                )
                        a_block = a_packed
                    j = jc
                    panel = b_packed
                    while j < j_end:
                        vectors = _vectors_of_tile(j_end - j, m, lanes, in_place)
                        width = min(max(1, vectors * lanes), j_end - j)
                        tail = width - (vectors - 1) * lanes
                        b_panel, b_panel_row = b + p * b_row + j * b_column, b_row
                        if transposes and ic == 0:
                            copy(
                                element,
                                itemsize,
                                panel,
                                panel_row,
                                itemsize,
                                b_panel,
                                b_row,
                                b_column,
                                kc,
                                width,
                            )
                        if transposes or (packs and ic > 0 and vectors > 0):
                            b_panel, b_panel_row = panel, panel_row
                        _multiply_panel(
                            element,
                            itemsize,
                            mc,
                            width,
                            kc,
                            a_block,
                            a_block_row,
                            a_block_column,
                            b_panel,
                            b_panel_row,
                            out + ic * out_row + j * out_column,
                            out_row,
                            out_column,
                            mr,
                            vectors,
                            tail,
                            p == 0,
                            int(packs and ic == 0 and vectors > 0),  # single columns stay in place
                            panel,
                            panel_row,
                            scratch,
                        )
                        j += width
                        if blocks > 1:
                            panel += panel_bytes
        keep(workspace)

    signature = types.void(*[types.intp] * 12)
    return c_function(signature, block)
