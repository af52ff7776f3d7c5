"""Matrix products, from a triple loop to the machine's peak, behind one interface.

>>> import kernels
>>> kernel = kernels.get("numba")
>>> c = kernel(a, b)  # checked
>>> kernel.compute(a, b, c)  # bare

A kernel is one file and one line in the table below. Installed packages add theirs by an
entry point in the group ``fastnn.kernels`` that names a `Kernel`.
"""

from importlib.metadata import EntryPoint, EntryPoints, entry_points

from kernels import blas, blocked, loops, naive, packed
from kernels.interface import Kernel
from kernels.threads import get_num_threads, set_num_threads

__all__ = ["LADDER", "Kernel", "get", "get_num_threads", "names", "set_num_threads"]

# The limits are a second or two of work.
LADDER = (
    Kernel(
        "naive",
        "triple loop in plain Python: the specification",
        naive.compute,
        max_multiplications=2**24,
    ),
    Kernel(
        "blocked",
        "the same sums in cache-sized tiles, still plain Python",
        blocked.compute,
        max_multiplications=2**24,
    ),
    Kernel(
        "numba-naive",
        "the triple loop, compiled",
        loops.compute_naive,
        max_multiplications=2**29,
        prepare=loops.prepare_naive,
    ),
    Kernel(
        "numba-blocked",
        "the loop over tiles, compiled",
        loops.compute_blocked,
        max_multiplications=2**29,
        prepare=loops.prepare_blocked,
    ),
    Kernel(
        "numba",
        "a tile in vector registers, operands packed where it pays, parts for threads",
        packed.compute,
        threaded=True,
        prepare=packed.prepare,
    ),
    Kernel(
        "numpy",
        "np.matmul, which is BLAS: the yardstick",
        blas.compute,
        threaded=True,
    ),
)

ENTRY_POINTS = "fastnn.kernels"


def names() -> tuple[str, ...]:
    """Return the names of all kernels: the ladder from the bottom up, then installed ones."""
    return tuple(dict.fromkeys([kernel.name for kernel in LADDER] + sorted(_installed().names)))


def get(name: str) -> Kernel:
    """Return the kernel called `name`; one of the ladder can't be replaced from outside.

    Raises
    ------
    ValueError
        There is none of this name, or two installed packages bring one.
    TypeError
        An installed package gives the name to something that is no `Kernel` of this name.

    """
    for kernel in LADDER:
        if kernel.name == name:
            return kernel
    candidates = tuple(_installed().select(name=name))
    if not candidates:
        raise ValueError(f"no kernel is called {name!r}; there are {', '.join(names())}")
    if len(candidates) > 1:
        origins = ", ".join(_origin(candidate) for candidate in candidates)
        raise ValueError(f"kernel {name!r} comes from more than one place: {origins}")
    return _load(candidates[0])


def _installed() -> EntryPoints:
    return entry_points(group=ENTRY_POINTS)


def _load(entry_point: EntryPoint) -> Kernel:
    kernel = entry_point.load()
    if not isinstance(kernel, Kernel):
        raise TypeError(
            f"{_origin(entry_point)} is a {type(kernel).__name__}; "
            f"an entry point in {ENTRY_POINTS} must name a kernels.Kernel"
        )
    if kernel.name != entry_point.name:
        raise TypeError(
            f"{_origin(entry_point)} calls itself {kernel.name!r}; "
            f"its entry point calls it {entry_point.name!r}"
        )
    return kernel


def _origin(entry_point: EntryPoint) -> str:
    distribution = entry_point.dist.name if entry_point.dist else "an unnamed distribution"
    return f"{entry_point.value} of {distribution}"
