"""How passes are compiled: one decorator for those that are called, one for their parts."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
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


@cache
def fingerprint(*modules: str) -> str:
    """Return a hash of the sources of some modules of this package.

    Numba's cache on disk knows a function by its own file and misses changes in the modules
    that help to generate it; but whatever a function closes over is part of the key. A function
    that closes over this is compiled anew when one of `modules` has changed.
    """
    folder = Path(__file__).parent
    sources = [(folder / f"{name}.py").read_bytes() for name in modules]
    return hashlib.sha256(b"".join(sources)).hexdigest()
