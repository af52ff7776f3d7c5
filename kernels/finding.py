"""A kernel from anywhere: the ladder, an installed package, a module, a file."""

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

import kernels
from kernels.interface import DTYPES, Kernel


def is_imported(where: str) -> bool:
    """Return whether `find` imports a module or a file for it."""
    return ":" in where


def is_in_file(where: str) -> bool:
    """Return whether it is ``PATH.py:NAME``."""
    return where.rpartition(":")[0].endswith(".py")


def find(where: str) -> Kernel:
    """Return the kernel that `where` leads to.

    Parameters
    ----------
    where : str
        ``NAME``, as `kernels.get` knows it; ``MODULE:NAME``, a module that Python finds, in the
        working directory too, and what it calls the kernel; or ``PATH.py:NAME``.

    Raises
    ------
    ValueError
        There is nothing there, or no `Kernel`, or importing it fails.
    OSError
        The file cannot be read.

    """
    if not is_imported(where):
        try:
            return kernels.get(where)
        except TypeError as error:  # an entry point names something else
            raise ValueError(str(error)) from None
    place, _, name = where.rpartition(":")
    module = _load(Path(place)) if is_in_file(where) else _import(place)
    if not hasattr(module, name):
        held = ", ".join(key for key, value in vars(module).items() if isinstance(value, Kernel))
        raise ValueError(f"{place} has no {name!r}; kernels there: {held or 'none'}")
    kernel = getattr(module, name)
    if not isinstance(kernel, Kernel):
        raise ValueError(
            f"{where} is a {type(kernel).__name__}; a kernels.Kernel is needed, such as "
            'Kernel("name", "what it is", compute)'
        )
    return kernel


def find_fault(name: str) -> str | None:
    """Return why a kernel cannot be used here, or None if a small product comes out right."""
    a = np.arange(6, dtype=np.float64).reshape(2, 3)
    expected = [[5.0, 14.0], [14.0, 50.0]]  # a @ a.T
    try:
        kernel = kernels.get(name)
        for dtype in DTYPES:
            product = kernel(a.astype(dtype), a.astype(dtype).T)
            if product.tolist() != expected:
                return f"computes {product.tolist()} for {expected} in {dtype}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _load(path: Path) -> ModuleType:
    """Import a file anew; it finds its neighbours, as a script does."""
    path.open("rb").close()  # if it cannot be read, that is what to say
    spec = importlib.util.spec_from_file_location(f"_kernel_in_{path.stem}", path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # as dataclasses and pickles need it
    with _importing(str(path), path.resolve().parent):
        spec.loader.exec_module(module)
    return module


def _import(name: str) -> ModuleType:
    with _importing(name, Path.cwd()):
        return importlib.import_module(name)


@contextmanager
def _importing(what: str, directory: Path) -> Iterator[None]:
    """Look into a directory first; say in one line where an import fails."""
    sys.path.insert(0, os.fspath(directory))
    try:
        yield
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise ValueError(
            f"{what} cannot be imported: {type(error).__name__}: {error} "
            f"({frame.filename}, line {frame.lineno})"
        ) from error
    finally:
        sys.path.remove(os.fspath(directory))
