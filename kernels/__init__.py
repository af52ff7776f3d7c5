"""Matrix products, from a triple loop to the machine's peak, behind one interface.

>>> from fastnn import kernels
>>> kernel = kernels.get("numba")
>>> c = kernel(a, b)  # checked
>>> kernel.compute(a, b, c)  # unchecked

A kernel on the ladder is one file and one line in the table below. Installed packages add theirs
by an entry point in the group ``fastnn.kernels``. `get` is the only way to any of them.
"""

import os
from importlib.metadata import EntryPoint, EntryPoints, entry_points

from fastnn.kernels.finding import find, is_code
from fastnn.kernels.interface import Kernel

__all__ = [
    "DEFAULT",
    "LADDER",
    "Kernel",
    "default",
    "get",
    "get_num_threads",
    "names",
    "set_num_threads",
]

# From the bottom up. `get` imports a rung, and Numba with it, only when it is asked for.
LADDER = {
    "naive": "fastnn.kernels.naive:NAIVE",
    "blocked": "fastnn.kernels.blocked:BLOCKED",
    "numba-naive": "fastnn.kernels.jit:NUMBA_NAIVE",
    "numba-blocked": "fastnn.kernels.jit:NUMBA_BLOCKED",
    "numba": "fastnn.kernels.gemm.product:NUMBA",
    "numpy": "fastnn.kernels.blas:NUMPY",
}
DEFAULT = "numba"
ENTRY_POINTS = "fastnn.kernels"


def names() -> tuple[str, ...]:
    """Return the names of all kernels: the ladder from the bottom up, then installed ones."""
    return tuple(dict.fromkeys([*LADDER, *sorted(_installed().names)]))


def default() -> str:
    """Return the kernel that stands for none: ``FASTNN_KERNEL`` in the environment or `DEFAULT`."""
    return os.environ.get("FASTNN_KERNEL") or DEFAULT


def get(kernel: str | Kernel | None = None) -> Kernel:
    """Return a kernel.

    Parameters
    ----------
    kernel : str or Kernel, optional
        One of `names`; ``MODULE:NAME``, with a module that Python can import, from the working
        directory too; ``FILE.py:NAME``; a kernel, which is returned; or None for the `default`.

    Raises
    ------
    ValueError
        There is no such kernel, importing it fails, or it needs a compiler that is turned off.
    OSError
        The file cannot be read.

    """
    if isinstance(kernel, Kernel):
        return kernel
    where = default() if kernel is None else kernel
    if not isinstance(where, str):
        raise ValueError(f"a kernel is a Kernel or named by a string, not {where!r}")
    if not is_code(where):
        where = LADDER.get(where) or _installed_as(where)
    found = find(where, Kernel, 'such as Kernel("name", "what it is", compute)')
    if kernel is not None and not is_code(kernel) and found.name != kernel:
        raise ValueError(f"{where} calls itself {found.name!r}; its entry point says {kernel!r}")
    if found.needs_compiler and _jit_is_disabled():
        raise ValueError(
            f"kernel {found.name} needs Numba's compiler, which NUMBA_DISABLE_JIT turns off: "
            "unset it, or take naive, blocked, numba-naive, numba-blocked or numpy"
        )
    return found


def set_num_threads(n: int) -> None:
    """Let matrix products use `n` threads; see `fastnn.kernels.runtime.threads`."""
    from fastnn.kernels.runtime import threads  # noqa: PLC0415 - loads Numba

    threads.set_num_threads(n)


def get_num_threads() -> int:
    """Return how many threads matrix products may use."""
    from fastnn.kernels.runtime import threads  # noqa: PLC0415 - loads Numba

    return threads.get_num_threads()


def _jit_is_disabled() -> bool:
    from numba import config  # noqa: PLC0415 - what needs it has loaded it

    return bool(config.DISABLE_JIT)  # type: ignore[attr-defined]


def _installed() -> EntryPoints:
    return entry_points(group=ENTRY_POINTS)


def _installed_as(name: str) -> str:
    """Return where an installed package keeps the kernel of this name."""
    candidates = tuple(_installed().select(name=name))
    if not candidates:
        raise ValueError(f"no kernel is called {name!r}; there are {', '.join(names())}")
    if len(candidates) > 1:
        origins = ", ".join(map(_origin, candidates))
        raise ValueError(f"kernel {name!r} comes from more than one place: {origins}")
    return candidates[0].value


def _origin(entry_point: EntryPoint) -> str:
    distribution = entry_point.dist.name if entry_point.dist else "an unnamed distribution"
    return f"{entry_point.value} of {distribution}"
