"""Bytes that count as floats: `fit` takes the bytes, all others see the floats."""

import tracemalloc

import numpy as np
import pytest

from fastnn import (
    SGD,
    Dense,
    ReLU,
    ScaledBytes,
    Sequential,
    SoftmaxCrossEntropy,
    evaluate,
    fit,
)

RNG = np.random.default_rng(0)
VALUES = RNG.integers(256, size=(150, 12)).astype(np.uint8)
Y = RNG.integers(3, size=150)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scaled_bytes_are_used_like_the_floats(dtype):
    x, floats = ScaledBytes(VALUES, dtype), VALUES / np.dtype(dtype).type(255)
    assert floats.dtype == x.dtype == np.asarray(x).dtype == dtype
    assert (len(x), x.shape, x.ndim, x.size) == (150, (150, 12), 2, 1800)
    np.testing.assert_array_equal(x, floats)
    np.testing.assert_array_equal(x * 255, VALUES)
    np.testing.assert_array_equal(1 - x, 1 - floats)
    np.testing.assert_array_equal(np.maximum(x, 0.5), np.maximum(floats, 0.5))
    assert (x == floats).all()
    assert (x.min(), x.max(), x.mean()) == (floats.min(), floats.max(), floats.mean())
    assert x.std(dtype=np.float64) == floats.std(dtype=np.float64)
    for function in (np.min, np.max, np.mean, np.std, np.transpose):
        np.testing.assert_array_equal(function(x, None), function(floats, None))
    assert np.asarray(x, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="never without"):
        np.asarray(x, copy=False)


@pytest.mark.parametrize("name", ["colour", "T", "astype", "reshape", "flags"])
def test_no_attribute_makes_a_copy_unasked(name):
    with pytest.raises(AttributeError, match=rf"no '{name}'; numpy.asarray\(x\) makes an array"):
        getattr(ScaledBytes(VALUES), name)


def test_rows_of_scaled_bytes_stay_bytes_and_the_rest_are_floats():
    x, floats = ScaledBytes(VALUES), np.asarray(ScaledBytes(VALUES))
    mask = Y == 1
    for rows in (slice(3, 9), slice(None, None, 2), mask, np.array([5, 5, 0]), [7, 1]):
        assert isinstance(x[rows], ScaledBytes)
        assert x[rows].values.flags.c_contiguous
        np.testing.assert_array_equal(x[rows], floats[rows])
    np.testing.assert_array_equal(x[3], floats[3])
    np.testing.assert_array_equal(x[:, 2], floats[:, 2])
    assert x[4, 5] == floats[4, 5]


@pytest.mark.parametrize("values", [VALUES.astype(int), VALUES[0], VALUES.reshape(10, 15, 12)])
def test_scaled_bytes_refuse_other_than_a_matrix_of_bytes(values):
    with pytest.raises(ValueError, match=r"values must be uint8 of shape \(samples, features\)"):
        ScaledBytes(values)


@pytest.mark.parametrize("engine", ["python", "compiled"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("descent", ["batch", "mini-batch"])
def test_fit_on_scaled_bytes_has_the_bits_of_the_floats(engine, dtype, descent):
    def outcome(x):
        net = Sequential([Dense(12, 9), ReLU(), Dense(9, 3)], dtype=dtype)
        history = fit(
            net,
            x,
            Y,
            loss=SoftmaxCrossEntropy(),
            optimizer=SGD(0.1),
            gradient_descent=descent,
            epochs=3,
            validation_data=(x[:40], Y[:40]),
            engine=engine,
        )
        found = evaluate(net, x, Y, loss=SoftmaxCrossEntropy())
        losses = [(record.loss, record.val_loss) for record in history]
        return net.parameters.flat.tobytes(), losses, found, net(x).tobytes()

    x = ScaledBytes(VALUES, dtype)
    assert outcome(x) == outcome(np.asarray(x))


def test_evaluate_divides_bytes_in_its_own_dtype_and_refuses_another_width():
    net = Sequential([Dense(12, 3)], dtype="float64")
    loss = SoftmaxCrossEntropy()
    found = evaluate(net, ScaledBytes(VALUES, "float32"), Y, loss=loss)
    assert found == evaluate(net, VALUES / 255, Y, loss=loss)
    with pytest.raises(ValueError, match=r"\(samples, 12\)"):
        evaluate(net, ScaledBytes(VALUES[:, :5]), Y, loss=loss)


def test_fit_never_makes_floats_of_all_bytes():
    x, y = ScaledBytes(np.tile(VALUES, (100, 4))), np.tile(Y, 100)
    net = Sequential([Dense(48, 3)])
    options = {"loss": SoftmaxCrossEntropy(), "optimizer": SGD(0.1), "batch_size": 64}
    fit(net, x, y, epochs=1, **options)  # compiles
    tracemalloc.start()
    try:
        fit(net, x, y, epochs=1, validation_data=(x, y), **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < x.size * 4 / 2
