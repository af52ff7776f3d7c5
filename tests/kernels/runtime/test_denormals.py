import numpy as np
import pytest

from fastnn.kernels.ops import elementwise
from fastnn.kernels.runtime import denormals


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_and_operands_are_flushed_and_the_mode_is_restored(dtype):
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


def test_compiled_passes_are_concerned():
    bias, y = np.zeros(16, np.float32), np.full((3, 16), 1e-40, np.float32)
    with denormals.flushed():
        elementwise.add_bias(bias, y)
    assert (y == 0).all()


def test_the_mode_is_restored_after_an_error_and_from_within_another_block():
    small = np.array([np.finfo(np.float32).tiny])
    with pytest.raises(ValueError, match="anything"), denormals.flushed():
        raise ValueError("anything")
    assert (small / np.float32(2) > 0).all()
    with denormals.flushed():
        with denormals.flushed():
            pass
        assert (small / np.float32(2) == 0).all()


def test_modes_are_those_of_the_register():
    before = denormals.flush_to_zero()
    within = denormals.flush_to_zero()
    denormals.restore_mode(before)
    assert within != before
    assert denormals.flush_to_zero() == before
    denormals.restore_mode(before)


def test_an_unknown_processor_is_named(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "vax")
    with pytest.raises(NotImplementedError, match="vax, only on x86_64"):
        denormals._register()
