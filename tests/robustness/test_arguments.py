"""Arguments besides the samples: right, or refused before anything is computed or changed."""

import numpy as np
import pytest

from fastnn import (
    SGD,
    Dense,
    Plan,
    ReLU,
    Sequential,
    fit,
    kernels,
    profile,
)
from fastnn.kernels.arrays import check_numbers

X = np.random.default_rng(0).normal(size=(8, 4))
LABELS = np.arange(8) % 3


def network():
    return Sequential([Dense(4, 6), ReLU(), Dense(6, 3)])


NOT_NUMBERS = {
    "complex": X + 1j,
    "objects": X.astype(object),
    "text": X.astype(str),
    "dates": np.zeros((8, 4), "M8[s]"),
    "records": np.zeros((8, 4), [("a", "f4")]),
    "integers": X.astype(int),
    "booleans": X > 0,
    "halves": X.astype(np.float16),
    "of another byte order": X.astype(">f8"),
    "None": None,
    "a list": X.tolist(),
    "masked": np.ma.masked_array(X, X > 1),
    "masked nowhere": np.ma.masked_array(X),
}


@pytest.mark.parametrize("name", kernels.names())
@pytest.mark.parametrize("kind", NOT_NUMBERS)
def test_a_kernel_refuses_what_is_not_an_array_of_floats(kind, name):
    kernel, b = kernels.get(name), np.ones((4, 3))
    with pytest.raises(TypeError):
        kernel(NOT_NUMBERS[kind], b)
    with pytest.raises(TypeError):
        kernel(X, b, out=[] if kind == "None" else NOT_NUMBERS[kind])


@pytest.mark.parametrize("name", kernels.names())
def test_a_kernel_refuses_what_does_not_fit_or_overlaps(name):
    kernel, memory = kernels.get(name), np.zeros((20, 4))
    square = np.ones((4, 4))
    for a, b, out in (
        (X, np.ones((5, 3)), None),
        (X, np.ones(4), None),
        (X, np.ones((4, 3)), np.zeros((8, 4))),
        (X, np.ones((4, 3)), np.zeros((7, 3))),
        (memory[:8], square, memory[:8]),
        (memory[:8], square, memory[7:15]),
        (memory[:8], memory[10:14], memory[12:20]),
        (X, np.ones((4, 3)), np.broadcast_to(np.zeros(3), (8, 3))),
    ):
        with pytest.raises(ValueError, match=r"fit|dimensions|shape|shares memory|read-only"):
            kernel(a, b, out)
    assert not memory.any()
    assert kernel(X[:0], square).shape == (0, 4)
    np.testing.assert_array_equal(kernel(X[:, :0], square[:0]), np.zeros((8, 4)))


NOT_WHOLE = [2.5, 16.0, "16", True, np.nan, None, [8], 8j]


@pytest.mark.parametrize("value", [0, -1, *NOT_WHOLE], ids=repr)
def test_numbers_of_samples_and_epochs_are_whole(value):
    net = network()
    calls = {
        "epochs": lambda: fit(net, X, LABELS, loss="cross-entropy", optimizer="sgd", epochs=value),
        "batch_size": lambda: net.plan(value),
    }
    if value is not None:
        calls |= {
            "batch_size of a predictor": lambda: net.predictor(value),
            "batch_size of fit": lambda: fit(
                net, X, LABELS, loss="cross-entropy", optimizer="sgd", batch_size=value
            ),
        }
    for name, call in calls.items():
        message = "at least 1, not" if value in (0, -1) else "must be a whole number of at least 1"
        with pytest.raises(ValueError, match=f"{name.split()[0]} must be .*{message}|{message}"):
            call()


@pytest.mark.parametrize("callback", [5, "a", None, type(print)], ids=repr)
def test_what_is_not_a_callback_is_refused(callback):
    net = network()
    with pytest.raises(TypeError, match="a callback is called or has one of"):
        fit(net, X, LABELS, loss="cross-entropy", optimizer="sgd", callbacks=[callback])


def test_weights_that_are_not_numbers_are_refused():
    for weights in (np.ones((4, 2), complex), np.ones((4, 2), str), [[None, 1]] * 4):
        with pytest.raises(ValueError, match="weights must be real numbers"):
            Sequential([Dense(4, 2, weights=weights)])


def test_training_on_the_networks_own_weights_takes_a_copy():
    """They are the weights before the training, to the last step."""

    def losses(copy):
        net = Sequential([Dense(4, 4), ReLU(), Dense(4, 3)])
        x = net.layers[0].weights
        x = x.copy() if copy else x
        options = {"gradient_descent": "batch", "epochs": 5, "optimizer": SGD(0.5)}
        return [epoch.loss for epoch in fit(net, x, [0, 1, 2, 0], loss="cross-entropy", **options)]

    assert losses(copy=False) == losses(copy=True)


def test_the_update_of_a_vector_by_a_shorter_one_is_refused():
    with pytest.raises(ValueError, match=r"shape \(5,\) and gradients of shape \(4,\)"):
        SGD().plan(Plan(kernels.get("numpy"), "float64"), np.zeros(5), np.zeros(4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, z: p.matmul(z(3, 4), z(5, 2), z(3, 2)), r"\(3, 4\), \(5, 2\), \(3, 2\)"),
        (lambda p, z: p.matmul(z(3, 4), z(4, 2), z(3, 3)), "matmul"),
        (lambda p, z: p.matmul(z(3, 4), z(4, 2), z(2, 3)), "do not fit"),
        (lambda p, z: p.matmul(*[z(4, 4)] * 3), "in place"),
        (lambda p, z: p.add_bias(z(4), z(3, 5)), "add_bias"),
        (lambda p, z: p.add_bias(z(6), z(3, 5)), "do not fit"),
        (lambda p, z: p.sum_rows(z(3, 5), z(4)), "sum_rows"),
        (lambda p, z: p.activate_gradient("relu_gradient", z(3, 5), z(3, 4)), "relu_gradient"),
        (
            lambda p, z: p.activate_gradient("relu_gradient", z(2, 5), z(3, 5)),
            r"\(2, 5\), \(3, 5\)",
        ),
    ],
)
def test_what_a_layer_writes_down_has_shapes_that_fit(call, message):
    plan = Plan(kernels.get("numpy"), "float64")
    with pytest.raises(ValueError, match=message):
        call(plan, plan.zeros)
    assert not plan.calls


def test_a_profile_takes_a_plan_of_any_size_and_computes_with_its_own_arrays():
    net = network()
    before = net.parameters.flat.copy()
    for rows in (1, 7, 8):
        found = profile(net.plan(rows, optimizer=SGD(lambda step: 0.0)), 0.001)
        assert len(found.calls) == len(net.plan(rows).calls)
    np.testing.assert_array_equal(net.parameters.flat, before)
    with pytest.raises((TypeError, AttributeError)):
        profile(net)


def test_numbers_are_checked_by_what_they_are():
    assert check_numbers("a", [True, False]).dtype == bool
    assert check_numbers("a", np.ma.array([1.0, 2])).tolist() == [1, 2]
    with pytest.raises(ValueError, match="a has masked numbers; fill them in first"):
        check_numbers("a", np.ma.array([1.0, 2], mask=[False, True]))
    with pytest.raises(ValueError, match="a must be real numbers, not complex128"):
        check_numbers("a", 1j)
