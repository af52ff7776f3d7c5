"""How passes are compiled: one decorator for those that are called, one for their parts."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])

# Division by 0 gives infinity or NaN, as IEEE arithmetic has it, and no exception.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def compiled(function: Function) -> Function:
    """Compile a pass on its first call for a dtype; later processes take it from disk."""
    return cast(Function, numba.njit(cache=True, **_OPTIONS)(function))


def inlined(function: Function) -> Function:
    """Compile a part of passes; LLVM inlines it, so that it is kept on disk in each of them."""
    return cast(Function, numba.njit(**_OPTIONS)(function))
