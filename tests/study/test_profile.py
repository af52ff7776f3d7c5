"""`fastnn.study.profile`: figures that add up, of a step that profiling does not change."""

import time

import numpy as np
import pytest

from fastnn import (
    Adam,
    Dense,
    Dropout,
    ReLU,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    Tanh,
    kernels,
)
from fastnn.data import Batches
from fastnn.kernels import Kernel
from fastnn.kernels.measuring.timing import Spread, Stopwatch
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
    found = Profile(calls, spread(1.0 + seconds), None)
    assert (found.product_share, found.amdahl) == (share, amdahl)
    assert found.doubt is None


@pytest.mark.parametrize(
    ("step", "doubtful"), [(3.1, True), (3.3, False), (5.3, False), (5.4, True)]
)
@pytest.mark.parametrize("is_compiled", [True, False])
def test_profile_concludes_nothing_where_the_lines_are_not_the_step(step, doubtful, is_compiled):
    """They differ by more than a quarter of it; Python between the lines does not count."""
    calls = (call(8), spread(3e-6)), (call(0), spread(1e-6))
    whole = spread(step * 1e-6)
    found = Profile(calls, *((spread(1.0), whole) if is_compiled else (whole, None)))
    assert (found.doubt is not None) == doubtful
    assert (found.product_share is None) == (found.amdahl is None) == doubtful
    said = f"the lines add up to 4.00 µs, a step takes {step:.2f} µs: "
    assert (said in str(found)) == doubtful
    assert ("75.0%" in str(found)) != doubtful


def test_profile_of_products_alone_leaves_everything_to_gain():
    assert Profile(((call(8), spread(1.0)),), spread(1.0), None).amdahl == float("inf")


def test_profile_repeats_slow_calls_no_more_than_needed():
    calls = []

    def slow(a, b, out):
        calls.append(time.sleep(0.02))
        out[...] = 0

    net = Sequential([Dense(3, 2)], kernel=Kernel("slow", "", slow))
    profile(net.plan(4), seconds=0.001)
    assert len(calls) == 2 * (1 + 2 + 2)  # products: once, whole twice, line by line twice


def in_every_reading(monkeypatch, check):
    """Call `check` after every reading, before what it has changed is put back."""
    read = Stopwatch._read

    def checked(self, repeats):
        seconds = read(self, repeats)
        check(repeats)
        return seconds

    monkeypatch.setattr(Stopwatch, "_read", checked)


@pytest.mark.parametrize("kernel", ["numba", "numpy"])
@pytest.mark.parametrize("activation", [Tanh, Sigmoid, ReLU])
def test_lines_compute_on_numbers_of_real_steps(monkeypatch, kernel, activation):
    """A line that is repeated alone in place fades or grows away: dy *= 1 - y², y += bias."""
    layers = [Dense(20, 40), activation(), Dropout(0.5), Dense(40, 5)]
    net = Sequential(layers, kernel=kernel, flush_denormals=False)
    rng = np.random.default_rng(0)
    plan, optimizer = net.training_plan(), Adam(learning_rate=lambda step: 0.0, clip_norm=1.0)
    inputs = rng.standard_normal((16, 20)).astype(net.dtype)
    labels = rng.integers(5, size=16)
    net.plan_step(plan, inputs, labels, SoftmaxCrossEntropy(), optimizer, np.zeros(3))
    seen = []

    def check(repeats):
        for each in plan.calls:
            if each.out.dtype.kind != "f":
                continue
            numbers = np.abs(each.out[each.out != 0])
            assert np.isfinite(numbers).all()
            assert 1e-20 < numbers.min(initial=1) <= numbers.max(initial=1) < 1e5, each
        seen.append(repeats)

    in_every_reading(monkeypatch, check)
    found = profile(plan, 0.05, flush_denormals=False)
    assert max(seen) > 10
    assert "denormals kept" in str(found)


def test_profile_takes_real_batches_and_brings_back_what_steps_change(monkeypatch):
    net = Sequential([Dense(20, 40), Tanh(), Dense(40, 5)], rng=0)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, 20)).astype(net.dtype), rng.integers(5, size=50)
    plan, optimizer, batches = net.training_plan(), Adam(), Batches(x, y, 8)
    inputs, targets = batches.plan(plan, 8)
    net.plan_step(plan, inputs, targets, SoftmaxCrossEntropy(), optimizer, np.zeros(3))
    optimizer.begin_steps(6)
    before = net.parameters.flat.copy()
    after = {}

    def check(repeats):
        np.testing.assert_array_equal(inputs, x[8 * (repeats - 1) : 8 * repeats])
        weights = after.setdefault(repeats, net.parameters.flat.copy())
        np.testing.assert_array_equal(net.parameters.flat, weights)

    in_every_reading(monkeypatch, check)
    profile(plan, 0.05, max_steps=6)
    assert set(after) == {1, 6}
    assert not np.array_equal(after[1], after[6])
    np.testing.assert_array_equal(net.parameters.flat, before)
    assert not optimizer.state["mean"].any()


@pytest.mark.parametrize("flush", [True, False])
def test_profile_computes_in_the_mode_that_it_states(flush):
    tiny = np.float32(1e-40)
    seen = set()

    def product(a, b, out):
        seen.add(bool(np.array([tiny])[0] * np.float32(1) != 0))
        np.matmul(a, b, out=out)

    net = Sequential([Dense(3, 2)], kernel=Kernel("watching", "", product))
    found = profile(net.plan(4), 0.001, flush_denormals=flush)
    assert seen == {not flush}
    assert found.flush_denormals == flush
    assert ("denormals flushed to zero" if flush else "denormals kept") in str(found)


@pytest.mark.parametrize("kernel", ["numba", "numpy"])
def test_lines_of_a_real_step_add_up_to_it(kernel):
    """Large enough that the clock does not count; the best of some tries, as machines are busy."""
    kernels.set_num_threads(1)
    net = Sequential([Dense(200, 300), Tanh(), Dense(300, 10)], kernel=kernel)
    ratios = []
    for _ in range(5):
        found = profile(net.plan(64, optimizer=Adam()), 0.1)
        ratios.append(found.seconds / found.step)
        if found.doubt is None:
            return
    pytest.fail(f"sums of the lines, relative to a step: {ratios}")
