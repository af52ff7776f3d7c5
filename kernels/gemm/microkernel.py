"""The micro-kernel: a tile of `out` in vector registers, and the k-loop that passes over it.

One step of the loop loads one row of a panel of `b` (nr elements: a few vectors) and, for each
of the mr rows of the tile, one element of `a`, which it multiplies with that row of `b` and
adds to the tile's row. mr · nr multiply-adds for mr + nr loads: this is what lets the
processor work at the speed of its arithmetic, and why nothing but the tile is worth keeping
in registers.

- `a` may have any strides, since its elements are loaded singly. `b` and `out` need
  contiguous rows.
- The last vector of a row is masked, so that a tile may end in any column and nothing is
  read or written beyond it. Full vectors take the same path, which costs nothing. (A last
  vector of half the width gains nothing, even where the processor computes wide vectors in
  halves: loading the elements of `a` takes the time that it spares.)
- Each element of `out` is summed upwards in k, in a chain that starts at zero. A tile that is
  not the ``first`` of its k adds its sums to what `out` holds: errors grow with the length of
  a chain, and so no further than kc.
- While it computes, a tile asks for the memory of the next one's `out`, a row at a time: all
  at once would keep its own loads waiting.

Tiles of all sizes that occur are functions of their own in LLVM, all numbers known: the sizes
cannot be variables, as registers have no addresses.
"""

from functools import cache
from itertools import chain

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.gemm.blocksizes import tiling, vector_unit
from fastnn.kernels.runtime.vectors import INDEX, POINTER, Vectors, advance, index, phi

# kc, a, its strides, b, its row stride, out, its row stride, tail, first,
# panel, its row stride, the next tile's out
_TILE_TYPE = ir.FunctionType(
    ir.VoidType(),
    [*[INDEX] * 9, ir.IntType(1), *[INDEX] * 3],
)
FEW = 4  # rows: a tile with no more is the last of its panel, or soon done
ROWS_AHEAD = 16  # of the next tile's `out`, whose prefetching is spread over a k-loop


@cache
def tile_sizes() -> list[tuple[int, int, int]]:
    """Return (rows, vectors, whether it packs) of all tiles.

    Any number of rows up to mr for two vectors; for one, mr and powers of two, which spares
    compiling. Wide tiles are for one row or two, which would have too few sums to keep the
    arithmetic busy. No vectors stand for a single column, which units without masks need.
    """
    mr = tiling(4).mr
    few = [rows for rows in range(1, mr + 1) if is_narrow_tile(rows, mr)]
    sizes = [(1, 8, 0), (1, 4, 0), (2, 4, 0), (mr, 2, 1), (mr, 1, 1)]
    sizes += [(rows, 2, 0) for rows in range(1, mr + 1)]
    sizes += [(rows, 1, 0) for rows in few]
    if not vector_unit().masks:
        sizes += [(rows, 0, 0) for rows in few]
    return sizes


def is_narrow_tile(rows: int, mr: int) -> bool:
    """Return whether there is a tile of so many rows with fewer than two vectors."""
    return rows == mr or rows & (rows - 1) == 0


@intrinsic
def multiply_tile(  # type: ignore[no-untyped-def]
    typing_context,
    element,
    rows,
    vectors,
    packs,
    kc,
    a,
    a_row,
    a_column,
    b,
    b_row,
    out,
    out_row,
    tail,
    first,
    panel,
    panel_row,
    next_out,
):
    """Add the product of `kc` columns of `a` and as many rows of `b` to a tile of `out`.

    Parameters
    ----------
    element : numba.float32 or numba.float64
    rows, vectors, packs : int
        The tile; one of `tile_sizes`.
    kc : int
        At least 1.
    a, b, out : int
        Address of the first element of each.
    a_row, a_column, b_row, out_row, panel_row : int
        Strides in bytes.
    tail : int
        Lanes that count in the last vector, from 1 to all.
    first : bool
        Whether the sums are all there is; `out` is not read then. Otherwise they are added to it.
    panel : int
        Address to which a tile that packs copies its part of `b`; lanes beyond `tail` are zero.
    next_out : int
        Address of the next tile's `out`, which is prefetched; any will do.

    """
    dtype = element.instance_type

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        """Emit a jump to the function for this size of tile."""
        size, rest = arguments[1:4], arguments[4:]
        end = builder.append_basic_block("tile.end")
        switch = builder.switch(_key(builder, *size), end)
        for variant in tile_sizes():
            function = _tile_function(builder.module, dtype, *variant)
            case = builder.append_basic_block(function.name)
            switch.add_case(index(_number(*variant)), case)
            with builder.goto_block(case):
                builder.call(function, rest)
                builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    integers = [types.intp] * 12
    return types.void(element, *integers, types.boolean, *[types.intp] * 3), generate


def _number(rows: int, vectors: int, packs: int) -> int:
    return rows * 32 + vectors * 2 + packs


