"""`net(x)` and `net.predictor`: outputs for any number of rows, in any thread."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastnn import Dense, Dropout, Layer, ReLU, Sequential, Softmax
from fastnn.inference import MAX_ROWS_AT_ONCE, SIZES_KEPT

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2500, 6)).astype(np.float32)
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
def test_outputs_are_the_formula(kernel, rows):
    net = network(kernel=kernel)
    for _ in range(2):  # the second time, the plans are there
        np.testing.assert_allclose(net(X[:rows]), by_hand(net, X[:rows]), rtol=1e-5)
    if rows:
        predictor = net.predictor(rows)
        assert (predictor(X[:rows]) == net(X[:rows])).all()
        net.parameters.flat[:] *= 0.5
        np.testing.assert_allclose(predictor(X[:rows]), by_hand(net, X[:rows]), rtol=1e-5)


@pytest.mark.parametrize("kernel", KERNELS)
def test_inputs_of_every_kind_are_taken_and_none_is_changed(kernel):
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


def test_outputs_are_the_callers_own():
    net = network()
    first = net(X[:5])
    kept = first.copy()
    net(X[5:10])
    assert (first == kept).all()


def test_predictor_refuses_what_does_not_fit():
    predictor = network().predictor(8)
    with pytest.raises(ValueError, match="x has 7 rows; this predictor takes 8"):
        predictor(X[:7])
    with pytest.raises(ValueError, match=r"\(samples, 6\)"):
        predictor(X[:8, :5])
    with pytest.raises(ValueError, match=r"\(samples, 6\)"):
        predictor(X[0])
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        network().predictor(0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_predictor_may_be_called_by_several_threads_at_once(kernel):
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


def test_network_of_large_products_may_be_called_by_several_threads_at_once():
    net = Sequential([Dense(700, 600), ReLU(), Dense(600, 10)])
    x = RNG.normal(size=(1024, 700)).astype(np.float32)
    assert max(c.flops for c in net.plan(1024).calls) > 2**29  # worth several threads
    expected = net(x)
    with ThreadPoolExecutor(4) as pool:
        assert all((y == expected).all() for y in pool.map(net, [x] * 12))


class Counting(Layer):
    """Notes for how many rows it is planned."""

    def __init__(self):
        self.planned = []

    def forward(self, plan, x):
        self.planned.append(len(x))
        return x


def counting_network():
    """Return a network, and for how many rows it makes plans, in order."""
    counting = Counting()
    return Sequential([Dense(6, 3), counting]), counting.planned


def test_predictor_plans_a_number_of_rows_once():
    net, planned = counting_network()
    predictor = net.predictor()
    for rows in (3, 5, 3, 5, MAX_ROWS_AT_ONCE + 5, 3):
        predictor(X[:rows])
    assert planned == [3, 5, MAX_ROWS_AT_ONCE]


def test_predictor_remembers_the_last_few_numbers_of_rows():
    net, planned = counting_network()
    sizes = list(range(1, SIZES_KEPT + 2))  # one more than is kept
    for rows in sizes:
        net(X[:rows])
    assert planned == sizes
    for rows in reversed(sizes[1:]):
        net(X[:rows])
    assert planned == sizes
    net(X[:1])
    assert planned == [*sizes, 1]


@pytest.mark.parametrize(
    ("size", "needed"), [(7, [7]), (1024, [1024]), (1025, [1, 1024]), (2048, [1024])]
)
def test_predictor_plans_its_batch_size_before_it_is_called(size, needed):
    net, planned = counting_network()
    predictor = net.predictor(size)
    assert sorted(planned) == needed
    predictor(X[:size])
    assert sorted(planned) == needed


@pytest.mark.parametrize("samples", [0, 1, 1023, 1024, 1025, 2050])
def test_outputs_of_a_sample_do_not_depend_on_the_others(samples):
    net = network()
    x = np.random.default_rng(1).normal(size=(samples, 6))
    outputs = net(x)
    assert outputs.shape == (samples, 3)
    for i in {0, samples // 2, samples - 1} & set(range(samples)):
        assert (net(x[i : i + 1])[0] == outputs[i]).all()


def test_bytes_in_another_order_leave_compiled_code_as_it_was():
    """Numba would remember the type of such an array as that of another."""
    net = Sequential([Dense(4, 3)])
    x = np.arange(8.0, dtype=np.float32).reshape(2, 4)
    expected = net(x)
    np.testing.assert_array_equal(net(x.astype(">f4")), expected)
    buffer = np.zeros(4 * 6 + 1, np.uint8)[1:]  # at an odd address
    out = buffer.view(np.float32).reshape(2, 3)
    assert not out.flags.aligned
    net.kernel(x, net.parameters["dense_1.weights"], out)
    np.testing.assert_array_equal(out, expected)
