"""`fastnn.study.profile`: figures that add up, of a step that is not changed by it."""

import time

import numpy as np
import pytest

from fastnn import (
    Adam,
    Dense,
    ReLU,
    Sequential,
)
from fastnn.kernels import Kernel
from fastnn.plan import Call
from fastnn.study.profile import Profile, profile


@pytest.mark.parametrize("kernel", ["numba", "numpy"])
def test_every_call_has_its_time(kernel):
    net = Sequential([Dense(60, 50), ReLU(), Dense(50, 10)], kernel=kernel)
    before = net.parameters.flat.copy()
    plan = net.plan(32, optimizer=Adam())
    for call in plan.calls:
        for array in call.args:  # whatever was in that memory
            if isinstance(array, np.ndarray) and array.dtype == np.float32 and array.ndim == 2:
                array[...] = 0
    net.parameters.flat[:] = before
    found = profile(plan, seconds=0.1)
    assert [call for call, _ in found.calls] == plan.calls
    assert all(seconds > 0 for _, seconds in found.calls)
    assert found.python > max(seconds for _, seconds in found.calls) / 2
    assert (found.compiled is None) == (kernel == "numpy")
    assert found.python_share is None or 0 <= found.python_share < 1
    assert "matmul" in str(found)
    assert "GFLOP/s" in str(found)
    assert (net.parameters.flat == before).all()  # the learning rate is 0


@pytest.mark.parametrize(("seconds", "share", "amdahl"), [(3.0, 0.75, 4.0), (0.0, 0.0, 1.0)])
def test_what_the_matrix_products_leave_to_gain(seconds, share, amdahl):
    product, passed = (Call("forward", "", "", print, (), flops) for flops in (8, 0))
    found = Profile(((product, seconds), (passed, 1.0)), 1.0, None)
    assert (found.product_share, found.amdahl) == (share, amdahl)


def test_products_alone_leave_everything():
    product = Call("forward", "", "matmul", print, (), 8)
    assert Profile(((product, 1.0),), 1.0, None).amdahl == float("inf")


def test_a_slow_call_is_not_repeated_more_than_needed():
    calls = []

    def slow(a, b, out):
        calls.append(time.sleep(0.02))
        out[...] = 0

    net = Sequential([Dense(3, 2)], kernel=Kernel("slow", "", slow))
    profile(net.plan(4), seconds=0.001)
    assert len(calls) == 2 * (1 + 2 + 2)  # products: once, whole twice, alone twice
