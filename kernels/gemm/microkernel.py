"""The micro-kernel: a micro-tile of `out` in vector registers, and the k-loop that sums it.

A step of the loop is a rank-1 update: it loads one row of a micro-panel of B, which is NR elements
in a few vectors, and one element of A for each of the MR rows of the micro-tile, multiplies each of
these with the row of B and adds the product to the micro-tile's row. MR · NR multiply-adds for
MR + NR loads: this is what lets the processor work at the speed of its arithmetic, and why nothing
but the micro-tile deserves registers.

- A may have any strides, since its elements are loaded one by one. B and `out` need contiguous
  rows.
- Edge cases: the last vector of a row is masked, so that a micro-tile may end in any column and
  nothing is read or written beyond it. Full vectors take the same path, which costs nothing. (A
  last vector of half the width gains nothing, even where the processor computes wide vectors in
  halves: loading the elements of A takes the time that it saves.)
- Each element of `out` is summed upwards in k, in a chain that starts at zero. Errors grow with
  the length of a chain; so a chain is at most KC long, and further ones are added to `out`.
- Meanwhile the memory of the next micro-tile's `out` is prefetched, a row at a time: all rows at
  once would delay the loads of the loop.

Each size of micro-tile is an LLVM function of its own, with all numbers known: they cannot be
variables, since registers have no addresses.
"""

from functools import cache
from itertools import chain
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.gemm.blocksizes import VECTORS_IN_NR, blocksizes
from fastnn.kernels.runtime.hardware import vector_unit
from fastnn.kernels.runtime.vectors import INDEX, POINTER, Vectors, advance, index, phi

BIT = ir.IntType(1)
MAX_WIDE_ROWS = 2  # of a product: with no more, B is read only once, and micro-tiles are wide
MAX_WIDE_VECTORS = 8  # in a row of a wide micro-tile
PREFETCHES_OF_OUT = 16  # in a k-loop, each of one row of the next micro-tile's `out`
MIN_ROWS_TO_PREFETCH = 5  # with fewer rows, a micro-tile is the last of its column or soon done
ROWS_OF_B_AHEAD = 8  # how far a micro-kernel that packs B prefetches it


class Arguments(NamedTuple):
    """The arguments of a micro-kernel's function; see `microkernel`."""

    kc: ir.Value
    a: ir.Value
    rs_a: ir.Value
    cs_a: ir.Value
    b: ir.Value
    rs_b: ir.Value
    out: ir.Value
    rs_out: ir.Value
    edge_lanes: ir.Value
    overwrites: ir.Value
    packed_b: ir.Value
    rs_packed: ir.Value
    next_out: ir.Value


_ARGUMENT_TYPES = [BIT if name == "overwrites" else INDEX for name in Arguments._fields]


@cache
def variants() -> list[tuple[int, int, int]]:
    """Return (rows, vectors in a row, whether it packs B) for each micro-kernel.

    With two vectors there is one for any number of rows up to MR; with one vector, for MR and the
    powers of two, to compile fewer. Wide micro-tiles have one row or two, which would leave too
    few sums to keep the arithmetic busy. Zero vectors stand for a single column, which units
    without masks need.
    """
    mr = blocksizes(4).MR
    few = [rows for rows in range(1, mr + 1) if is_narrow_variant(rows, mr)]
    half = MAX_WIDE_VECTORS // 2
    sizes = [(1, MAX_WIDE_VECTORS, 0), *((rows, half, 0) for rows in range(1, MAX_WIDE_ROWS + 1))]
    sizes += [(mr, VECTORS_IN_NR, 1), (mr, 1, 1)]
    sizes += [(rows, VECTORS_IN_NR, 0) for rows in range(1, mr + 1)]
    sizes += [(rows, 1, 0) for rows in few]
    if not vector_unit().masks:
        sizes += [(rows, 0, 0) for rows in few]
    return sizes


def is_narrow_variant(rows: int, mr: int) -> bool:
    """Return whether there is a micro-kernel with this many rows of fewer than two vectors."""
    return rows == mr or rows & (rows - 1) == 0


