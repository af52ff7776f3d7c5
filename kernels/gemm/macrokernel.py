"""The loops around the micro-kernel: a product on one thread.

In BLIS's order, from the outside: columns by nc, k by kc, rows by mc; then the panels of `b`
by nr, and the tiles under each by mr. A part that is used again before it leaves its cache is
packed where that pays:

- A panel of `b` is packed by the first tile that reads it, which stores what it loads while
  its arithmetic goes on: such packing is almost free. Where rows of `b` are not contiguous,
  it is transposed before.
- A block of `a` is packed, in groups of mr rows, where it is larger than L1 and read often
  enough, and where its stride is hostile: a multiple of 2048 bytes, so that the rows of a tile
  compete for the same few places of L1.
- Products with few rows leave `b` where it is.

Where `out` has no contiguous rows, a tile is computed beside it and copied.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numba import njit, types
from numba.extending import overload

from fastnn.kernels.gemm.blocksizes import Tiling, caches, tiling, vector_unit
from fastnn.kernels.gemm.microkernel import multiply_tile
from fastnn.kernels.gemm.packing import STRIP, copy, pack
from fastnn.kernels.runtime.compiling import c_function
from fastnn.kernels.runtime.vectors import LINE, keep

MASKS = vector_unit().masks
L1 = caches().l1

HOSTILE = 2048  # bytes: rows this far apart, or a multiple, share two sets of a 32 KiB L1
FEW_COLUMNS = 1024  # of `out`: with fewer, a packed block of `a` is not read often enough
FEW_ROWS = 2  # of `out`: with no more, every part of `b` is read once, and tiles are wide
L1_WAYS = 8  # lines that L1 holds of those that compete for one place: as much as most have


class Operand(NamedTuple):
    """Where a matrix lies: its first element's address, and its strides in bytes."""

    address: int
    row: int
    column: int


class Rows(NamedTuple):
    """A block of `a`, in groups of mr rows, which may lie apart from each other."""

    address: int
    row: int
    column: int
    group: int  # bytes from one group to the next
    tile: int  # at most so many rows in a tile


class Panels(NamedTuple):
    """How panels of `b` are had."""

    vectors: int  # their width, at most
    packs: bool  # by the tile that reads them first
    transposes: bool
    kept: bool  # for other blocks of `a`


class Cuts(NamedTuple):
    """How much is worked on at a time; see `fastnn.kernels.gemm.blocksizes`."""

    mc: int
    kc: int
    nc: int


