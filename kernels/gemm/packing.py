"""Packing: copies of parts of A and B, laid out as the micro-kernel reads them.

To pack a part costs one copy, and pays where the part is read many times: it then lies in one
piece, in cache lines and pages of its own, whatever the strides of the operand.

There is one copy, of a strided block to contiguous rows, in three ways:

- along rows, where those of the source are contiguous too;
- by transposing in registers, where the source's columns are contiguous;
- element by element otherwise.
"""

from itertools import chain

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from fastnn.kernels.runtime.hardware import vector_unit
from fastnn.kernels.runtime.vectors import INDEX, POINTER, Vectors, advance, index, phi

MASKS = vector_unit().masks
VECTOR = vector_unit().width
STRIP_BYTES = min(32, VECTOR)  # of a row: the columns that are transposed together
GROUP_BYTES = 16  # of a vector: the shuffles that stay within 128 bits are the fast ones


def _vectors(builder: ir.IRBuilder, element: types.Float) -> Vectors:
    return Vectors(builder, element, VECTOR // (element.bitwidth // 8))


def _pointers(builder: ir.IRBuilder, addresses: list[ir.Value]) -> list[ir.Value]:
    return [builder.inttoptr(address, POINTER) for address in addresses]


@intrinsic
def copy_element(typing_context, element, to, source):  # type: ignore[no-untyped-def]
    """Copy one element."""
    dtype = element.instance_type

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        to, source = _pointers(builder, arguments[1:])
        simd = Vectors(builder, dtype, 1)
        simd.store(simd.load(source), to)
        return context.get_dummy_value()

    return types.void(element, types.intp, types.intp), generate


@intrinsic
def copy_vector(typing_context, element, to, source, count):  # type: ignore[no-untyped-def]
    """Copy `count` adjacent elements, at most a vector of them."""
    dtype = element.instance_type

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        to, source = _pointers(builder, arguments[1:3])
        count = arguments[3]
        simd = _vectors(builder, dtype)
        mask = simd.first_lanes(count) if MASKS else None
        simd.store(simd.load(source, mask), to, mask)
        return context.get_dummy_value()

    return types.void(element, *[types.intp] * 3), generate


@intrinsic
def transpose_strip(  # type: ignore[no-untyped-def]
    typing_context, element, to, rs_to, source, cs, rows, columns, padded
):
    """Copy at most a strip of columns, which are contiguous, to contiguous rows.

    Where the rows are `padded`, the copy may fill a whole strip in each. Without masks the strip
    must be full, and `rows` a multiple of its lanes.
    """
    dtype = element.instance_type

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        *arguments, padded = arguments[1:]
        module = builder.module
        full = index(STRIP_BYTES // (dtype.bitwidth // 8))
        plain = builder.or_(padded, builder.icmp_signed("==", arguments[-1], full))
        with builder.if_else(plain) as (then, otherwise):
            with then:
                builder.call(_transpose_function(module, dtype, masked=False), arguments)
            with otherwise:
                builder.call(_transpose_function(module, dtype, masked=MASKS), arguments)
        return context.get_dummy_value()

    return types.void(element, *[types.intp] * 6, types.boolean), generate


def _transpose_function(module: ir.Module, element: types.Float, masked: bool) -> ir.Function:
    name = f"transpose_{element.name}{'_masked' if masked else ''}"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [INDEX] * 6), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    _Transpose(function, element, masked).emit()
    return function


class _Transpose:
    """Emits the body of `transpose_strip`.

    A step takes one vector from each column of the strip and makes as many rows of them. Its
    shuffles are of two kinds, here for float64 in vectors of four lanes, which are groups of two::

        columns        groups traded      pairs interleaved

        a0 a1 a2 a3    a0 a1 | c0 c1      a0 b0 c0 d0   row 0
        b0 b1 b2 b3    b0 b1 | d0 d1      a1 b1 c1 d1   row 1
        c0 c1 c2 c3    a2 a3 | c2 c3      a2 b2 c2 d2   row 2
        d0 d1 d2 d3    b2 b3 | d2 d3      a3 b3 c3 d3   row 3

    First, columns j and j + e trade their groups of e elements, so that those which belong to the
    same rows come together. Then each group is transposed in place, which no longer moves anything
    across 128 bits.

    Columns that the strip lacks are read as its last one, so that no other memory is touched.
    Where possible, stores are not masked: what was stored under a mask is slow to load again at
    once.
    """

    def __init__(self, function: ir.Function, element: types.Float, masked: bool) -> None:
        self.function = function
        self.builder = builder = ir.IRBuilder(function.append_basic_block("entry"))
        itemsize = element.bitwidth // 8
        self.group = GROUP_BYTES // itemsize
        self.strip = Vectors(builder, element, STRIP_BYTES // itemsize)
        to, self.rs_to, source, cs, self.rows, columns = function.args
        self.to, self.source = (builder.inttoptr(address, POINTER) for address in (to, source))
        self.mask = self.strip.first_lanes(columns) if masked else None
        last = builder.sub(columns, index(1))
        self.columns = [
            builder.mul(self._smaller(index(j), last), cs) for j in range(self.strip.lanes)
        ]

    def emit(self) -> None:
        """Emit a loop over whole steps, and a last step for the rows that remain."""
        builder, step = self.builder, self.strip.lanes
        blocks = [self.function.append_basic_block(name) for name in ("k", "rest", "tail", "done")]
        loop, rest, tail, done = blocks
        entry = builder.block
        full = builder.sub(self.rows, builder.and_(self.rows, index(step - 1)))
        builder.cbranch(builder.icmp_signed(">", full, index(0)), loop, rest)

        # Whole steps: as many rows as a vector has lanes, without a mask on the loads.
        builder.position_at_end(loop)
        left, source, to = (phi(builder, [entry], [v]) for v in (full, self.source, self.to))
        next_to = to
        for vector in self._transposed(source, None):
            self.strip.store(vector, next_to, self.mask)
            next_to = advance(builder, next_to, self.rs_to)
        next_left = builder.sub(left, index(step))
        next_source = advance(builder, source, index(STRIP_BYTES))
        for old, new in ((left, next_left), (source, next_source), (to, next_to)):
            old.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed(">", next_left, index(0)), loop, rest)

        builder.position_at_end(rest)
        source = phi(builder, [entry, loop], [self.source, next_source])
        to = phi(builder, [entry, loop], [self.to, next_to])
        count = builder.sub(self.rows, full)
        builder.cbranch(builder.icmp_signed(">", count, index(0)), tail, done)

        # Fewer rows: the loads are masked. The stores cannot leave out a row, as how many there
        # are is not known here; so rows that do not exist are stored where the last one goes, and
        # it is stored after them.
        builder.position_at_end(tail)
        if MASKS:
            vectors = self._transposed(source, self.strip.first_lanes(count))
            last = builder.sub(count, index(1))
            for i in reversed(range(step)):
                offset = builder.mul(self._smaller(index(i), last), self.rs_to)
                self.strip.store(vectors[i], advance(builder, to, offset), self.mask)
        builder.branch(done)
        builder.position_at_end(done)
        builder.ret_void()

    def _smaller(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.builder.select(self.builder.icmp_signed("<", x, y), x, y)

    def _transposed(self, source: ir.Value, mask: ir.Value | None) -> list[ir.Value]:
        """Load a vector of each column and return as many rows."""
        columns = [
            self.strip.load(advance(self.builder, source, offset), mask) for offset in self.columns
        ]
        rows: list[ir.Value] = []
        for part in range(0, self.strip.lanes, self.group):
            vectors = self._trade_groups(columns, part)
            # Interleaving the first half of the vectors with the second is a perfect shuffle;
            # log2(group) of them transpose the groups (Stone, 1971).
            for _ in range(self.group.bit_length() - 1):
                pairs = zip(vectors[: self.group // 2], vectors[self.group // 2 :], strict=True)
                vectors = list(chain.from_iterable(self._interleaved(x, y) for x, y in pairs))
            rows += vectors
        return rows

    def _trade_groups(self, columns: list[ir.Value], part: int) -> list[ir.Value]:
        """Bring together the groups that begin at lane `part`."""
        if len(columns) == self.group:
            return columns
        lanes = [start + part + i for start in (0, self.strip.lanes) for i in range(self.group)]
        pairs = zip(columns[: self.group], columns[self.group :], strict=True)
        return [self.strip.shuffle(x, y, lanes) for x, y in pairs]

    def _interleaved(self, x: ir.Value, y: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Interleave the lower, and the upper, halves of each 128 bits."""
        step, lanes = self.group, self.strip.lanes
        halves = []
        for half in (0, step // 2):
            pairs = (
                (start + i, lanes + start + i)
                for start in range(0, lanes, step)
                for i in range(half, half + step // 2)
            )
            halves.append(self.strip.shuffle(x, y, list(chain.from_iterable(pairs))))
        return halves[0], halves[1]


@njit
def _copy_elements(element, to, rs_to, cs_to, source, rs, cs, rows, columns):  # type: ignore[no-untyped-def]
    for i in range(rows):
        for j in range(columns):
            copy_element(element, to + i * rs_to + j * cs_to, source + i * rs + j * cs)


@njit
def _transpose(element, itemsize, to, rs_to, source, cs, rows, columns, padded):  # type: ignore[no-untyped-def]
    """Copy columns, which are contiguous, to contiguous rows."""
    lanes = STRIP_BYTES // itemsize
    for j in range(0, columns, lanes):
        width = min(lanes, columns - j)
        full = rows
        if not MASKS:
            full = rows - rows % lanes if width == lanes else 0
        to_strip, strip = to + j * itemsize, source + j * cs
        if full > 0:
            transpose_strip(element, to_strip, rs_to, strip, cs, full, width, padded)
        if full < rows:
            _copy_elements(
                element, to_strip + full * rs_to, rs_to, itemsize,
                strip + full * itemsize, itemsize, cs, rows - full, width,
            )  # fmt: skip


@njit
def copy(element, itemsize, to, rs_to, cs_to, source, rs, cs, rows, columns):  # type: ignore[no-untyped-def]
    """Copy rows × columns elements from one place and pair of strides to another."""
    if cs_to != itemsize and rs_to == itemsize:  # both sides transposed: the same copy
        rs_to, cs_to, rs, cs, rows, columns = (
            cs_to, rs_to, cs, rs, columns, rows,
        )  # fmt: skip
    if cs_to == cs == itemsize:
        lanes = VECTOR // itemsize
        full = columns if MASKS else columns - columns % lanes
        for i in range(rows):
            for j in range(0, full, lanes):
                offset = j * itemsize
                count = min(lanes, columns - j)
                copy_vector(element, to + i * rs_to + offset, source + i * rs + offset, count)
        if full < columns:
            offset = full * itemsize
            _copy_elements(
                element, to + offset, rs_to, itemsize,
                source + offset, rs, itemsize, rows, columns - full,
            )  # fmt: skip
    elif cs_to == rs == itemsize:
        _transpose(element, itemsize, to, rs_to, source, cs, rows, columns, False)
    else:
        _copy_elements(element, to, rs_to, cs_to, source, rs, cs, rows, columns)


@njit(inline="always")
def pack(element, itemsize, to, rs_to, source, rs, cs, rows, columns):  # type: ignore[no-untyped-def]
    """Copy to a micro-panel, whose rows have room for whole strips."""
    if rs == itemsize:
        _transpose(element, itemsize, to, rs_to, source, cs, rows, columns, True)
    else:
        copy(element, itemsize, to, rs_to, itemsize, source, rs, cs, rows, columns)
