"""Find what a user names: ``MODULE:NAME`` or ``FILE.py:NAME``.

A user's own kernels, layers, optimizers and losses are named so on the command line, in a
configuration file and in Python. Finding one imports it, which runs its code.
"""

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TypeVar

Kind = TypeVar("Kind")


def is_code(where: str) -> bool:
    """Return whether `where` names code to import, as opposed to a short name."""
    return ":" in where


def is_in_file(where: str) -> bool:
    """Return whether `where` is ``FILE.py:NAME``."""
    return where.rpartition(":")[0].endswith(".py")


def absolute(where: str) -> str:
    """Return `where` with an absolute path, if it is in a file."""
    return str(Path(where).absolute()) if is_in_file(where) else where


def find(where: str, kind: type[Kind], hint: str = "") -> Kind:
    """Return the instance of `kind` that `where` leads to.

    Parameters
    ----------
    where : str
        ``MODULE:NAME``, with a module that Python can import, from the working directory too, or
        ``FILE.py:NAME``.
    kind : type
        The class that it must be an instance of.
    hint : str
        How to make one, for the error message.

    Raises
    ------
    ValueError
        There is nothing of this name, it is something else, or importing it fails.
    OSError
        The file cannot be read.

    """
    found, siblings = _look_up(where)
    if isinstance(found, kind):
        return found
    held = [name for name, value in siblings.items() if isinstance(value, kind)]
    raise _not_it(where, found, f"a {kind.__name__}", held, hint)


def find_class(where: str, kind: type[Kind], hint: str = "") -> type[Kind]:
    """Return the subclass of `kind` that `where` leads to; see `find`."""

    def is_it(value: object) -> bool:
        return isinstance(value, type) and issubclass(value, kind) and value is not kind

    found, siblings = _look_up(where)
    if isinstance(found, type) and is_it(found):
        return found
    own = [name for name, value in siblings.items() if is_it(value)]
    raise _not_it(where, found, f"a class derived from {kind.__name__}", own, hint)


def class_of(where: object, table: Mapping[str, type[Kind]], kind: type[Kind]) -> type[Kind]:
    """Return a class: by its name in a table, or as `find_class` finds it.

    Raises
    ------
    ValueError
        `where` is neither; the error lists the table.

    """
    if isinstance(where, str) and where in table:
        return table[where]
    if isinstance(where, str) and is_code(where):
        return find_class(where, kind)
    raise ValueError(
        f"unknown {kind.__name__.lower()} {where!r}: take one of {', '.join(table)}, "
        f"MODULE:NAME, FILE.py:NAME, or an instance of {kind.__name__}"
    )


class _Nothing:
    """Stands for a name that a module does not have."""


def _look_up(where: str) -> tuple[object, dict[str, object]]:
    """Return what `where` leads to, and all names of its module."""
    place, _, name = where.rpartition(":")
    module = _load(Path(place)) if is_in_file(where) else _import(place)
    return getattr(module, name, _Nothing), vars(module)


def _not_it(where: str, found: object, needed: str, held: list[str], hint: str) -> ValueError:
    place, _, name = where.rpartition(":")
    there = f"there: {', '.join(held) or 'none'}"
    if found is _Nothing:
        return ValueError(f"{place} has no {name!r}; {needed} is needed, {there}")
    what = found.__name__ if isinstance(found, type) else type(found).__name__
    hint = f", {hint}" if hint else ""
    return ValueError(f"{where} is a {what}; {needed} is needed{hint}, {there}")


# By path: the content of a file, and what was imported from it.
_loaded: dict[Path, tuple[bytes, ModuleType]] = {}


def _load(path: Path) -> ModuleType:
    """Import a file, which can import its neighbours, as a script can.

    It is imported again only if it has changed: two names in one file lead to one module, where a
    class is the same for both.
    """
    content = path.read_bytes()  # raises the plainest error where it cannot be read
    before = _loaded.get(path.resolve())
    if before and before[0] == content:
        return before[1]
    spec = importlib.util.spec_from_file_location(f"_fastnn_file_{path.stem}", path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # as dataclasses and pickles need it
    with _importing(str(path), path.resolve().parent):
        spec.loader.exec_module(module)
    _loaded[path.resolve()] = content, module
    return module


def _import(name: str) -> ModuleType:
    with _importing(name, Path.cwd()):
        return importlib.import_module(name)


@contextmanager
def _importing(what: str, directory: Path) -> Iterator[None]:
    """Import from a directory first; report a failing import in one line."""
    sys.path.insert(0, os.fspath(directory))
    try:
        yield
    except (Exception, SystemExit) as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f" ({frame.filename}, line {frame.lineno})"
        if isinstance(error, SyntaxError):
            place = ""  # it says so itself
        raise ValueError(
            f"{what} cannot be imported: {type(error).__name__}: {error}{place}"
        ) from error
    finally:
        sys.path.remove(os.fspath(directory))
