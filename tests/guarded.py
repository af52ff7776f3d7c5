"""Arrays with a page without access before them and one behind: a step outside ends the process."""

import ctypes
import mmap

import numpy as np


def guarded(array, last):
    """Return a copy that touches the page behind, or the page before."""
    array = np.asarray(array)
    pages = max(1, -(-array.nbytes // mmap.PAGESIZE))
    memory = mmap.mmap(-1, (pages + 2) * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for page in (0, pages + 1):
        address = ctypes.c_void_p(start + page * mmap.PAGESIZE)
        assert protect(address, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    offset = mmap.PAGESIZE + (pages * mmap.PAGESIZE - array.nbytes if last else 0)
    copy = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    return copy
