"""Passes as C functions of one kind: ``void entrance(int64 *record)``.

Numba hands an array over as seven values and more, so that compiled code can call a pass only if
it knows, when it is compiled itself, which one it is and what it takes. A plan is known later:
when there is a network. So a pass gets a second entrance, which is the same for all of them. It
reads the arguments from a record of 8-byte slots: for an array its address, its shape and its
strides; for a number its value. Whoever calls it needs two addresses and no types, and a plan
becomes a table of such pairs (`fastnn.kernels.runtime.program`).

An entrance is compiled once for a pass and the types of its arguments, whatever the network, and
kept on disk. It holds all of the pass, whose other form, the one that Python calls with arrays, is
neither compiled nor loaded for it.
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.core import errors
from numba.core.dispatcher import Dispatcher
from numba.np.arrayobj import make_array, populate_array

from fastnn.kernels.runtime.compiling import WITHOUT_WRAPPERS, c_function, fingerprint
from fastnn.kernels.runtime.intrinsics import Definition, NumbaType

SLOT = 8  # bytes
_INT64 = ir.IntType(64)

# What `_enter` finds under the text that it is given: the text is what Numba's cache goes by.
_passes: dict[str, tuple[Dispatcher, tuple[NumbaType, ...]]] = {}

_with_literals: Callable[[Callable[..., Definition]], Callable[..., Any]] = extending.intrinsic(
    prefer_literal=True
)


def entrance(
    function: Callable[..., object], arguments: Sequence[object], *, strided: bool = False
) -> int | None:
    """Return the address of a pass's entrance, which is compiled where no cache has it.

    Parameters
    ----------
    function : callable
        As `fastnn.kernels.runtime.compiling.compiled` or ``numba.njit`` give it.
    arguments : sequence of ndarray and number
        What it is to be called with, or the like.
    strided : bool
        Take arrays of any strides by one entrance, instead of one for each layout.

    Returns
    -------
    int or None
        None if `function` isn't compiled, or takes anything but arrays and numbers.

    """
    if not isinstance(function, Dispatcher):
        return None
    kinds = tuple(_kind(argument, strided) for argument in arguments)
    if None in kinds:
        return None
    address: int = _compile(function, kinds).address
    return address


def _kind(argument: object, strided: bool) -> NumbaType:
    """Return Numba's type of an argument; None for what a record can't hold."""
    if isinstance(argument, np.ndarray):
        kind = numba.typeof(argument)
        if strided:
            return types.Array(kind.dtype, kind.ndim, "A", aligned=False)
        return types.Array(kind.dtype, kind.ndim, kind.layout, aligned=kind.aligned)
    return numba.typeof(argument) if isinstance(argument, int | float | np.number) else None


@cache
def _compile(function: Dispatcher, kinds: tuple[NumbaType, ...]) -> Any:  # noqa: ANN401
    python = function.py_func
    key = f"{python.__module__}.{python.__qualname__}:{python.__code__.co_firstlineno}{kinds}"
    # What else a closure depends on, and a function whose source nobody has, no key can tell.
    loader = getattr(import_module(python.__module__), "__loader__", None)
    keep = python.__closure__ is None and hasattr(loader, "get_source")
    key += f" {fingerprint(python.__module__)}" if keep else f" {id(function)}"
    _passes[key] = _without_wrappers(function), kinds

    def enter(record: int) -> None:
        _enter(record, key)

    signature = types.void(types.intp)
    return c_function(signature, enter) if keep else numba.cfunc(signature)(enter)


def _without_wrappers(function: Dispatcher) -> Dispatcher:
    """Return the pass for compiled code alone to call."""
    options = {name: value for name, value in function.targetoptions.items() if name != "nopython"}
    bare: Dispatcher = numba.njit(**options | WITHOUT_WRAPPERS)(function.py_func)
    return bare


@_with_literals
def _enter(typing_context: Any, record: NumbaType, key: NumbaType) -> Definition:  # noqa: ANN401
    """Call the pass known as `key` with the arguments in `record`."""
    if not isinstance(key, types.StringLiteral):
        raise errors.RequireLiteralValue("key")  # tried only where the pass does not compile
    function, kinds = _passes[key.literal_value]
    callee = types.Dispatcher(function)
    signature = callee.get_call_type(typing_context, kinds, {})

    def emit(context: Any, builder: ir.IRBuilder, _: object, operands: Any) -> ir.Value:  # noqa: ANN401
        slots = builder.inttoptr(operands[0], _INT64.as_pointer())
        arguments = []
        for kind in kinds:
            is_array = isinstance(kind, types.Array)
            arguments.append(
                (_load_array if is_array else _load_number)(context, builder, kind, slots)
            )
            slots = _after(builder, slots, 1 + 2 * kind.ndim if is_array else 1)
        context.get_function(callee, signature)(builder, arguments)
        return context.get_dummy_value()

    return types.void(record, key), emit


def _after(builder: ir.IRBuilder, slots: ir.Value, count: int) -> ir.Value:
    return builder.gep(slots, [ir.Constant(_INT64, count)])


def _load_number(context: Any, builder: ir.IRBuilder, kind: NumbaType, slots: ir.Value) -> ir.Value:  # noqa: ANN401
    data = context.get_data_type(kind)
    return context.unpack_value(builder, kind, builder.bitcast(slots, data.as_pointer()))


def _load_array(context: Any, builder: ir.IRBuilder, kind: NumbaType, slots: ir.Value) -> ir.Value:  # noqa: ANN401
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
