"""`net(x)`, `net.compile` and `net.objective`."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastnn import (
    Dense,
    Dropout,
    ReLU,
    Sequential,
    Softmax,
    SoftmaxCrossEntropy,
    evaluate,
    kernels,
)
from tests.gradient_check import loss_and_gradient

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2500, 6)).astype(np.float32)
Y = RNG.integers(3, size=2500)
KERNELS = ["numba", "numba-naive", "numpy"]


def network(**options):
    layers = [Dense(6, 20), ReLU(), Dropout(0.5), Dense(20, 3), Softmax()]
    return Sequential(layers, **options)


def by_hand(net, x):
    w1, b1, w2, b2 = net.parameters.values()
    scores = np.exp(np.maximum(x @ w1 + b1, 0) @ w2 + b2)
    return scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("rows", [0, 1, 7, 1024, 1025, 2500])
def test_outputs_are_the_mathematics(kernel, rows):
    net = network(kernel=kernel)
    for _ in range(2):  # the second time, the plans are there
        np.testing.assert_allclose(net(X[:rows]), by_hand(net, X[:rows]), rtol=1e-5)
    if rows:
        compiled = net.predictor(rows)
        assert (compiled(X[:rows]) == net(X[:rows])).all()
        net.parameters.flat[:] *= 0.5
        np.testing.assert_allclose(compiled(X[:rows]), by_hand(net, X[:rows]), rtol=1e-5)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kind_of_input_is_taken_and_none_is_changed(kernel):
    net = network(kernel=kernel)
    expected = net(X[:8])
    read_only = X[:8].copy()
    read_only.flags.writeable = False
    unaligned = np.frombuffer(b"\0" + X[:8].tobytes(), np.float32, offset=1).reshape(8, 6)
    kinds = [read_only, unaligned, X[:8].astype(float), np.asfortranarray(X[:8]), X[:8].tolist()]
    for x in [*kinds, np.repeat(X[:8], 2, axis=0)[::2]]:
        before = np.array(x)
        assert (net(x) == expected).all()
        assert (net.predictor()(x) == expected).all()
        assert (np.array(x) == before).all()


def test_results_are_the_callers_own():
    net = network()
    first = net(X[:5])
    kept = first.copy()
    net(X[5:10])
    assert (first == kept).all()


def test_what_does_not_fit_is_refused():
    compiled = network().predictor(8)
    with pytest.raises(ValueError, match="x has 7 rows; this was compiled for 8"):
        compiled(X[:7])
    with pytest.raises(ValueError, match=r"\(samples, 6\)"):
        compiled(X[:8, :5])
    with pytest.raises(ValueError, match=r"\(samples, 6\)"):
        compiled(X[0])
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        network().predictor(0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_several_threads_may_call_at_once(kernel):
    net = network(kernel=kernel)
    predictors = [net, net.predictor(), net.predictor(300)]
    pieces = [X[start : start + 300] for start in range(0, 2400, 300)]
    expected = [net(piece) for piece in pieces]

    def check(task):
        piece = task % len(pieces)
        predict = predictors[task % len(predictors)]
        return all((predict(pieces[piece]) == expected[piece]).all() for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(check, range(48)))


def test_several_threads_may_call_large_products_at_once():
    net = Sequential([Dense(700, 600), ReLU(), Dense(600, 10)])
    x = RNG.normal(size=(1024, 700)).astype(np.float32)
    assert max(c.flops for c in net.plan(1024).calls) > 2**29  # worth several threads
    expected = net(x)
    with ThreadPoolExecutor(4) as pool:
        assert all((y == expected).all() for y in pool.map(net, [x] * 12))


def test_few_plans_are_kept():
    predictor = network().predictor()
    for rows in range(1, 30):
        predictor(X[:rows])
    assert len(predictor._idle) <= 8


@pytest.mark.parametrize("kernel", kernels.names())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_objective_is_loss_and_gradient(kernel, dtype):
    net = Sequential([Dense(6, 20), ReLU(), Dense(20, 3)], kernel=kernel, dtype=dtype)
    x, y, loss = X[:50], Y[:50], SoftmaxCrossEntropy()
    objective = net.objective(x, y, loss=loss)
    for _ in range(2):
        value, gradient = objective()
        assert value == evaluate(net, x, y, loss=loss).loss
        found = gradient.copy()
        assert loss_and_gradient(net, loss, x, y) == pytest.approx(value, rel=1e-6)
        np.testing.assert_allclose(found, net.gradients.flat, rtol=1e-5, atol=1e-7)
    parameters = net.parameters.flat * 0.5
    value, _ = objective(parameters)
    assert (net.parameters.flat == parameters).all()
    assert value == evaluate(net, x, y, loss=loss).loss


def test_objective_leaves_dropout_out():
    net = network()
    loss = SoftmaxCrossEntropy()
    value, gradient = net.objective(X[:50], Y[:50], loss=loss)()
    assert value == evaluate(net, X[:50], Y[:50], loss=loss).loss
    plain = Sequential([Dense(6, 20), ReLU(), Dense(20, 3)])
    plain.parameters.flat[:] = net.parameters.flat
    assert (plain.objective(X[:50], Y[:50], loss=loss)()[1] == gradient).all()
