"""Flush to zero: denormal numbers count as 0 on a thread in this mode.

Numbers below the smallest normal one (1.2e-38 in float32) are stored with fewer and fewer bits,
and many processors take a detour of a hundred cycles and more to compute with them. Where weights
or gradients fade away, all arithmetic goes through there, and a training slows down several-fold.
In flush-to-zero mode, processors take denormal operands and results as 0 and lose no time, but
the bits of results may differ.

The mode is a register of each thread, and FastNN computes in it unless it is asked not to. What
holds: every thread that compiled ops and kernels compute on, and the calling thread for all that
Python does, NumPy included. What does not: the threads of NumPy's BLAS. They have their own mode
since BLAS started them, and compute with denormals where a product is large enough for them.

`exchange_mode` and `restore_mode` are for compiled code, which calls them on every thread that it
computes on; `flushed` is for Python.
"""

import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

from llvmlite import ir
from numba import config, types

from fastnn.kernels.runtime.compiling import compiled
from fastnn.kernels.runtime.intrinsics import Definition, NumbaType, emitter, intrinsic

_INT64 = ir.IntType(64)
_POINTER = ir.IntType(8).as_pointer()


class Register(NamedTuple):
    """Where a processor keeps its floating-point mode, and how LLVM calls the access to it."""

    read: str
    write: str
    in_memory: bool  # whether both take the address of 32 bits, and not 64 bits themselves
    flush: int  # the bits that flush denormal operands and results to 0


_MXCSR = Register("llvm.x86.sse.stmxcsr", "llvm.x86.sse.ldmxcsr", True, 1 << 15 | 1 << 6)
_FPCR = Register("llvm.aarch64.get.fpcr", "llvm.aarch64.set.fpcr", False, 1 << 24)
REGISTERS = {"x86_64": _MXCSR, "AMD64": _MXCSR, "aarch64": _FPCR, "arm64": _FPCR}


def _call(builder: ir.IRBuilder, name: str, result: ir.Type, *operands: ir.Value) -> ir.Value:
    signature = ir.FunctionType(result, [operand.type for operand in operands])
    function = builder.module.globals.get(name) or ir.Function(builder.module, signature, name)
    return builder.call(function, operands)


@intrinsic
def read_mode(typing_context: object) -> Definition:
    """Return this thread's mode, for `exchange_mode` on another; 0 where no mode is known."""
    register = REGISTERS.get(platform.machine())

    def emit(builder: ir.IRBuilder) -> ir.Value:
        if register is None:
            return ir.Constant(_INT64, 0)
        if not register.in_memory:
            return _call(builder, register.read, _INT64)
        word = builder.alloca(ir.IntType(32))
        _call(builder, register.read, ir.VoidType(), builder.bitcast(word, _POINTER))
        return builder.zext(builder.load(word), _INT64)

    return types.int64(), emitter(emit)


@intrinsic
def _write_mode(typing_context: object, mode: NumbaType) -> Definition:
    register = REGISTERS.get(platform.machine())

    def emit(builder: ir.IRBuilder, mode: ir.Value) -> ir.Value:
        if register is None:
            return mode
        operand = mode
        if register.in_memory:
            word = builder.alloca(ir.IntType(32))
            builder.store(builder.trunc(mode, ir.IntType(32)), word)
            operand = builder.bitcast(word, _POINTER)
        _call(builder, register.write, ir.VoidType(), operand)
        return mode

    return mode(mode), emitter(emit)


@intrinsic
def _flush_bits(typing_context: object) -> Definition:
    register = REGISTERS.get(platform.machine())
    bits = register.flush if register else 0
    return types.int64(), emitter(lambda builder: ir.Constant(_INT64, bits))


@compiled
def exchange_mode(mode: int) -> int:
    """Take on a mode; return the one before, for `restore_mode`.

    Work for several threads begins with this on each of them, with the mode of the thread that
    asked for it: all flush denormals, or none does.
    """
    before: int = read_mode()
    _write_mode(mode)
    return before


@compiled
def flush_to_zero(wanted: bool = True) -> int:
    """Flush denormals on this thread from now on, or keep them; return the mode before.

    Nothing changes on a processor whose modes are not known.
    """
    bits = _flush_bits()
    return exchange_mode(read_mode() | bits if wanted else read_mode() & ~bits)


@compiled
def leave_worker() -> None:
    """End what `exchange_mode` began on a thread of a pool, which keeps denormals in between.

    The mode before would not do: a thread has that of the thread that started it, which may have
    flushed. The thread that asked for the work takes its own mode back afterwards.
    """
    flush_to_zero(False)


@compiled
def restore_mode(before: int) -> None:
    """Go back to the mode that `flush_to_zero` or `exchange_mode` returned."""
    _write_mode(before)


@contextmanager
def flushed(wanted: bool = True) -> Iterator[None]:
    """Flush denormals on this thread within a ``with`` block, or keep them where not wanted.

    On a processor whose modes are not known, and where nothing is compiled, nothing changes; the
    logger of this module says so once.
    """
    if platform.machine() not in REGISTERS or config.DISABLE_JIT:  # type: ignore[attr-defined]
        if wanted:
            _say_that_denormals_stay()
        yield
        return
    before = flush_to_zero(wanted)
    try:
        yield
    finally:
        restore_mode(before)


@cache
def _say_that_denormals_stay() -> None:
    logging.getLogger(__name__).warning(
        "denormal numbers are not flushed to zero on %s, only, when compiled, on %s",
        platform.machine(),
        ", ".join(REGISTERS),
    )
