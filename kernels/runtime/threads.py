"""One number of threads, for Numba and for BLAS.

Both have a number of their own, and of different kinds: BLAS keeps one for the process, Numba
one for each Python thread. The number here is the process's. Setting it sets both, and a
kernel of this package that uses threads asks here for it, on any Python thread.

Numba's threads come from one of three libraries, its *threading layers*. Importing this module
chooses OpenMP, whose threads wake fastest; ``NUMBA_THREADING_LAYER`` and
``NUMBA_THREADING_LAYER_PRIORITY`` in the environment have precedence. Only OpenMP and TBB can be
launched from several Python threads at once; the third layer, ``workqueue``, then ends the
process. Where it is what Numba would take, compiled kernels are held to one thread and the
logger ``fastnn.kernels.runtime.threads`` says so.

An idle thread of OpenMP *spins* for a while, so that the next launch finds it awake, and then
sleeps, so that it is out of the way of others. GNU's library spins for milliseconds, and a launch
takes as long whenever the system puts the thread that it wakes on the core of the one that waits
for it, or when BLAS, whose threads spin as well, is used in between. The default here is a tenth of
a millisecond or two: about what it takes to wake a thread, and longer than the pauses between the
products of a training step. ``GOMP_SPINCOUNT`` and ``OMP_WAIT_POLICY`` in the environment take
precedence.

OpenMP's threads do not survive a ``fork``, and Numba ends a child process that launches them
nevertheless. In a child whose parent had launched them, compiled kernels are therefore held to
one thread; BLAS, which starts its threads anew, keeps its number. To use all cores in a child,
start it with ``spawn``, or fork before the first product on several threads.
"""

import logging
import operator
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Lock
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
from numba import config, types
from threadpoolctl import OpenBLASController, threadpool_limits

if "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
    config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]  # type: ignore[attr-defined]

_MODULES = {"omp": "omppool", "tbb": "tbbpool", "workqueue": "workqueue"}
# What the other values of NUMBA_THREADING_LAYER stand for.
_CHOICES = {"safe": ["tbb"], "threadsafe": ["tbb", "omp"], "forksafe": ["tbb", "workqueue"]}

SPINS = 10_000  # pauses of the processor, of 40 to 140 cycles each


@contextmanager
def _libgomp_settings() -> Iterator[None]:
    """Set in the environment what libgomp reads when it is loaded, and only then."""
    if os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = str(SPINS)
    try:
        yield
    finally:
        del os.environ["GOMP_SPINCOUNT"]


def _loads(layer: str) -> bool:
    try:
        with _libgomp_settings():
            import_module(f"numba.np.ufunc.{_MODULES[layer]}")
    except ImportError:
        return False
    return True


def _threading_layer() -> str | None:
    """Return the layer that Numba is going to launch, without launching it."""
    stated = config.THREADING_LAYER.lower()  # type: ignore[attr-defined]
    priority = config.THREADING_LAYER_PRIORITY  # type: ignore[attr-defined]
    candidates = [stated] if stated in _MODULES else _CHOICES.get(stated, priority)
    return next(filter(_loads, candidates), None)


# The cores, unless the environment sets another number; 1 where threads would not be safe.
MAX_THREADS: int = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
_process = SimpleNamespace(
    max_threads=MAX_THREADS,
    num_threads=MAX_THREADS,
    reason="",  # why fewer are allowed than there are cores
    setting=Lock(),
)
number_of_threads = np.array([MAX_THREADS])  # where compiled code reads it


def _hold_to_one_thread(reason: str) -> None:
    _process.max_threads = _process.num_threads = number_of_threads[0] = 1
    _process.reason = f": {reason}"


_layer = _threading_layer()
if MAX_THREADS > 1 and _layer not in ("omp", "tbb"):
    MAX_THREADS = 1
    _hold_to_one_thread(
        f"Numba's threading layer would be {_layer}, which several Python threads cannot use at "
        "once; install OpenMP (libgomp) for compiled kernels on several threads"
    )
    logging.getLogger(__name__).warning("compiled kernels use one thread%s", _process.reason)


def _after_fork() -> None:
    _process.setting = Lock()  # a thread that the child does not have may have held it
    try:
        launched = numba.threading_layer()  # type: ignore[attr-defined]
    except ValueError:  # none was, so that the child can
        return
    if launched == "omp":
        _hold_to_one_thread(
            "this process was forked from one that had launched OpenMP's threads, which do not "
            "survive it; start it with multiprocessing's method 'spawn'"
        )


os.register_at_fork(after_in_child=_after_fork)


def set_num_threads(n: int) -> None:
    """Let matrix products use `n` threads, in this process and until the next call.

    Parameters
    ----------
    n : int
        From 1 to the number of threads there are: ``NUMBA_NUM_THREADS`` where the environment
        sets it, otherwise the number of cores; only 1 where Numba's threads are not safe to use.

    Raises
    ------
    ValueError
        `n` is outside that range.

    """
    n = operator.index(n)
    if not 1 <= n <= _process.max_threads:
        raise ValueError(
            f"{n} threads were asked for; 1 to {_process.max_threads} are allowed here"
            f"{_process.reason}"
        )
    with _process.setting:
        # threadpoolctl lets one Python thread at a time speak for OpenBLAS, the first that did;
        # the number here is the process's, and any thread may set it.
        OpenBLASController.clear_controlling_thread(force=True)
        threadpool_limits(limits=n, user_api="blas")  # stays, since it is not used as a context
        if _process.max_threads > 1:
            numba.set_num_threads(n)
        _process.num_threads = number_of_threads[0] = n


# Numba's number for the current Python thread, in compiled code: it can be kept on disk, and takes
# no lock. `load_threads` comes before compiling what calls them.
get_numba_threads: Any = types.ExternalFunction("get_num_threads", types.intc())
set_numba_threads: Any = types.ExternalFunction("set_num_threads", types.void(types.intc))


def load_threads() -> None:
    """Load the library of threads; to be called before compiling code that uses it."""
    numba.get_num_threads()


def get_num_threads() -> int:
    """Return the number last set, by any Python thread.

    Before the first call of `set_num_threads` it is all that are allowed; BLAS then still has
    its own default, which is the number of cores unless the environment says otherwise
    (``OPENBLAS_NUM_THREADS``).
    """
    num_threads: int = _process.num_threads
    return num_threads