@intrinsic
def microkernel(  # type: ignore[no-untyped-def]
    typing_context,
    element,
    rows,
    vectors,
    packs,
    kc,
    a,
    rs_a,
    cs_a,
    b,
    rs_b,
    out,
    rs_out,
    edge_lanes,
    overwrites,
    packed_b,
    rs_packed,
    next_out,
):
    """Multiply a micro-panel of A with one of B into a micro-tile of `out`.

    Parameters
    ----------
    element : numba.float32 or numba.float64
    rows, vectors, packs : int
        Which micro-kernel; one of `variants`.
    kc : int
        Columns of A and rows of B, at least 1.
    a, b, out : int
        Address of the first element of each.
    rs_a, cs_a, rs_b, rs_out, rs_packed : int
        Row strides and, of A, the column stride, in bytes.
    edge_lanes : int
        Lanes that count in the last vector of a row, from 1 to all.
    overwrites : bool
        Whether the product overwrites `out`, which then is not read, or is added to it.
    packed_b : int
        Address to which a micro-kernel that packs copies its micro-panel of B, with zeros in the
        lanes beyond `edge_lanes`.
    next_out : int
        Address of the next micro-tile of `out`, to prefetch. Any address is safe.

    """
    dtype = element.instance_type

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        """Emit a jump to the function for this size."""
        size, rest = arguments[1:4], arguments[4:]
        end = builder.append_basic_block("microkernel.end")
        switch = builder.switch(_emit_number(builder, *size), end)
        for variant in variants():
            function = _function(builder.module, dtype, *variant)
            case = builder.append_basic_block(function.name)
            switch.add_case(index(_number(*variant)), case)
            with builder.goto_block(case):
                builder.call(function, rest)
                builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    argument_types = [types.boolean if kind is BIT else types.intp for kind in _ARGUMENT_TYPES]
    return types.void(element, *[types.intp] * 3, *argument_types), generate


def _number(rows: int, vectors: int, packs: int) -> int:
    """Return a number that stands for one variant alone."""
    return rows * 32 + vectors * 2 + packs


def _emit_number(
    builder: ir.IRBuilder, rows: ir.Value, vectors: ir.Value, packs: ir.Value
) -> ir.Value:
    """Emit `_number`."""
    number = builder.add(builder.mul(rows, index(16)), vectors)
    return builder.add(builder.mul(number, index(2)), packs)


def _function(
    module: ir.Module, element: types.Float, rows: int, vectors: int, packs: int
) -> ir.Function:
    """Return the micro-kernel of `rows` × `vectors`, which is emitted once in a module."""
    name = f"microkernel_{element.name}_{rows}x{vectors}{'_packing' if packs else ''}"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), _ARGUMENT_TYPES), name)
    function.linkage = "internal"
    function.attributes.add("noinline")  # each has the registers to itself
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    unit = vector_unit()
    lanes = unit.width // (element.bitwidth // 8) if vectors else 1
    simd = Vectors(builder, element, lanes, unit.fused)
    _Microkernel(function, simd, rows, max(1, vectors), bool(packs)).emit()
    return function


