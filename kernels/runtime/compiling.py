"""Compile ops and kernels, and keep the machine code on disk for later processes.

Numba's cache watches the file of the function it compiles, and that alone. Here a function is
assembled from several files, whose parts are inlined; so what it is kept under includes a
fingerprint of the sources of all modules that its own imports, directly or not: from its package,
and from wherever a user's own code lies.

Numba keeps compiled code in ``NUMBA_CACHE_DIR`` where the environment sets it, otherwise beside
the source, otherwise in the user's cache directory. Where none can be written to, everything
works all the same, but is compiled in each process, and the logger
``fastnn.kernels.runtime.compiling`` says so. Code that was typed at a prompt or in a notebook is
compiled in each process too.
"""

import ast
import hashlib
import logging
import os
import secrets
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec, resolve_name
from itertools import count
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import FunctionCache, NullCache
from numba.core.ccallback import CFunc
from numba.core.dispatcher import Dispatcher

Function = TypeVar("Function", bound=Callable[..., object])
Numba: TypeAlias = Any  # what Numba has no types for

# Division by 0 gives infinity or NaN, as IEEE arithmetic has it, and no exception.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
# What calls a function from Python and from C takes long to compile; some need neither.
WITHOUT_WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# Where Python and its packages are installed; what lies elsewhere is a user's own.
_FOLDERS = *site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("stdlib")


def _number_functions_anew() -> None:
    """Give the functions that this process compiles numbers which no other process gives.

    Machine code from disk is linked by name. Functions of one name, as closures are, differ in a
    number alone, which Numba counts from 1 in each process: two that were compiled by two
    processes could be taken for each other in a third.
    """
    FunctionIdentity._unique_ids = count(secrets.randbits(60))


_number_functions_anew()
os.register_at_fork(after_in_child=_number_functions_anew)


def compiled(function: Function) -> Function:
    """Compile an op on its first call for a dtype; later processes take it from disk.

    Under ``NUMBA_DISABLE_JIT`` it stays the Python function that it is.
    """
    if _is_disabled():
        return function
    dispatcher = numba.njit(**_OPTIONS)(function)
    dispatcher._cache = _cache_of(function)
    return cast(Function, dispatcher)


def inlined(function: Function) -> Function:
    """Compile a part of ops, for compiled code alone to call; leave what is compiled already.

    LLVM inlines it, so that it is kept on disk in each of them.
    """
    if _is_disabled() or isinstance(function, Dispatcher):
        return function
    return cast(Function, numba.njit(**_OPTIONS | WITHOUT_WRAPPERS)(function))


def compiled_for(signature: Numba, function: Function) -> Function:
    """Compile `function` now, or take it from disk, for arguments of these types and no others."""
    if _is_disabled():
        return function
    dispatcher: Numba = compiled(function)
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


def identity(function: Callable[..., object]) -> str | None:
    """Return a text that changes with a function's code and with all that is compiled into it.

    Returns
    -------
    str or None
        None where that cannot be known: it was typed at a prompt, or closes over something that
        no text stands for. Such code is not kept on disk.

    """
    parts: list[str] = []
    waiting, seen = [function], {function}
    while waiting:
        each = waiting.pop()
        sources = fingerprint(each.__module__)
        if sources is None:
            return None
        # Sources alone would not tell apart two lambdas on one line, two files of one name, or a
        # module before and after it was reloaded.
        content = hashlib.sha256(_content(each.__code__).encode()).hexdigest()
        name = f"{each.__module__}.{each.__qualname__}"
        parts.append(f"{name} {each.__defaults__} {sources} {content}")
        for value, is_closed_over in _references(each):
            code = _code_of(value)
            if code is not None:
                parts.append(str(getattr(value, "targetoptions", "")))
                if code not in seen:
                    seen.add(code)
                    waiting.append(code)
                continue
            constant = _constant(value)
            if constant is None and is_closed_over:
                return None
            parts.append(constant or "")
    return " ".join(parts)


def _code_of(value: object) -> Callable[..., object] | None:
    """Return the function, compiled or a user's own, that a value is; None for all else."""
    if isinstance(value, Dispatcher):
        function: Callable[..., object] = value.py_func
        return function
    is_own = isinstance(value, FunctionType) and not _is_installed(value.__module__)
    return cast(FunctionType, value) if is_own else None


