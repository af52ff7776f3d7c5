"""What compiled ops need and Python lacks: one small function each.

All but `prefetch` take and return single numbers, float32 or float64; in a loop LLVM makes vectors
of them. Each has a twin in plain Python, which takes its place under ``NUMBA_DISABLE_JIT``.
"""

import sys
from collections.abc import Callable
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir
from numba import config, extending, types
from numba.core import cgutils

NumbaType: TypeAlias = Any
Definition: TypeAlias = tuple[Any, Callable[..., ir.Value]]  # signature, and what emits the code

_INT32, _POINTER = ir.IntType(32), ir.IntType(8).as_pointer()
_ALL_LEVELS, _DATA = 3, 1  # LLVM's prefetch: into all levels; data, not instructions

# Numba turns f(typing_context, x) into f(x), which mypy cannot follow.
intrinsic: Callable[[Callable[..., Definition]], Callable[..., Any]] = extending.intrinsic


def with_twin(
    twin: Callable[..., Any],
) -> Callable[[Callable[..., Definition]], Callable[..., Any]]:
    """Define an intrinsic, and what stands in for it where nothing is compiled."""

    def define(definition: Callable[..., Definition]) -> Callable[..., Any]:
        return twin if config.DISABLE_JIT else intrinsic(definition)  # type: ignore[attr-defined]

    return define


def emitter(emit: Callable[..., ir.Value]) -> Callable[..., ir.Value]:
    """Adapt ``emit(builder, *operands)`` to what Numba calls."""
    return lambda context, builder, signature, operands: emit(builder, *operands)


def _call(builder: ir.IRBuilder, name: str, *operands: ir.Value) -> ir.Value:
    """Emit a call of LLVM's intrinsic `name`, whose operands and result are of one type."""
    kind = operands[0].type
    signature = ir.FunctionType(kind, [kind] * len(operands))
    function = builder.module.declare_intrinsic(name, [kind], signature)
    return builder.call(function, operands)


def _emit_fma(builder: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    # Fused wherever the processor can, within vectors and outside alike. ``llvm.fma`` would be
    # a function call where it can't.
    return _call(builder, "llvm.fmuladd", x, y, z)


def prefetch_line(builder: ir.IRBuilder, pointer: ir.Value, write: bool) -> None:
    """Emit a request for a cache line. Any address is safe, since a prefetch does not access it."""
    flags = [ir.Constant(_INT32, flag) for flag in (int(write), _ALL_LEVELS, _DATA)]
    signature = ir.FunctionType(ir.VoidType(), [_POINTER, *[_INT32] * 3])
    get_or_insert: Any = cgutils.get_or_insert_function
    function = get_or_insert(builder.module, signature, "llvm.prefetch.p0")
    builder.call(function, [builder.bitcast(pointer, _POINTER), *flags])


def _bits(x: Any) -> int:  # noqa: ANN401
    x = np.asarray(x)
    return int(x.view(f"i{x.itemsize}"))


def _from_bits(pattern: int, like: Any) -> Any:  # noqa: ANN401
    like = np.asarray(like)
    word = (pattern & (2 ** (8 * like.itemsize) - 1)).to_bytes(like.itemsize, sys.byteorder)
    return np.frombuffer(word, like.dtype)[0]


@with_twin(lambda x, y, z: x * y + z)
def fma(typing_context: object, x: NumbaType, y: NumbaType, z: NumbaType) -> Definition:
    """Return ``x · y + z``, rounded once where the processor can."""
    return x(x, x, x), emitter(_emit_fma)


@with_twin(lambda coefficients, x: reduce(lambda sum, c: sum * x + c, coefficients))
def polynomial(typing_context: object, coefficients: NumbaType, x: NumbaType) -> Definition:
    """Evaluate a polynomial from the tuple of its coefficients, the highest power first."""

    def emit(builder: ir.IRBuilder, table: ir.Value, x: ir.Value) -> ir.Value:
        result, *others = (builder.extract_value(table, i) for i in range(coefficients.count))
        for coefficient in others:
            result = _emit_fma(builder, result, x, coefficient)
        return result

    return x(coefficients, x), emitter(emit)


@with_twin(np.fmax)
def maximum(typing_context: object, x: NumbaType, y: NumbaType) -> Definition:
    """Return the larger of two numbers; the other one where one is NaN."""
    return x(x, x), emitter(lambda builder, *operands: _call(builder, "llvm.maxnum", *operands))


@with_twin(lambda total, x: total + x)
def add_in_lanes(typing_context: object, total: NumbaType, x: NumbaType) -> Definition:
    """Return ``total + x``; a loop that sums by it keeps a partial sum for each vector lane.

    Which elements go to which partial sum depends on the length of the loop alone.
    """
    return total(total, total), emitter(lambda builder, *xs: builder.fadd(*xs, flags=("reassoc",)))


@with_twin(lambda address: None)
def prefetch(typing_context: object, address: NumbaType) -> Definition:
    """Ask for the cache line at an address, and do not wait for it. Any address is safe."""

    def emit(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
        prefetch_line(builder, builder.inttoptr(address, _POINTER), write=False)
        return ir.Constant(_POINTER, None)

    return types.none(types.int64), emitter(emit)


@with_twin(_bits)
def bits(typing_context: object, x: NumbaType) -> Definition:
    """Return the bits of a number, as a signed integer."""

    def emit(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
        pattern = builder.bitcast(x, ir.IntType(width))
        return builder.sext(pattern, ir.IntType(64)) if width < 64 else pattern

    width = x.bitwidth
    return types.int64(x), emitter(emit)


@with_twin(_from_bits)
def from_bits(typing_context: object, pattern: NumbaType, like: NumbaType) -> Definition:
    """Return the number that has these bits, in the format of `like`."""

    def emit(builder: ir.IRBuilder, pattern: ir.Value, like: ir.Value) -> ir.Value:
        if width < 64:
            pattern = builder.trunc(pattern, ir.IntType(width))
        return builder.bitcast(pattern, like.type)

    width = like.bitwidth
    return like(types.int64, like), emitter(emit)
