"""Copies of parts of an operand, laid out as the micro-kernel wants them.

Packing costs a pass over the part and pays where the part is read many times: it then lies
in one piece, in cache lines and pages of its own, whatever the strides of the operand.

There is one copy, of a strided block to contiguous rows, in three ways: along rows that are
contiguous in the source too, by transposing squares of vectors in registers where the
source's columns are contiguous, and element by element otherwise.
"""

from llvmlite import ir
from numba import njit, types
from numba.core.typing import Signature
from numba.extending import intrinsic

from kernels.simd import Vectors, advance, at, index
from kernels.tiling import vector_unit


def _vectors(builder: ir.IRBuilder, element: types.Float) -> Vectors:
    return Vectors(builder, element, vector_unit().width // (element.bitwidth // 8))


@intrinsic
def copy_element(typing_context, to, source):  # type: ignore[no-untyped-def]
    """Copy one element."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        simd = Vectors(builder, signature.args[0].dtype, 1)
        simd.store(simd.load(arguments[1]), arguments[0])
        return context.get_dummy_value()

    return types.void(to, to), generate


@intrinsic
def copy_vector(typing_context, to, source, count):  # type: ignore[no-untyped-def]
    """Copy `count` adjacent elements, at most a vector of them."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        to, source, count = arguments
        simd = _vectors(builder, signature.args[0].dtype)
        mask = simd.first_lanes(count) if vector_unit().masks else None
        simd.store(simd.load(source, mask), to, mask)
        return context.get_dummy_value()

    return types.void(to, to, types.intp), generate


@intrinsic
def transpose_square(typing_context, to, to_row, source, column, rows, columns):  # type: ignore[no-untyped-def]
    """Copy a block of at most lanes × lanes elements whose columns are contiguous.

    Rows and columns that the block lacks are read and written as its last ones, so that no
    other memory is touched; the last row itself is written last.
    """
    signature = types.void(to, types.intp, to, *[types.intp] * 3)
    return signature, _generate_transpose


def _generate_transpose(context, builder, signature: Signature, arguments):  # type: ignore[no-untyped-def]
    to, to_row, source, column, rows, columns = arguments
    simd = _vectors(builder, signature.args[0].dtype)
    masks = vector_unit().masks

    def line(pointer: ir.Value, stride: ir.Value, number: int, count: ir.Value) -> ir.Value:
        last = builder.sub(count, index(1))
        inside = builder.icmp_signed("<", index(number), last)
        clamped = builder.select(inside, index(number), last) if masks else index(number)
        return advance(builder, pointer, builder.mul(clamped, stride))

    row_mask, column_mask = (
        simd.first_lanes(count) if masks else None for count in (rows, columns)
    )
    vectors = [
        simd.load(line(source, column, j, columns), row_mask) for j in range(simd.lanes)
    ]
    distance = simd.lanes // 2
    while distance:
        vectors = _exchange(simd, vectors, distance)
        distance //= 2
    for i in reversed(range(simd.lanes)):
        simd.store(vectors[i], line(to, to_row, i, rows), column_mask)
    return context.get_dummy_value()


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
def copy_block(to, to_row, source, row, column, rows, columns, itemsize):  # type: ignore[no-untyped-def]
    """Copy rows × columns elements from `source`, strides `row` and `column`, to `to`.

    The rows of `to` are contiguous and `to_row` bytes apart.
    """
    lanes = VECTOR_BYTES // itemsize
    if column == itemsize:
        for i in range(rows):
            for j in range(0, columns, lanes):
                count = min(lanes, columns - j)
                if MASKS or count == lanes:
                    copy_vector(
                        at(to, i * to_row + j * itemsize),
                        at(source, i * row + j * itemsize),
                        count,
                    )
                else:
                    for jj in range(j, columns):
                        copy_element(
                            at(to, i * to_row + jj * itemsize),
                            at(source, i * row + jj * itemsize),
                        )
        return
    for j in range(0, columns, lanes):
        width = min(lanes, columns - j)
        for i in range(0, rows, lanes):
            height = min(lanes, rows - i)
            target = at(to, i * to_row + j * itemsize)
            origin = at(source, i * row + j * column)
            if row == itemsize and (MASKS or (width == lanes and height == lanes)):
                transpose_square(target, to_row, origin, column, height, width)
            else:
                for ii in range(height):
                    for jj in range(width):
                        copy_element(
                            at(target, ii * to_row + jj * itemsize),
                            at(origin, ii * row + jj * column),
                        )


@njit
def copy(to, to_row, to_column, source, row, column, rows, columns, itemsize):  # type: ignore[no-untyped-def]
    """Copy rows × columns elements between any strides."""
    if to_column == itemsize:
        copy_block(to, to_row, source, row, column, rows, columns, itemsize)
    elif to_row == itemsize:
        copy_block(to, to_column, source, column, row, columns, rows, itemsize)
    else:
        for i in range(rows):
            for j in range(columns):
                copy_element(
                    at(to, i * to_row + j * to_column), at(source, i * row + j * column)
                )


MASKS = vector_unit().masks
VECTOR_BYTES = vector_unit().width
