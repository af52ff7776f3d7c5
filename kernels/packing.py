"""Copies of parts of an operand, laid out as the micro-kernel wants them.

Packing costs a pass over the part and pays where the part is read many times: it then lies
in one piece, in cache lines and pages of its own, whatever the strides of the operand.

There is one copy, of a strided block to contiguous rows, in three ways: along rows that are
contiguous in the source too, by transposing squares of vectors in registers where the
source's columns are contiguous, and element by element otherwise.
"""

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from kernels.simd import POINTER, Vectors, advance, index, prefetch_line
from kernels.tiling import vector_unit

AHEAD = 128  # bytes: a transpose prefetches its columns two cache lines ahead


def _vectors(builder: ir.IRBuilder, element: types.Float) -> Vectors:
    return Vectors(builder, element, vector_unit().width // (element.bitwidth // 8))


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
        mask = simd.first_lanes(count) if vector_unit().masks else None
        simd.store(simd.load(source, mask), to, mask)
        return context.get_dummy_value()

    return types.void(element, *[types.intp] * 3), generate


@intrinsic
def transpose_square(typing_context, element, to, to_row, source, column, rows, columns):  # type: ignore[no-untyped-def]
    """Copy a block of at most lanes × lanes elements whose columns are contiguous.

    Rows and columns that the block lacks are read and written as its last ones, so that no
    other memory is touched; the last row itself is written last.
    """
    dtype = element.instance_type

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        _emit_transpose(_vectors(builder, dtype), *arguments[1:])
        return context.get_dummy_value()

    return types.void(element, *[types.intp] * 6), generate


def _emit_transpose(
    simd: Vectors,
    to: ir.Value,
    to_row: ir.Value,
    source: ir.Value,
    column: ir.Value,
    rows: ir.Value,
    columns: ir.Value,
) -> None:
    builder = simd.builder
    to, source = _pointers(builder, [to, source])
    masks = vector_unit().masks

    def line(pointer: ir.Value, stride: ir.Value, number: int, count: ir.Value) -> ir.Value:
        last = builder.sub(count, index(1))
        inside = builder.icmp_signed("<", index(number), last)
        clamped = builder.select(inside, index(number), last) if masks else index(number)
        return advance(builder, pointer, builder.mul(clamped, stride))

    row_mask, column_mask = (
        simd.first_lanes(count) if masks else None for count in (rows, columns)
    )
    lines = [line(source, column, j, columns) for j in range(simd.lanes)]
    for pointer in lines:
        prefetch_line(builder, advance(builder, pointer, index(AHEAD)), write=False)
    vectors = [simd.load(pointer, row_mask) for pointer in lines]
    distance = simd.lanes // 2
    while distance:
        vectors = _exchange(simd, vectors, distance)
        distance //= 2
    for i in reversed(range(simd.lanes)):
        simd.store(vectors[i], line(to, to_row, i, rows), column_mask)


def _exchange(simd: Vectors, vectors: list[ir.Value], distance: int) -> list[ir.Value]:
    """Swap the off-diagonal quarters of each square of 2·distance (Eklundh, 1972)."""
    lanes = range(simd.lanes)
    upper = [lane if not lane & distance else simd.lanes + lane - distance for lane in lanes]
    lower = [lane + distance if not lane & distance else simd.lanes + lane for lane in lanes]
    exchanged = list(vectors)
    for i in lanes:
        if not i & distance:
            pair = vectors[i], vectors[i + distance]
            exchanged[i] = simd.shuffle(*pair, upper)
            exchanged[i + distance] = simd.shuffle(*pair, lower)
    return exchanged


@njit
def _copy_square(element, itemsize, to, to_row, to_column, source, row, column, rows, columns):  # type: ignore[no-untyped-def]
    """Copy one row of at most a vector, or one square of at most lanes × lanes."""
    lanes = VECTOR_BYTES // itemsize
    if to_column == itemsize and column == itemsize and (MASKS or columns == lanes):
        for i in range(rows):
            copy_vector(element, to + i * to_row, source + i * row, columns)
    elif to_column == row == itemsize and (MASKS or (rows == lanes and columns == lanes)):
        transpose_square(element, to, to_row, source, column, rows, columns)
    else:
        for i in range(rows):
            for j in range(columns):
                copy_element(
                    element, to + i * to_row + j * to_column, source + i * row + j * column
                )


@njit
def copy(element, itemsize, to, to_row, to_column, source, row, column, rows, columns):  # type: ignore[no-untyped-def]
    """Copy rows × columns elements from one place and pair of strides to another."""
    if to_column != itemsize and to_row == itemsize:  # then its columns are the rows of a transpose
        to_row, to_column, row, column, rows, columns = (
            to_column, to_row, column, row, columns, rows,
        )  # fmt: skip
    lanes = VECTOR_BYTES // itemsize
    # Along rows where they are contiguous; otherwise down a strip of columns, since more columns
    # at a time may be more than the cache has places for at one stride.
    height, strip = (1, columns) if column == itemsize else (lanes, lanes)
    for j0 in range(0, columns, strip):
        for i in range(0, rows, height):
            for j in range(j0, min(j0 + strip, columns), lanes):
                _copy_square(
                    element, itemsize,
                    to + i * to_row + j * to_column, to_row, to_column,
                    source + i * row + j * column, row, column,
                    min(height, rows - i), min(lanes, columns - j),
                )  # fmt: skip


MASKS = vector_unit().masks
VECTOR_BYTES = vector_unit().width
