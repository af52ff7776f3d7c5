"""Passes cut by rows for threads: the same bits, in all that runs a plan."""

import numpy as np
import pytest

from fastnn import (
    Adam,
    Dense,
    LeakyReLU,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    fit,
    kernels,
)
from fastnn.kernels.ops import elementwise
from fastnn.kernels.runtime.threads import MAX_THREADS
from fastnn.plan import WORTH_A_THREAD

ROWS = 2 * WORTH_A_THREAD // 32 + 1  # of 32 columns: two parts, which differ in size
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = kernels.get_num_threads()
    yield
    kernels.set_num_threads(before)


def trained(activation, engine, threads):
    kernels.set_num_threads(threads)
    net = Sequential([Dense(3, 32), activation(), Dense(32, 32), activation(), Dense(32, 2)])
    x = np.sin(np.arange(ROWS * 3.0)).reshape(ROWS, 3)
    fit(
        net,
        x,
        x[:, :2] ** 2,
        loss=MeanSquaredError(),
        optimizer=Adam(),
        gradient_descent="batch",
        epochs=3,
        engine=engine,
    )
    return net.parameters.flat


@pytest.mark.parametrize("activation", [Tanh, Sigmoid, ReLU, LeakyReLU])
def test_training_gives_the_same_bits_on_any_number_of_threads(activation, monkeypatch):
    bits = [
        trained(activation, engine, threads)
        for engine in ("python", "compiled")
        for threads in sorted({1, MAX_THREADS})
    ]
    monkeypatch.setattr(elementwise, "ROW_BY_ROW", frozenset())
    bits.append(trained(activation, "compiled", 1))
    for other in bits[1:]:
        np.testing.assert_array_equal(other, bits[0])


@pytest.mark.skipif(MAX_THREADS == 1, reason="nothing is cut for one thread")
def test_large_passes_are_cut_and_small_ones_are_not():
    for rows, cut in ((ROWS, True), (ROWS // 2, False)):
        net = Sequential([Dense(3, 32), Tanh(), Dense(32, 2)])
        plan = net.plan(rows)
        plan.run()
        assert bool(plan._tables) is cut


def test_inference_of_large_passes_reads_and_writes_what_it_is_given():
    net = Sequential([Dense(3, 512), Tanh()], rng=RNG)
    for _ in range(2):
        x = RNG.normal(size=(1024, 3)).astype(np.float32)
        expected = np.tanh(x @ net.parameters["dense_1.weights"])
        np.testing.assert_allclose(net(x), expected, atol=1e-6)
