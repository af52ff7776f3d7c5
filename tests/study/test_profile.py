"""`fastnn.study.profile`: figures that add up, of a step that profiling does not change."""

import time

import pytest

from fastnn import Adam, Dense, ReLU, Sequential
from fastnn.kernels import Kernel
from fastnn.kernels.measuring.timing import Spread
from fastnn.plan import Call
from fastnn.study.profile import Profile, profile


def spread(seconds):
    return Spread(seconds, seconds, seconds)


def call(flops):
    return Call("forward", "", "matmul" if flops else "relu", (), flops)


@pytest.mark.parametrize("kernel", ["numba", "numpy"])
def test_profile_times_every_call_and_leaves_the_weights(kernel):
    net = Sequential([Dense(60, 50), ReLU(), Dense(50, 10)], kernel=kernel)
    before = net.parameters.flat.copy()
    plan = net.plan(32, optimizer=Adam())
    found = profile(plan, seconds=0.1)
    assert [call for call, _ in found.calls] == plan.calls
    assert all(0 < each.low <= each.median <= each.high for _, each in found.calls)
    assert found.python.median > max(each.median for _, each in found.calls) / 2
    assert (found.compiled is None) == (kernel == "numpy")
    assert found.python_share is None or 0 <= found.python_share < 1
    assert "matmul" in str(found)
    assert "GFLOP/s" in str(found)
    assert (net.parameters.flat == before).all()  # the learning rate is 0


@pytest.mark.parametrize(("seconds", "share", "amdahl"), [(3.0, 0.75, 4.0), (0.0, 0.0, 1.0)])
def test_profile_tells_what_products_leave_to_gain(seconds, share, amdahl):
    calls = (call(8), spread(seconds)), (call(0), spread(1.0))
    found = Profile(calls, spread(1.0), None)
    assert (found.product_share, found.amdahl) == (share, amdahl)


def test_profile_of_products_alone_leaves_everything_to_gain():
    assert Profile(((call(8), spread(1.0)),), spread(1.0), None).amdahl == float("inf")


def test_profile_repeats_slow_calls_no_more_than_needed():
    calls = []

    def slow(a, b, out):
        calls.append(time.sleep(0.02))
        out[...] = 0

    net = Sequential([Dense(3, 2)], kernel=Kernel("slow", "", slow))
    profile(net.plan(4), seconds=0.001)
    assert len(calls) == 2 * (1 + 2 + 2)  # products: once, whole twice, alone twice
