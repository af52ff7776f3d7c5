"""Calls that compiled code makes at the same time, each on a thread of its own.

A pass over the rows of large matrices takes as many threads as the products around it, which
have left each part of the rows in the cache of one core. It is cut into calls of the same
entrance for parts of the rows, and these are a table (`fastnn.kernels.runtime.program`) that one row of another
table runs: no pass is compiled anew for it.
"""

from numba import njit, prange

from fastnn.kernels.runtime.denormals import exchange_mode, read_mode, restore_mode
from fastnn.kernels.runtime.program import Integers, invoke
from fastnn.kernels.runtime.threads import get_numba_threads, set_numba_threads


@njit(parallel=True)
def _launch(rows: Integers) -> None:
    mode = read_mode()
    for i in prange(len(rows)):
        before = exchange_mode(mode)
        invoke(rows[i, 0], rows[i, 1])
        restore_mode(before)


@njit
def run_at_once(rows: Integers, threads: Integers) -> None:
    """Run the rows of a table in any order, on at most ``threads[0]`` threads.

    `fastnn.kernels.runtime.threads.load_threads` comes before compiling it.
    """
    count = min(threads[0], len(rows))
    if count > 1:
        before = get_numba_threads()
        set_numba_threads(count)
        _launch(rows)
        set_numba_threads(before)
    else:
        for i in range(len(rows)):
            invoke(rows[i, 0], rows[i, 1])
