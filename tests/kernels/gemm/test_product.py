"""The kernel `numba`: it touches no other memory, and cuts k alike for every shape."""

import ctypes
import mmap
from itertools import product

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels.gemm.blocksizes import blocksizes
from fastnn.kernels.interface import DTYPES
from fastnn.kernels.testing import contract

ORDERS = ["C", "F"]


@pytest.fixture(scope="module")
def kernel():
    return kernels.get("numba")


class Guarded:
    """An array that begins or ends at a page without access; there is one on each side."""

    def __init__(self, shape, dtype, order, last):
        size = int(np.prod(shape)) * dtype.itemsize
        pages = -(-size // mmap.PAGESIZE)
        self._memory = mmap.mmap(-1, (pages + 2) * mmap.PAGESIZE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        for page in (0, pages + 1):
            address = ctypes.c_void_p(start + page * mmap.PAGESIZE)
            assert protect(address, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
        offset = mmap.PAGESIZE + (pages * mmap.PAGESIZE - size if last else 0)
        flat = np.frombuffer(self._memory, dtype, size // dtype.itemsize, offset)
        self.array = flat.reshape(shape, order=order)


def _edges(size):
    return sorted({1, 2, 3, size - 1, size, size + 1, 2 * size - 1, 2 * size, 2 * size + 1})


@pytest.mark.parametrize("last", [False, True], ids=["flush left", "flush right"])
@pytest.mark.parametrize("orders", list(product(ORDERS, repeat=3)), ids="".join)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_numba_stays_within_its_operands(kernel, dtype, orders, last):
    sizes = blocksizes(dtype.itemsize)
    rng = np.random.default_rng(0)
    for m, n, k in product(_edges(sizes.MR), _edges(sizes.NR), (1, 5, 50)):
        shapes = [(m, k), (k, n), (m, n)]
        a, b, out = (
            Guarded(shape, dtype, order, last).array
            for shape, order in zip(shapes, orders, strict=True)
        )
        a[...], b[...], out[...] = (
            rng.standard_normal(a.shape),
            rng.standard_normal(b.shape),
            np.nan,
        )
        contract.check_product(kernel, a, b, out)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_numba_cuts_k_alike_in_any_shape(kernel, dtype):
    k = 2 * blocksizes(dtype.itemsize).KC + 5
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((3, k)).astype(dtype), rng.standard_normal((k, 5)).astype(dtype)
    expected = kernel(a, b)
    for row, column in product(range(3), range(5)):  # single elements take another micro-kernel
        alone = kernel(a[row : row + 1], b[:, column : column + 1])
        assert alone[0, 0] == expected[row, column]
