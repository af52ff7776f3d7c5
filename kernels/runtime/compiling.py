"""How passes and kernels are compiled, and kept on disk for later processes.

Numba's cache watches the file of the function it compiles, and that alone. Here a function is
assembled from several files, whose parts are inlined; so what it is kept under includes a
fingerprint of the sources of all modules that its own imports, directly or not, from its package.

Numba keeps compiled code in ``NUMBA_CACHE_DIR`` where the environment sets it, otherwise beside
the source, otherwise in the user's cache directory. Where none can be written to, everything
works all the same, but is compiled in each process, and the logger ``fastnn.kernels.runtime.compiling`` says so.
"""

import ast
import hashlib
import logging
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.abc import InspectLoader
from importlib.util import find_spec
from typing import Any, TypeAlias, TypeVar, cast

import numba
from numba.core.caching import FunctionCache, NullCache
from numba.core.ccallback import CFunc

Function = TypeVar("Function", bound=Callable[..., object])
Numba: TypeAlias = Any  # what Numba has no types for

# Division by 0 gives infinity or NaN, as IEEE arithmetic has it, and no exception.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
# What calls a function from Python and from C takes long to compile; some need neither.
WITHOUT_WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def compiled(function: Function) -> Function:
    """Compile a pass on its first call for a dtype; later processes take it from disk."""
    dispatcher = numba.njit(**_OPTIONS)(function)
    dispatcher._cache = _cache_of(function)
    return cast(Function, dispatcher)


def inlined(function: Function) -> Function:
    """Compile a part of passes, for compiled code alone to call.

    LLVM inlines it, so that it is kept on disk in each of them.
    """
    return cast(Function, numba.njit(**_OPTIONS | WITHOUT_WRAPPERS)(function))


def compiled_for(signature: Numba, function: Function) -> Function:
    """Compile `function` now, or take it from disk, for arguments of these types and no others."""
    dispatcher: Numba = compiled(function)
    if numba.config.DISABLE_JIT:  # plain Python, for coverage and debuggers
        return function
    dispatcher.compile(signature)
    dispatcher.disable_compile()
    return cast(Function, dispatcher)


def c_function(signature: Numba, function: Callable[..., object]) -> CFunc:
    """Compile `function` now, or take it from disk, as one that C code can call."""
    types = signature.args, signature.return_type
    result = CFunc(function, types, locals={}, options={})
    result._cache = _cache_of(function)
    result.compile()
    return result


@cache
def fingerprint(module: str) -> str:
    """Return a hash of the sources of a module and of all it imports from its own package."""
    sources: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in sources:
            sources[name], imported = _source(name)
            waiting += imported
    return hashlib.sha256("".join(sources[name] for name in sorted(sources)).encode()).hexdigest()


@cache
def _source(module: str) -> tuple[str, list[str]]:
    """Return the source of a module, and the names of those it imports from its own package."""
    loader = cast(InspectLoader, import_module(module).__loader__)
    source = loader.get_source(module) or ""
    package = module.partition(".")[0]
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return source, [name for name in names if name.startswith(f"{package}.") and _is_module(name)]


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # what it would be in is no package
        return False


class _Cache(FunctionCache):
    """Numba's cache on disk, keyed by all sources, and content with a disk that is full."""

    def _index_key(self, signature: Numba, codegen: Numba) -> tuple[Numba, ...]:
        own = super()._index_key(signature, codegen)
        return *own, fingerprint(self._py_func.__module__)

    def save_overload(self, signature: Numba, data: Numba) -> None:
        try:
            super().save_overload(signature, data)
        except OSError as error:
            _say_that_nothing_is_kept(str(error))


def _cache_of(function: Callable[..., object]) -> Numba:
    try:
        return _Cache(function)
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        _say_that_nothing_is_kept("no directory can be written to; NUMBA_CACHE_DIR may name one")
        return NullCache()


@cache
def _say_that_nothing_is_kept(reason: str) -> None:
    logging.getLogger(__name__).warning("compiled code is not kept for later processes: %s", reason)