def _content(code: CodeType) -> str:
    """Return what a function does: its instructions, the constants and the names in them."""
    constants = [_content(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def _references(function: Callable[..., object]) -> Iterator[tuple[object, bool]]:
    """Yield what a function refers to, and whether it closes over it."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents, True
        except ValueError:  # defined further down, as a function that calls itself
            continue
    names = tuple(_names(function.__code__))
    namespaces, modules = [function.__globals__], set()
    for namespace in namespaces:  # grows by the modules whose attributes the names may be
        for value in [namespace[name] for name in names if name in namespace]:
            yield value, False
            if isinstance(value, ModuleType) and value not in modules:
                modules.add(value)
                namespaces.append(vars(value))


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names in a function and in those that it defines."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _constant(value: object) -> str | None:
    """Return a text for what is compiled into a function as a constant; None for all else."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    return repr(value) if isinstance(value, int | float | str | tuple | np.generic) else None


@cache
def fingerprint(module: str) -> str | None:
    """Return a hash of the sources of a module and of all it imports, but for installed packages.

    Its own package is followed even if it is installed.
    None where there is no source, as at a prompt.
    """
    sources: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in sources:
            found = _source(name)
            if found is None:
                return None
            sources[name], imported = found
            waiting += imported
    return hashlib.sha256("".join(sources[name] for name in sorted(sources)).encode()).hexdigest()


@cache
def _source(module: str) -> tuple[str, list[str]] | None:
    """Return the source of a module, and the names of those it imports, as in `fingerprint`."""
    source = _text(module)
    if source is None:
        return None
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:  # a notebook's cells, with commands among them that are not Python
        return None
    parent = getattr(sys.modules.get(module), "__package__", None) or module
    names = []
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level <= parent.count(".") + 1:
            origin = resolve_name("." * node.level + (node.module or ""), parent)
            names += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    return source, [name for name in names if _is_followed(name, module.partition(".")[0])]


def _text(module: str) -> str | None:
    imported = None
    try:
        imported = sys.modules.get(module) or import_module(module)
        text: str | None = imported.__loader__.get_source(module)  # type: ignore[union-attr]
    except (ImportError, AttributeError):  # __main__: a prompt, a notebook, or python -m; exec
        path = Path(getattr(imported, "__file__", None) or "")
        return path.read_text(encoding="utf-8") if path.is_file() else None
    return text or ""


def _is_followed(name: str, package: str) -> bool:
    if name.startswith(f"{package}."):
        return _is_module(name)
    return name in sys.modules and not _is_installed(name)


def _is_installed(module: str) -> bool:
    """Return whether a module is FastNN's, Python's or a package's, and not a user's own."""
    top = module.partition(".")[0]
    found = sys.modules.get(top)
    place = getattr(found, "__file__", None) or next(iter(getattr(found, "__path__", ())), None)
    if place is None or top == __name__.partition(".")[0]:
        return True
    return any(Path(place).is_relative_to(folder) for folder in _FOLDERS)


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package
        return False


def _is_disabled() -> bool:
    return bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]


class _Cache(FunctionCache):
    """Numba's cache on disk, keyed by all that is compiled; a full disk is no error."""

    def _index_key(self, signature: Numba, codegen: Numba) -> tuple[Numba, ...]:
        own = super()._index_key(signature, codegen)
        return *own, identity(self._py_func) or fingerprint(self._py_func.__module__)

    def save_overload(self, signature: Numba, data: Numba) -> None:
        try:
            super().save_overload(signature, data)
        except OSError as error:
            _say_that_nothing_is_kept(str(error))


def _cache_of(function: Callable[..., object]) -> Numba:
    closed_over = [value for value, is_closed_over in _references(function) if is_closed_over]
    if not _has_file(function.__module__) or any(isinstance(x, Dispatcher) for x in closed_over):
        return NullCache()  # Numba cannot tell two closures over compiled code apart
    try:
        return _Cache(function)
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        _say_that_nothing_is_kept("no directory can be written to; NUMBA_CACHE_DIR may name one")
        return NullCache()


def _has_file(module: str) -> bool:
    """Return False for what was typed at a prompt or in a notebook."""
    return Path(getattr(sys.modules.get(module), "__file__", None) or "").is_file()


@cache
def _say_that_nothing_is_kept(reason: str) -> None:
    logging.getLogger(__name__).warning("compiled code is not kept for later processes: %s", reason)
