"""Denormal numbers are flushed to 0 where that is asked for, and nowhere else."""

import numpy as np
import pytest

from fastnn.kernels import ops
from fastnn.kernels.runtime import denormals


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_flushed_concerns_results_and_operands_within_the_block(dtype):
    tiny = np.finfo(dtype).tiny
    small = np.full(64, tiny, dtype)
    half, denormal = dtype(0.5), small / 2
    for _ in range(2):  # as before, in the block and after it
        assert (small * half > 0).all()
        assert (denormal * dtype(2) == tiny).all()
        with denormals.flushed():
            assert (small * half == 0).all()  # a result
            assert (denormal * dtype(2) == 0).all()  # an operand
            assert (small * dtype(2) > 0).all()


def test_flushed_concerns_compiled_ops():
    bias, y = np.zeros(16, np.float32), np.full((3, 16), 1e-40, np.float32)
    with denormals.flushed():
        ops.after_bias(ops.function("identity"))(bias, y)
    assert (y == 0).all()


def test_flushed_ends_after_an_error_and_with_the_outer_of_two_blocks():
    small = np.array([np.finfo(np.float32).tiny])
    with pytest.raises(ValueError, match="anything"), denormals.flushed():
        raise ValueError("anything")
    assert (small / np.float32(2) > 0).all()
    with denormals.flushed():
        with denormals.flushed():
            pass
        assert (small / np.float32(2) == 0).all()


def test_restore_mode_goes_back_to_what_flush_to_zero_returned():
    before = denormals.flush_to_zero()
    within = denormals.flush_to_zero()
    denormals.restore_mode(before)
    assert within != before
    assert denormals.flush_to_zero() == before
    denormals.restore_mode(before)


def test_flushed_says_once_that_it_does_not_know_a_processor_and_goes_on(run_python, tmp_path):
    script = """
import logging, platform, sys, numba
logging.basicConfig(format="%(message)s", stream=sys.stdout)
platform.machine = lambda: "vax"
from fastnn.kernels.runtime import denormals
for _ in range(2):
    with denormals.flushed():
        print("goes on")
with denormals.flushed(False):
    pass
denormals.restore_mode(denormals.exchange_mode(0))  # what products do on it changes nothing
"""
    said = run_python(script, NUMBA_CACHE_DIR=str(tmp_path)).splitlines()
    assert said[0].startswith("denormal numbers are not flushed to zero on vax, only")
    assert said[1:] == ["goes on", "goes on"]


def test_threads_that_are_started_within_keep_denormals_afterwards(run_python, tmp_path):
    """They have the mode of the thread that starts them, and other work may run on them later."""
    script = """
import numba, numpy as np
from fastnn.kernels import get, set_num_threads
from fastnn.kernels.runtime.denormals import flushed
set_num_threads(2)
a = np.ones((256, 256), np.float32)
with flushed():
    get("numba")(a, a)
@numba.njit(parallel=True)
def halves(x):
    for i in numba.prange(x.size):
        x[i] *= np.float32(0.5)
x = np.full(4096, np.finfo(np.float32).tiny)
halves(x)
print((x == 0).sum())
"""
    assert run_python(script, NUMBA_CACHE_DIR=str(tmp_path)).strip() == "0"
