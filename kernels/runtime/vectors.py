"""Emit vector instructions, for code that is generated.

LLVM's vectorizer may or may not find the vectors in a loop. Here they are explicit: `Vectors` emits
LLVM's vector instructions of one width.

In generated code an address is an integer, and offsets and strides are in bytes, since a stride of
a NumPy array may be any number of them. For the same reason no alignment is assumed.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastnn.kernels.arrays import CACHE_LINE
from fastnn.kernels.runtime.intrinsics import prefetch_line

INDEX = ir.IntType(64)
POINTER = ir.IntType(8).as_pointer()
_INT32 = ir.IntType(32)
_UNALIGNED = 1


def index(value: int) -> ir.Constant:
    """Return `value` as a 64-bit constant."""
    return ir.Constant(INDEX, value)


def advance(builder: ir.IRBuilder, pointer: ir.Value, offset: ir.Value) -> ir.Value:
    """Emit ``pointer + offset``, in bytes."""
    return builder.gep(builder.bitcast(pointer, POINTER), [offset])


def phi(builder: ir.IRBuilder, blocks: list[ir.Block], values: list[ir.Value]) -> ir.PhiInstr:
    """Emit a loop variable that has `values` when control comes from `blocks`."""
    node = builder.phi(values[0].type)
    for block, value in zip(blocks, values, strict=True):
        node.add_incoming(value, block)
    return node


class Vectors:
    """Emits instructions on vectors.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Where they are emitted.
    element : numba.types.Float
    lanes : int
        Elements in a vector.
    fused : bool
        Whether `multiply_add` rounds once.

    """

    def __init__(
        self, builder: ir.IRBuilder, element: types.Float, lanes: int, fused: bool = True
    ) -> None:
        self.builder = builder
        self.lanes = lanes
        self.fused = fused
        self.itemsize = element.bitwidth // 8
        self.element = {32: ir.FloatType(), 64: ir.DoubleType()}[element.bitwidth]
        self.type = ir.VectorType(self.element, lanes)
        self.suffix = f"v{lanes}f{element.bitwidth}"
        self.zero = ir.Constant(self.type, [0.0] * lanes)

    def first_lanes(self, count: ir.Value) -> ir.Value:
        """Return the mask of the first `count` lanes."""
        # Integers as wide as the elements: LLVM takes such a comparison as a mask as it is.
        integer = ir.IntType(8 * self.itemsize)
        lane = ir.VectorType(integer, self.lanes)
        numbers = ir.Constant(lane, list(range(self.lanes)))
        if integer != INDEX:
            count = self.builder.trunc(count, integer)
        return self.builder.icmp_signed("<", numbers, self._splat(count, lane))

    def load(self, pointer: ir.Value, mask: ir.Value | None = None) -> ir.Value:
        """Load a vector; lanes outside `mask` are zero, and their memory is not touched."""
        pointer = self.builder.bitcast(pointer, self.type.as_pointer())
        if mask is None:
            return self.builder.load(pointer, align=_UNALIGNED)
        alignment = ir.Constant(_INT32, _UNALIGNED)
        arguments = [pointer, alignment, mask, self.zero]
        return self._call(f"llvm.masked.load.{self.suffix}.p0", self.type, arguments)

    def store(self, value: ir.Value, pointer: ir.Value, mask: ir.Value | None = None) -> None:
        """Store a vector; memory of the lanes outside `mask` is not touched."""
        pointer = self.builder.bitcast(pointer, self.type.as_pointer())
        if mask is None:
            self.builder.store(value, pointer, align=_UNALIGNED)
        else:
            alignment = ir.Constant(_INT32, _UNALIGNED)
            arguments = [value, pointer, alignment, mask]
            self._call(f"llvm.masked.store.{self.suffix}.p0", ir.VoidType(), arguments)

    def load_row(self, pointer: ir.Value, masks: list[ir.Value | None]) -> list[ir.Value]:
        """Load as many adjacent vectors as there are masks."""
        return [self.load(self._vector(pointer, i), mask) for i, mask in enumerate(masks)]

    def store_row(
        self, values: list[ir.Value], pointer: ir.Value, masks: list[ir.Value | None]
    ) -> None:
        """Store adjacent vectors."""
        for i, (value, mask) in enumerate(zip(values, masks, strict=True)):
            self.store(value, self._vector(pointer, i), mask)

    def broadcast(self, pointer: ir.Value) -> ir.Value:
        """Load one element into every lane."""
        pointer = self.builder.bitcast(pointer, self.element.as_pointer())
        return self._splat(self.builder.load(pointer, align=_UNALIGNED), self.type)

    def multiply_add(self, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        """Return ``x·y + z``."""
        if self.fused:
            return self._call(f"llvm.fma.{self.suffix}", self.type, [x, y, z])
        return self.builder.fadd(self.builder.fmul(x, y), z)

    def prefetch(self, pointer: ir.Value, vectors: int, write: bool = False) -> None:
        """Ask for the cache lines of adjacent vectors, which are going to be read or written."""
        size = vectors * self.lanes * self.itemsize
        for offset in [*range(0, size, CACHE_LINE), size - 1]:
            prefetch_line(self.builder, advance(self.builder, pointer, index(offset)), write)

    def shuffle(self, x: ir.Value, y: ir.Value, lanes: list[int]) -> ir.Value:
        """Return the named lanes; those of `y` count on from those of `x`."""
        return self.builder.shuffle_vector(
            x, y, ir.Constant(ir.VectorType(_INT32, len(lanes)), lanes)
        )

    def _vector(self, pointer: ir.Value, number: int) -> ir.Value:
        return advance(self.builder, pointer, index(number * self.lanes * self.itemsize))

    def _splat(self, value: ir.Value, vector: ir.VectorType) -> ir.Value:
        undefined = ir.Constant(vector, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.Constant(_INT32, 0))
        zeros = ir.Constant(ir.VectorType(_INT32, vector.count), [0] * vector.count)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def _call(self, name: str, result: ir.Type, arguments: list[ir.Value]) -> ir.Value:
        # Numba's `declare_intrinsic` refuses vector types.
        signature = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, signature, name)
        return self.builder.call(function, arguments)


@intrinsic
def keep_alive(typing_context, array):  # type: ignore[no-untyped-def]
    """Use an array that is read by its address: Numba frees it after its last use."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return context.get_dummy_value()

    return types.void(array), generate
