"""Copies of parts of an operand, laid out as the micro-kernel wants them.

Packing costs a pass over the part and pays where the part is read many times: it then lies
in one piece, in cache lines and pages of its own, whatever the strides of the operand.

There is one copy, of a strided block to contiguous rows, in three ways: along rows that are
contiguous in the source too, by transposing in registers where the source's columns are
contiguous, and element by element otherwise.
"""

from itertools import chain

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from fastnn.kernels.gemm.blocksizes import vector_unit
from fastnn.kernels.runtime.vectors import INDEX, POINTER, Vectors, advance, index, phi

MASKS = vector_unit().masks
VECTOR = vector_unit().width
STRIP = min(32, VECTOR)  # bytes of the columns that are transposed together
QUAD = 16  # bytes: shuffles work within 128 bits, nothing else is as fast


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
    typing_context, element, to, to_row, source, column, rows, columns, padded
):
    """Copy at most a STRIP of columns, which are contiguous, to contiguous rows.

    Where the rows are `padded`, the copy may fill a whole STRIP in each. Without masks the strip
    must be full, and `rows` a multiple of its lanes.
    """
    dtype = element.instance_type

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        *arguments, padded = arguments[1:]
        module = builder.module
        full = index(STRIP // (dtype.bitwidth // 8))
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

    Each step takes a vector from every column and makes as many rows of them. First, vectors
    from two columns trade their quads, of e elements: those of columns j and j + e that belong
    to the same rows come together. A transpose within each 128 bits then finishes the work.

    Columns that the strip lacks are read as its last one, so that no other memory is touched.
    Where it can, it stores without masks: what was stored under a mask is slow to load again
    at once.
    """

    def __init__(self, function: ir.Function, element: types.Float, masked: bool) -> None:
        self.function = function
        self.builder = builder = ir.IRBuilder(function.append_basic_block("entry"))
        itemsize = element.bitwidth // 8
        self.quad = QUAD // itemsize
        self.strip = Vectors(builder, element, STRIP // itemsize)
        to, self.to_row, source, column, self.rows, columns = function.args
        self.to, self.source = (builder.inttoptr(address, POINTER) for address in (to, source))
        self.mask = self.strip.first_lanes(columns) if masked else None
        last = builder.sub(columns, index(1))
        self.columns = [
            builder.mul(self._smaller(index(j), last), column) for j in range(self.strip.lanes)
        ]

    def emit(self) -> None:
        builder, step = self.builder, self.strip.lanes
        blocks = [self.function.append_basic_block(name) for name in ("k", "rest", "tail", "done")]
        loop, rest, tail, done = blocks
        entry = builder.block
        full = builder.sub(self.rows, builder.and_(self.rows, index(step - 1)))
        builder.cbranch(builder.icmp_signed(">", full, index(0)), loop, rest)

        builder.position_at_end(loop)
        left, source, to = (phi(builder, [entry], [v]) for v in (full, self.source, self.to))
        next_to = to
        for vector in self._transposed(source, None):
            self.strip.store(vector, next_to, self.mask)
            next_to = advance(builder, next_to, self.to_row)
        next_left = builder.sub(left, index(step))
        next_source = advance(builder, source, index(STRIP))
        for old, new in ((left, next_left), (source, next_source), (to, next_to)):
            old.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed(">", next_left, index(0)), loop, rest)

        builder.position_at_end(rest)
        source = phi(builder, [entry, loop], [self.source, next_source])
        to = phi(builder, [entry, loop], [self.to, next_to])
        count = builder.sub(self.rows, full)
        builder.cbranch(builder.icmp_signed(">", count, index(0)), tail, done)

        builder.position_at_end(tail)
        if MASKS:
            vectors = self._transposed(source, self.strip.first_lanes(count))
            last = builder.sub(count, index(1))
            for i in reversed(range(step)):  # rows that are not there: the last, written last
                offset = builder.mul(self._smaller(index(i), last), self.to_row)
                self.strip.store(vectors[i], advance(builder, to, offset), self.mask)
        builder.branch(done)
        builder.position_at_end(done)
        builder.ret_void()

    def _smaller(self, x: ir.Value, y: ir.Value) -> ir.Value:
        return self.builder.select(self.builder.icmp_signed("<", x, y), x, y)

    def _transposed(self, source: ir.Value, mask: ir.Value | None) -> list[ir.Value]:
        columns = [
            self.strip.load(advance(self.builder, source, offset), mask) for offset in self.columns
        ]
        rows: list[ir.Value] = []
        for part in range(0, self.strip.lanes, self.quad):
            vectors = self._quads(columns, part)
            for _ in range(self.quad.bit_length() - 1):  # perfect shuffles (Stone, 1971)
                pairs = zip(vectors[: self.quad // 2], vectors[self.quad // 2 :], strict=True)
                vectors = list(chain.from_iterable(self._interleaved(x, y) for x, y in pairs))
            rows += vectors
        return rows

    def _quads(self, columns: list[ir.Value], part: int) -> list[ir.Value]:
        """Bring together the quads that begin at lane `part`."""
        if len(columns) == self.quad:
            return columns
        lanes = [start + part + i for start in (0, self.strip.lanes) for i in range(self.quad)]
        pairs = zip(columns[: self.quad], columns[self.quad :], strict=True)
        return [self.strip.shuffle(x, y, lanes) for x, y in pairs]

    def _interleaved(self, x: ir.Value, y: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Interleave the lower, and the upper, halves of each 128 bits."""
        step, lanes = self.quad, self.strip.lanes
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
def _copy_elements(element, to, to_row, to_column, source, row, column, rows, columns):  # type: ignore[no-untyped-def]
    for i in range(rows):
        for j in range(columns):
            copy_element(element, to + i * to_row + j * to_column, source + i * row + j * column)


@njit
def _transpose(element, itemsize, to, to_row, source, column, rows, columns, padded):  # type: ignore[no-untyped-def]
    """Copy columns, which are contiguous, to contiguous rows."""
    lanes = STRIP // itemsize
    for j in range(0, columns, lanes):
        width = min(lanes, columns - j)
        full = rows
        if not MASKS:
            full = rows - rows % lanes if width == lanes else 0
        to_strip, strip = to + j * itemsize, source + j * column
        if full > 0:
            transpose_strip(element, to_strip, to_row, strip, column, full, width, padded)
        if full < rows:
            _copy_elements(
                element, to_strip + full * to_row, to_row, itemsize,
                strip + full * itemsize, itemsize, column, rows - full, width,
            )  # fmt: skip


@njit
def copy(element, itemsize, to, to_row, to_column, source, row, column, rows, columns):  # type: ignore[no-untyped-def]
    """Copy rows × columns elements from one place and pair of strides to another."""
    if to_column != itemsize and to_row == itemsize:  # then its columns are the rows of a transpose
        to_row, to_column, row, column, rows, columns = (
            to_column, to_row, column, row, columns, rows,
        )  # fmt: skip
    if to_column == column == itemsize:
        lanes = VECTOR // itemsize
        full = columns if MASKS else columns - columns % lanes
        for i in range(rows):
            for j in range(0, full, lanes):
                offset = j * itemsize
                count = min(lanes, columns - j)
                copy_vector(element, to + i * to_row + offset, source + i * row + offset, count)
        if full < columns:
            offset = full * itemsize
            _copy_elements(
                element, to + offset, to_row, itemsize,
                source + offset, row, itemsize, rows, columns - full,
            )  # fmt: skip
    elif to_column == row == itemsize:
        _transpose(element, itemsize, to, to_row, source, column, rows, columns, False)
    else:
        _copy_elements(element, to, to_row, to_column, source, row, column, rows, columns)


@njit(inline="always")
def pack(element, itemsize, to, to_row, source, row, column, rows, columns):  # type: ignore[no-untyped-def]
    """Copy to a panel: its rows have room for whole STRIPs."""
    if row == itemsize:
        _transpose(element, itemsize, to, to_row, source, column, rows, columns, True)
    else:
        copy(element, itemsize, to, to_row, itemsize, source, row, column, rows, columns)