def numbers(element: types.Float) -> Tiling:
    """Return the `tiling` for elements of this type, from within compiled code."""
    return tiling(element.bitwidth // 8)


@overload(numbers)
def _numbers(element):  # type: ignore[no-untyped-def]
    constants = numbers(element.instance_type)
    return lambda element: constants


@njit
def _part(x, i, j):  # type: ignore[no-untyped-def]
    return Operand(x.address + i * x.row + j * x.column, x.row, x.column)


@njit(inline="always")
def _rows_of_tile(left, most, mr, vectors):  # type: ignore[no-untyped-def]
    rows = min(left, most)
    if vectors < 2:
        while rows != mr and rows & (rows - 1) != 0:  # as `is_narrow_tile`
            rows -= 1
    return rows


@njit(inline="always")
def _vectors_of_tile(columns, m, lanes, most):  # type: ignore[no-untyped-def]
    """Return how many vectors the next tile takes; 0 stands for a single column."""
    vectors = columns // lanes + (MASKS and columns % lanes != 0)
    if m == 1 and min(vectors, most) >= 8:
        return 8
    if m <= FEW_ROWS and min(vectors, most) >= 4:
        return 4
    return min(2, vectors)


@njit(inline="always")
def _multiply_panel(  # type: ignore[no-untyped-def]
    element, m, width, kc, a, b, out, first, vectors, packs, panel, scratch
):
    """Multiply the rows of a block of `a` with a panel of `b`, `vectors` wide."""
    size, lanes, mr = numbers(element).itemsize, numbers(element).lanes, numbers(element).mr
    tail = width - (vectors - 1) * lanes
    direct = out.column == size
    i = 0
    while i < m:
        rows = _rows_of_tile(m - i, a.tile, mr, vectors)
        a_tile = a.address + i // mr * a.group + i % mr * a.row
        to = _part(out, i, 0)
        next_out = to.address + rows * out.row if m - i > rows else out.address + width * size
        if not direct:
            to = scratch
            if not first:
                copy(
                    element, size, to.address, to.row, size,
                    out.address + i * out.row, out.row, out.column, rows, width,
                )  # fmt: skip
        multiply_tile(
            element, rows, vectors, int(packs), kc,
            a_tile, a.row, a.column, b.address, b.row, to.address, to.row,
            tail, first, panel.address, panel.row, next_out,
        )  # fmt: skip
        if not direct:
            copy(
                element, size, out.address + i * out.row, out.row, out.column,
                to.address, to.row, size, rows, width,
            )  # fmt: skip
        if packs:
            b, packs = panel, False
        i += rows


@njit(inline="always")
def _multiply_block(element, m, n, kc, a, b, out, first, fresh, panels, packed, scratch):  # type: ignore[no-untyped-def]
    """Multiply a block of `a` with all panels of a block of `b`, which are packed if `fresh`."""
    size, lanes = numbers(element).itemsize, numbers(element).lanes
    panel = packed
    j = 0
    while j < n:
        vectors = _vectors_of_tile(n - j, m, lanes, panels.vectors)
        width = min(max(1, vectors * lanes), n - j)
        source = _part(b, 0, j)
        if panels.transposes and fresh:
            pack(
                element, size, panel.address, panel.row,
                source.address, source.row, source.column, kc, width,
            )  # fmt: skip
        packs = panels.packs and vectors > 0  # single columns stay in place
        if panels.transposes or (packs and not fresh):
            source = panel
        _multiply_panel(
            element, m, width, kc, a, source, _part(out, 0, j), first,
            vectors, packs and fresh, panel, scratch,
        )  # fmt: skip
        j += width
        if panels.kept:
            panel = _part(panel, kc, 0)  # the next begins behind this one


@njit(inline="always")
def _group_row(mr, size):  # type: ignore[no-untyped-def]
    """Return the bytes from one column of a packed group of rows to the next."""
    return (mr * size + STRIP - 1) // STRIP * STRIP


@njit(inline="always")
def _pack_rows(element, m, kc, a, to):  # type: ignore[no-untyped-def]
    """Copy a block of `a` in groups of mr rows, the columns of each group in one piece."""
    size, mr = numbers(element).itemsize, numbers(element).mr
    group = _group_row(mr, size)
    for i in range(0, m, mr):
        pack(
            element, size, to + i // mr * kc * group, group,
            a.address + i * a.row, a.column, a.row, kc, min(mr, m - i),
        )  # fmt: skip


@njit(inline="always")
def _choose_panels(m, sizes, b, out):  # type: ignore[no-untyped-def]
    transposes = b.column != sizes.itemsize
    packs = not transposes and m >= 2 * sizes.mr and b.row > 2 * sizes.lanes * sizes.itemsize
    wide = m <= FEW_ROWS and out.column == sizes.itemsize and not transposes
    return Panels(8 if wide else 2, packs, transposes, m > sizes.mc)


@njit(inline="always")
def _choose_cuts(m, k, sizes, panels):  # type: ignore[no-untyped-def]
    """Even parts of k, the same for every m and n, since each part's sums start at zero.

    For few rows a transposed `b` is used up panel by panel: nothing reads it again.
    """
    few = m <= FEW_ROWS and panels.transposes
    nc = panels.vectors * sizes.lanes if few else sizes.nc
    parts = (k + sizes.kc - 1) // sizes.kc
    return Cuts(sizes.mc, (k + parts - 1) // parts, nc)


@njit(inline="always")
def _is_hostile(a, size):  # type: ignore[no-untyped-def]
    return a.row % HOSTILE == 0 or (a.row == size and a.column % HOSTILE == 0)


@njit(inline="always")
def _packs_rows(m, n, k, sizes, a):  # type: ignore[no-untyped-def]
    large = m * k * sizes.itemsize > L1 and n >= FEW_COLUMNS
    hostile = n > 2 * sizes.lanes and _is_hostile(a, sizes.itemsize)
    return m > FEW_ROWS and k > 32 and (large or hostile)


@njit(inline="always")
def _rows(element, m, kc, a, packs, packed, most):  # type: ignore[no-untyped-def]
    """Return a block of `a` as tiles of at most `most` rows read it, packed or where it is."""
    size, mr = numbers(element).itemsize, numbers(element).mr
    if packs:
        column = _group_row(mr, size)
        _pack_rows(element, m, kc, a, packed)
        return Rows(packed, size, column, kc * column, mr)
    return Rows(a.address, a.row, a.column, mr * a.row, most)


def compile_block(dtype: np.dtype[np.floating]) -> Any:
    """Compile the product of one thread for `dtype`, as a C function.

    ``block(m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row, out_column)``
    takes addresses and strides in bytes. All sizes are at least 1.

    Parameters
    ----------
    dtype : numpy.dtype
        float32 or float64.

    """
    element = numba.from_dtype(dtype)
    # Closed over, and so part of what code on disk is known by: other caches, other code.
    sizes = tiling(dtype.itemsize)

    def block(m, n, k, a, a_row, a_column, b, b_row, b_column, out, out_row, out_column):  # type: ignore[no-untyped-def]
        a, b = Operand(a, a_row, a_column), Operand(b, b_row, b_column)
        out = Operand(out, out_row, out_column)
        size, lanes, mr = sizes.itemsize, sizes.lanes, sizes.mr
        panels = _choose_panels(m, sizes, b, out)
        cuts = _choose_cuts(m, k, sizes, panels)
        packs_rows = _packs_rows(m, n, k, sizes, a)
        most = min(mr, L1_WAYS) if _is_hostile(a, size) and not panels.packs else mr

        panel_row = 2 * lanes * size
        count = min(n, cuts.nc) // (2 * lanes) + 1 + (0 if MASKS else lanes) if panels.kept else 1
        b_bytes = count * cuts.kc * panel_row if panels.packs or panels.transposes else 0
        groups = (min(m, cuts.mc) + mr - 1) // mr
        a_bytes = groups * cuts.kc * _group_row(mr, size) if packs_rows else 0
        workspace = np.empty(LINE + b_bytes + a_bytes + mr * panel_row, np.uint8)
        b_packed = (int(workspace.ctypes.data) + LINE - 1) // LINE * LINE
        a_packed = b_packed + b_bytes
        panel = Operand(b_packed, panel_row, size)
        scratch = Operand(a_packed + a_bytes, panel_row, size)

        for jc in range(0, n, cuts.nc):
            nc = min(cuts.nc, n - jc)
            for p in range(0, k, cuts.kc):
                kc = min(cuts.kc, k - p)
                for ic in range(0, m, cuts.mc):
                    mc = min(cuts.mc, m - ic)
                    rows = _rows(element, mc, kc, _part(a, ic, p), packs_rows, a_packed, most)
                    _multiply_block(
                        element, mc, nc, kc, rows, _part(b, p, jc), _part(out, ic, jc),
                        p == 0, ic == 0, panels, panel, scratch,
                    )  # fmt: skip
        keep(workspace)

    signature = types.void(*[types.intp] * 12)
    return c_function(signature, block)