class _Microkernel:
    r"""Emits the body of a micro-kernel.

    Its blocks, and the ways between them::

        entry --> k -------------> step --> done --------------> store
                  ^ \             / |         \                 /
                  |  -> prefetch -  |          -> accumulate ---
                  +---- kc steps ---+

    """

    def __init__(
        self, function: ir.Function, simd: Vectors, rows: int, vectors: int, packs: bool
    ) -> None:
        self.function = function
        self.simd, self.builder = simd, simd.builder
        self.rows, self.vectors, self.packs = rows, vectors, packs
        arguments = Arguments(*function.args)
        self.arguments = arguments._replace(
            **{
                name: self.builder.inttoptr(getattr(arguments, name), POINTER)
                for name in ("a", "b", "out", "packed_b", "next_out")
            }
        )
        # Only the last vector can be an edge case; None loads and stores all lanes.
        edge = simd.first_lanes(arguments.edge_lanes) if vector_unit().masks else None
        self.masks: list[ir.Value | None] = [None] * (vectors - 1) + [edge]

    def emit(self) -> None:
        """Emit all blocks, from the loop over k to the return."""
        builder, arguments = self.builder, self.arguments
        interval = builder.udiv(arguments.kc, index(PREFETCHES_OF_OUT))
        first_due = builder.sub(arguments.kc, interval)
        entry = [builder.block]
        loop = self.function.append_basic_block("k")
        builder.branch(loop)

        # The variables of the loop: how many steps are left; what they read, and where they pack;
        # when the next prefetch is due, and of which row; and the micro-tile, which LLVM keeps in
        # registers. Addresses are moved on by their strides, to have no multiplication in a step.
        builder.position_at_end(loop)
        left, a, b, packed_b, due, out_ahead = (
            phi(builder, entry, [start])
            for start in (
                arguments.kc,
                arguments.a,
                arguments.b,
                arguments.packed_b,
                first_due,
                arguments.next_out,
            )
        )
        zero = self.simd.zero
        tile = [[phi(builder, entry, [zero]) for _ in self.masks] for _ in range(self.rows)]

        # The prefetch comes before the arithmetic: a branch after the loads would keep LLVM from
        # merging a load with the multiply-add that uses it.
        next_due, next_ahead = self._emit_prefetch(left, due, out_ahead, interval)
        step = builder.block
        due.add_incoming(next_due, step)
        out_ahead.add_incoming(next_ahead, step)
        new_tile = self._emit_rank_1_update(tile, a, b, packed_b)
        new_left = builder.sub(left, index(1))
        left.add_incoming(new_left, step)
        a.add_incoming(advance(builder, a, arguments.cs_a), step)
        b.add_incoming(advance(builder, b, arguments.rs_b), step)
        packed_b.add_incoming(advance(builder, packed_b, arguments.rs_packed), step)
        for old, new in zip(chain(*tile), chain(*new_tile), strict=True):
            old.add_incoming(new, step)
        done = self.function.append_basic_block("done")
        builder.cbranch(builder.icmp_signed("!=", new_left, index(0)), loop, done)

        builder.position_at_end(done)
        self._emit_results(new_tile)
        builder.ret_void()

    def _emit_prefetch(
        self, left: ir.Value, due: ir.Value, out_ahead: ir.Value, interval: ir.Value
    ) -> tuple[ir.Value, ir.Value]:
        """Prefetch a row of the next `out` if it is due; return when and which row is next."""
        builder, loop = self.builder, self.builder.block
        prefetch, step = (self.function.append_basic_block(name) for name in ("prefetch", "step"))
        prefetches = self.rows >= MIN_ROWS_TO_PREFETCH
        is_due = builder.icmp_signed("==", left, due) if prefetches else ir.Constant(BIT, 0)
        builder.cbranch(is_due, prefetch, step).set_weights([1, PREFETCHES_OF_OUT])

        builder.position_at_end(prefetch)
        self.simd.prefetch(out_ahead, self.vectors, write=True)
        next_due = builder.sub(due, interval)
        next_ahead = advance(builder, out_ahead, self.arguments.rs_out)
        builder.branch(step)

        builder.position_at_end(step)
        return (
            phi(builder, [loop, prefetch], [due, next_due]),
            phi(builder, [loop, prefetch], [out_ahead, next_ahead]),
        )

    def _emit_rank_1_update(
        self, tile: list[list[ir.Value]], a: ir.Value, b: ir.Value, packed_b: ir.Value
    ) -> list[list[ir.Value]]:
        """Return the micro-tile plus a column of A times a row of B."""
        builder, simd, arguments = self.builder, self.simd, self.arguments
        row_of_b = simd.load_row(b, self.masks)
        if self.packs:
            # Rows of B lie apart here, at worst on a page each, where the processor's own
            # prefetching ends. The stores use slots that the multiply-adds leave free. They are of
            # whole vectors: a packed row has room for them, and masked stores are slower to load.
            ahead = builder.mul(arguments.rs_b, index(ROWS_OF_B_AHEAD))
            simd.prefetch(advance(builder, b, ahead), self.vectors)
            simd.store_row(row_of_b, packed_b, [None] * self.vectors)
        new_tile = []
        for row in tile:
            # One register holds the element of A for a row, and then for the next row.
            x = simd.broadcast(a)
            new_tile.append(
                [simd.multiply_add(x, y, z) for y, z in zip(row_of_b, row, strict=True)]
            )
            a = advance(builder, a, arguments.rs_a)
        return new_tile

    def _emit_results(self, tile: list[list[ir.Value]]) -> None:
        """Store the micro-tile in `out`, or add it to what `out` holds."""
        builder, simd, arguments = self.builder, self.simd, self.arguments
        done = builder.block
        accumulate, store = (
            self.function.append_basic_block(name) for name in ("accumulate", "store")
        )
        builder.cbranch(arguments.overwrites, store, accumulate)

        # All loads come first. As far as LLVM knows, a store may overlap what a load reads, so it
        # would keep them in this order and each load would wait behind a store.
        builder.position_at_end(accumulate)
        totals = []
        for i, row in enumerate(tile):
            row_of_out = advance(builder, arguments.out, builder.mul(arguments.rs_out, index(i)))
            before = simd.load_row(row_of_out, self.masks)
            totals.append([builder.fadd(x, y) for x, y in zip(before, row, strict=True)])
        builder.branch(store)

        builder.position_at_end(store)
        results = [
            [phi(builder, [done, accumulate], [x, y]) for x, y in zip(*rows, strict=True)]
            for rows in zip(tile, totals, strict=True)
        ]
        row_of_out = arguments.out
        for row in results:
            simd.store_row(row, row_of_out, self.masks)
            row_of_out = advance(builder, row_of_out, arguments.rs_out)
