"""One number of threads, for Numba and for BLAS.

Both have a number of their own, and of different kinds: BLAS keeps one for the process, Numba
one for each Python thread. The number here is the process's. Setting it sets both, and a
kernel of this package that uses threads asks here for it, on whichever Python thread it runs.

Importing this module asks Numba for OpenMP's threads, which wake fastest and can be launched
from several Python threads at once; where the library is missing, Numba takes the next layer
it finds (``numba.threading_layer()`` tells which). ``NUMBA_THREADING_LAYER`` and
``NUMBA_THREADING_LAYER_PRIORITY`` in the environment have precedence. OpenMP does not survive
a ``fork``: processes that use kernels are to be started with ``spawn``.
"""

import operator
import os
from types import SimpleNamespace

import numba
from numba import config
from threadpoolctl import OpenBLASController, threadpool_limits

if "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
    config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]  # type: ignore[attr-defined]

# The cores, unless the environment sets another number.
MAX_THREADS: int = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]

_process = SimpleNamespace(num_threads=MAX_THREADS)


def set_num_threads(n: int) -> None:
    """Let matrix products use `n` threads, in this process and until the next call.

    Parameters
    ----------
    n : int
        From 1 to the number of threads there are: ``NUMBA_NUM_THREADS`` where the environment
        sets it, otherwise the number of cores.

    Raises
    ------
    ValueError
        `n` is outside that range.

    """
    n = operator.index(n)
    if not 1 <= n <= MAX_THREADS:
        raise ValueError(f"{n} threads were asked for; 1 to {MAX_THREADS} are allowed here")
    # threadpoolctl lets one Python thread at a time speak for OpenBLAS, the first that did; the
    # number here is the process's, and whoever sets it speaks.
    OpenBLASController.clear_controlling_thread(force=True)
    threadpool_limits(limits=n, user_api="blas")  # stays, since it is not used as a context
    numba.set_num_threads(n)
    _process.num_threads = n


def get_num_threads() -> int:
    """Return the number last set, in whichever Python thread.

    Before the first call of `set_num_threads` it is all there are; BLAS then still has its own
    default, which is the same unless the environment says otherwise (``OPENBLAS_NUM_THREADS``).
    """
    num_threads: int = _process.num_threads
    return num_threads
