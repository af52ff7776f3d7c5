"""What a compiled pass needs and Python has no word for: one small function per instruction.

All take and give single numbers, float32 or float64; in a loop LLVM makes vectors of them.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

Typed: TypeAlias = Any  # types of Numba, which mypy does not see
Signature: TypeAlias = tuple[Any, Callable[..., ir.Value]]


def _call(builder: ir.IRBuilder, name: str, *arguments: ir.Value) -> ir.Value:
    """Emit a call of LLVM's intrinsic `name`, whose operands and result are of one type."""
    kind = arguments[0].type
    signature = ir.FunctionType(kind, [kind] * len(arguments))
    function = builder.module.declare_intrinsic(name, [kind], signature)
    return builder.call(function, arguments)


def _fused(builder: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    # Fused wherever the processor can, within vectors and outside alike. ``llvm.fma`` would be
    # a function call where it can't.
    return _call(builder, "llvm.fmuladd", x, y, z)


@intrinsic
def fma(typing_context: Typed, x: Typed, y: Typed, z: Typed) -> Signature:
    """``x · y + z``, rounded once where the processor can."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        return _fused(builder, *args)

    return x(x, x, x), generate


@intrinsic
def polynomial(typing_context: Typed, coefficients: Typed, x: Typed) -> Signature:
    """Horner's rule over a tuple that begins with the coefficient of the highest power."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        table, value = args
        result, *others = (builder.extract_value(table, i) for i in range(coefficients.count))
        for coefficient in others:
            result = _fused(builder, result, value, coefficient)
        return result

    return x(coefficients, x), generate


@intrinsic
def maximum(typing_context: Typed, x: Typed, y: Typed) -> Signature:
    """The larger of two numbers; the other one where one is NaN."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        return _call(builder, "llvm.maxnum", *args)

    return x(x, x), generate


@intrinsic
def add_in_lanes(typing_context: Typed, total: Typed, x: Typed) -> Signature:
    """``total + x`` in a loop that sums: as many partial sums as a vector has lanes.

    Which elements go to which partial sum depends on the length of the loop alone.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        return builder.fadd(*args, flags=("reassoc",))

    return total(total, total), generate


@intrinsic
def bits(typing_context: Typed, x: Typed) -> Signature:
    """The bits of a number, as a signed integer."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        pattern = builder.bitcast(args[0], ir.IntType(x.bitwidth))
        return builder.sext(pattern, ir.IntType(64)) if x.bitwidth < 64 else pattern

    return types.int64(x), generate


@intrinsic
def from_bits(typing_context: Typed, pattern: Typed, like: Typed) -> Signature:
    """The number that has these bits, in the format of `like`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        pattern, number = args
        if like.bitwidth < 64:
            pattern = builder.trunc(pattern, ir.IntType(like.bitwidth))
        return builder.bitcast(pattern, number.type)

    return like(types.int64, like), generate
