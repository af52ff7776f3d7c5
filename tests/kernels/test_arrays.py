"""Arrays for programs: where they start, and what they hold."""

import numpy as np
import pytest

from fastnn.kernels.arrays import CACHE_LINE, aligned_zeros


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shape", [(), (5,), (3, 7)])
def test_aligned_zeros_start_on_a_cache_line(shape, dtype):
    array = aligned_zeros(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.ctypes.data % CACHE_LINE == 0
    assert array.flags.c_contiguous
    assert array.flags.writeable


def test_aligned_zeros_are_zeros_where_memory_is_used_again():
    for _ in range(50):
        array = aligned_zeros((1000,), np.float32)
        assert not array.any()
        array.fill(np.nan)


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_aligned_zeros_may_be_empty(shape):
    assert aligned_zeros(shape, np.float32).shape == shape
