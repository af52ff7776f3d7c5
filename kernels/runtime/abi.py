"""Ops as C functions of one signature: ``void op(int64 *record)``.

Numba passes an array as seven values or more, so that compiled code can call only an op that is
known, with the types of its arguments, when that code is compiled. A plan is known later, once
there is a network. So each op gets an entry point of the same signature, which reads the arguments
from an *argument record* of 8-byte slots. An array is its address, its shape
and its strides; a number is its value. To call an op takes two addresses and no types, and a plan
becomes a list of such pairs (`fastnn.kernels.runtime.program`).

An entry point is compiled once for an op and the types of its arguments, whatever the network,
and kept on disk. It contains the whole op; the version that Python calls with arrays is neither
compiled nor loaded for it.
"""

import os
from collections.abc import Callable, Sequence
from functools import cache
from threading import RLock
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.core import errors
from numba.core.dispatcher import Dispatcher
from numba.np.arrayobj import make_array, populate_array

from fastnn.kernels.arrays import Integers
from fastnn.kernels.runtime.compiling import WITHOUT_WRAPPERS, c_function, identity
from fastnn.kernels.runtime.intrinsics import Definition, NumbaType

SLOT = 8  # bytes
_INT64 = ir.IntType(64)

_process = SimpleNamespace(compiling=RLock())  # Numba compiles on one thread at a time as well
os.register_at_fork(after_in_child=lambda: setattr(_process, "compiling", RLock()))

# What `_call_with_record` finds under the text that it is given: Numba's cache goes by the text.
_ops: dict[str, tuple[Dispatcher, tuple[NumbaType, ...]]] = {}

_with_literals: Callable[[Callable[..., Definition]], Callable[..., Any]] = extending.intrinsic(
    prefer_literal=True
)


def entry_point(
    op: Callable[..., object], arguments: Sequence[object], *, strided: bool = False
) -> int | None:
    """Return the address of an op's entry point, which is compiled where no cache has it.

    Parameters
    ----------
    op : callable
        As `fastnn.kernels.runtime.compiling.compiled` or ``numba.njit`` give it.
    arguments : sequence of ndarray and number
        What it is to be called with, or the like.
    strided : bool
        Take arrays of any strides by one entry point, instead of one for each layout.

    Returns
    -------
    int or None
        None if `op` is not compiled, or takes anything but arrays and numbers.

    """
    if not isinstance(op, Dispatcher):
        return None
    kinds = tuple(_kind(argument, strided) for argument in arguments)
    if None in kinds:
        return None
    with _process.compiling:
        address: int = _compile(op, kinds).address
    return address


def record(argument: object) -> Integers:
    """Return the slots of an argument, as an entry point reads them."""
    if isinstance(argument, np.ndarray):
        return np.array([argument.ctypes.data, *argument.shape, *argument.strides], np.int64)
    slot = np.zeros(1, np.int64)
    number = np.asarray(argument)
    slot.view(number.dtype)[0] = number
    return slot


def _kind(argument: object, strided: bool) -> NumbaType:
    """Return Numba's type of an argument; None for what a record cannot hold."""
    if isinstance(argument, np.ndarray):
        kind = numba.typeof(argument)
        if strided:
            return types.Array(kind.dtype, kind.ndim, "A", aligned=False)
        return types.Array(kind.dtype, kind.ndim, kind.layout, aligned=kind.aligned)
    return numba.typeof(argument) if isinstance(argument, int | float | np.number) else None


@cache
def _compile(op: Dispatcher, kinds: tuple[NumbaType, ...]) -> Any:  # noqa: ANN401
    known_as = identity(op.py_func)
    key = f"{known_as or id(op)} {op.targetoptions} {kinds}"
    _ops[key] = _without_wrappers(op), kinds

    def enter(record: int) -> None:
        _call_with_record(record, key)

    signature = types.void(types.intp)
    return c_function(signature, enter) if known_as else numba.cfunc(signature)(enter)


def _without_wrappers(op: Dispatcher) -> Dispatcher:
    """Return the op for compiled code alone to call."""
    options = {name: value for name, value in op.targetoptions.items() if name != "nopython"}
    bare: Dispatcher = numba.njit(**options | WITHOUT_WRAPPERS)(op.py_func)
    return bare


@_with_literals
def _call_with_record(typing_context: Any, record: NumbaType, key: NumbaType) -> Definition:  # noqa: ANN401
    """Call the op known as `key` with the arguments in `record`."""
    if not isinstance(key, types.StringLiteral):
        raise errors.RequireLiteralValue("key")  # tried only where the op does not compile
    op, kinds = _ops[key.literal_value]
    callee = types.Dispatcher(op)
    signature = callee.get_call_type(typing_context, kinds, {})
    assert signature is not None

    def emit(context: Any, builder: ir.IRBuilder, _: object, operands: Any) -> ir.Value:  # noqa: ANN401
        # Walk through the slots: each argument takes what it needs, and the next begins behind.
        slots = builder.inttoptr(operands[0], _INT64.as_pointer())
        arguments = []
        for kind in kinds:
            is_array = isinstance(kind, types.Array)
            load = _load_array if is_array else _load_number
            arguments.append(load(context, builder, kind, slots))
            slots = _after(builder, slots, 1 + 2 * kind.ndim if is_array else 1)
        # What a parameter `*args` takes comes as one tuple.
        fixed = len(signature.args) - 1
        if isinstance(signature.args[-1], types.StarArgTuple | types.StarArgUniTuple):
            rest = context.make_tuple(builder, signature.args[-1], arguments[fixed:])
            arguments = [*arguments[:fixed], rest]
        context.get_function(callee, signature)(builder, arguments)
        return context.get_dummy_value()

    return types.void(record, key), emit


def _after(builder: ir.IRBuilder, slots: ir.Value, count: int) -> ir.Value:
    return builder.gep(slots, [ir.Constant(_INT64, count)])


def _load_number(context: Any, builder: ir.IRBuilder, kind: NumbaType, slots: ir.Value) -> ir.Value:  # noqa: ANN401
    data = context.get_data_type(kind)
    return context.unpack_value(builder, kind, builder.bitcast(slots, data.as_pointer()))


def _load_array(context: Any, builder: ir.IRBuilder, kind: NumbaType, slots: ir.Value) -> ir.Value:  # noqa: ANN401
    """Build Numba's array of an address, a shape and strides; references to it are not counted."""
    address, *sizes = (builder.load(_after(builder, slots, i)) for i in range(1 + 2 * kind.ndim))
    array = make_array(kind)(context, builder)
    data = context.get_data_type(kind.dtype)
    populate_array(
        array,
        data=builder.inttoptr(address, data.as_pointer()),
        shape=sizes[: kind.ndim],
        strides=sizes[kind.ndim :],
        itemsize=ir.Constant(_INT64, context.get_abi_sizeof(data)),
        meminfo=None,
    )
    return array._getvalue()