def _key(builder: ir.IRBuilder, rows: ir.Value, vectors: ir.Value, packs: ir.Value) -> ir.Value:
    """Emit `_number`."""
    number = builder.add(builder.mul(rows, index(16)), vectors)
    return builder.add(builder.mul(number, index(2)), packs)


def _tile_function(
    module: ir.Module, element: types.Float, rows: int, vectors: int, packs: int
) -> ir.Function:
    """Emit the tile of `rows` × `vectors` as a function, once in a module."""
    name = f"tile_{element.name}_{rows}x{vectors}{'_packing' if packs else ''}"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, _TILE_TYPE, name)
    function.linkage = "internal"
    function.attributes.add("noinline")  # each has the registers to itself
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    unit = vector_unit()
    lanes = unit.width // (element.bitwidth // 8) if vectors else 1
    simd = Vectors(builder, element, lanes, unit.fused)
    _emit_tile(function, simd, rows, max(1, vectors), packs)
    return function


def _emit_tile(function: ir.Function, simd: Vectors, rows: int, vectors: int, packs: int) -> None:
    builder = simd.builder
    (kc, a, a_row, a_column, b, b_row, out, out_row, tail, first, panel, panel_row, next_out) = (
        function.args
    )
    a, b, out, panel, next_out = (
        builder.inttoptr(address, POINTER) for address in (a, b, out, panel, next_out)
    )
    masks = [None] * (vectors - 1) + [simd.first_lanes(tail) if vector_unit().masks else None]
    interval = builder.udiv(kc, index(ROWS_AHEAD))
    first_due = builder.sub(kc, interval)
    loop, ahead, step, done = (
        function.append_basic_block(name) for name in ("k", "ahead", "step", "done")
    )
    entry = [builder.block]
    builder.branch(loop)

    builder.position_at_end(loop)
    left, a_now, b_now, panel_now, due, out_ahead = (
        phi(builder, entry, [start]) for start in (kc, a, b, panel, first_due, next_out)
    )
    sums = [[phi(builder, entry, [simd.zero]) for _ in masks] for _ in range(rows)]
    # Ahead of the arithmetic: a branch after loads would keep LLVM from pairing them with it.
    is_due = builder.icmp_signed("==", left, due) if rows > FEW else ir.Constant(ir.IntType(1), 0)
    builder.cbranch(is_due, ahead, step).set_weights([1, ROWS_AHEAD])

    builder.position_at_end(ahead)
    simd.prefetch(out_ahead, vectors, write=True)
    next_due, next_ahead = builder.sub(due, interval), advance(builder, out_ahead, out_row)
    builder.branch(step)

    builder.position_at_end(step)
    due.add_incoming(phi(builder, [loop, ahead], [due, next_due]), step)
    out_ahead.add_incoming(phi(builder, [loop, ahead], [out_ahead, next_ahead]), step)
    b_vectors = simd.load_row(b_now, masks)
    if packs:
        simd.prefetch(advance(builder, b_now, builder.mul(b_row, index(8))), vectors)
        simd.store_row(b_vectors, panel_now, [None] * vectors)
    new_sums = []
    a_element = a_now
    for row in sums:
        x = simd.broadcast(a_element)
        new_sums.append([simd.multiply_add(x, y, z) for y, z in zip(b_vectors, row, strict=True)])
        a_element = advance(builder, a_element, a_row)
    new_left = builder.sub(left, index(1))
    left.add_incoming(new_left, step)
    a_now.add_incoming(advance(builder, a_now, a_column), step)
    b_now.add_incoming(advance(builder, b_now, b_row), step)
    panel_now.add_incoming(advance(builder, panel_now, panel_row), step)
    for old, new in zip(chain(*sums), chain(*new_sums), strict=True):
        old.add_incoming(new, step)
    builder.cbranch(builder.icmp_signed("!=", new_left, index(0)), loop, done)

    builder.position_at_end(done)
    _emit_results(simd, new_sums, out, out_row, masks, first)
    builder.ret_void()


def _emit_results(
    simd: Vectors,
    sums: list[list[ir.Value]],
    out: ir.Value,
    out_row: ir.Value,
    masks: list[ir.Value | None],
    first: ir.Value,
) -> None:
    """Store a tile's sums in `out`, or if they are not the `first`, add them to it."""
    builder, done = simd.builder, simd.builder.block
    resume, store = (builder.append_basic_block(name) for name in ("resume", "store"))
    builder.cbranch(first, store, resume)

    builder.position_at_end(resume)
    totals = []
    for i, row in enumerate(sums):
        so_far = simd.load_row(advance(builder, out, builder.mul(out_row, index(i))), masks)
        totals.append([builder.fadd(x, y) for x, y in zip(so_far, row, strict=True)])
    builder.branch(store)

    builder.position_at_end(store)
    results = [
        [phi(builder, [done, resume], [x, y]) for x, y in zip(*rows, strict=True)]
        for rows in zip(sums, totals, strict=True)
    ]
    for row in results:
        simd.store_row(row, out, masks)
        out = advance(builder, out, out_row)
