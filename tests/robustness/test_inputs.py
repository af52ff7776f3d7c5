"""What is handed over: right, or refused before anything is computed or changed."""

from functools import partial

import numpy as np
import pytest

from fastnn import (
    SGD,
    BinaryCrossEntropy,
    Dense,
    MeanSquaredError,
    ReLU,
    ScaledBytes,
    Sequential,
    SoftmaxCrossEntropy,
    evaluate,
    fit,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 4))
LABELS = np.arange(8) % 3
Z = RNG.normal(size=(8, 3))
LOSSES = {
    "cross-entropy": (SoftmaxCrossEntropy(), LABELS),
    "bce": (BinaryCrossEntropy(), np.eye(3)[LABELS]),
    "mse": (MeanSquaredError(), Z),
}
losses = pytest.mark.parametrize("name", LOSSES)


def network(**options):
    return Sequential([Dense(4, 6), ReLU(), Dense(6, 3)], **options)


# Everything that takes x, and everything that takes y.
USES_OF_X = {
    "net(x)": lambda net, x, y, loss: net(x),
    "predictor": lambda net, x, y, loss: net.predictor()(x),
    "predictor of 8": lambda net, x, y, loss: net.predictor(8)(x),
    "fit": lambda net, x, y, loss: fit(net, x, y, loss=loss, optimizer=SGD(0.1), epochs=1),
    "fit in one batch": lambda net, x, y, loss: fit(
        net, x, y, loss=loss, optimizer="sgd", epochs=1, gradient_descent="batch"
    ),
    "validation": lambda net, x, y, loss: fit(
        net, X, LOSSES[names[type(loss)]][1], loss=loss, optimizer="sgd", validation_data=(x, y)
    ),
    "evaluate": lambda net, x, y, loss: evaluate(net, x, y, loss=loss),
    "objective": lambda net, x, y, loss: net.objective(x, y, loss=loss)(),
}
USES_OF_Y = {
    **{name: use for name, use in USES_OF_X.items() if name[:3] not in ("net", "pre")},
    "loss": lambda net, x, y, loss: loss(Z, y),
    "gradient": lambda net, x, y, loss: loss.gradient(Z, y),
}
names = {type(loss): name for name, (loss, _) in LOSSES.items()}
uses_of_x = pytest.mark.parametrize("use", USES_OF_X.values(), ids=USES_OF_X)
uses_of_y = pytest.mark.parametrize("use", USES_OF_Y.values(), ids=USES_OF_Y)


def refuses(call, message=""):
    """Assert that a call on a network is refused, and leaves the network as it is."""
    net = network()
    net(X)  # from now on, plans for 8 rows are there, and take the short way
    before = net.parameters.flat.copy()
    with pytest.raises(ValueError, match=message):
        call(net)
    np.testing.assert_array_equal(net.parameters.flat, before)


NOT_NUMBERS = {
    "complex": X + 1j,
    "complex, without an imaginary part": X.astype(complex),
    "objects": X.astype(object),
    "text": X.astype(str),
    "bytes": X.astype("S8"),
    "dates": np.zeros((8, 4), "M8[s]"),
    "durations": np.zeros((8, 4), "m8[s]"),
    "records": np.zeros((8, 4), [("a", "f4")]),
    "None": None,
    "rows of different lengths": [[1.0, 2], [1]],
    "a dictionary of 8": dict.fromkeys(range(8)),
    "a string of 8": "12345678",
    "masked": np.ma.masked_array(X, X > 1),
    "masked float32": np.ma.masked_array(X, X > 1).astype(np.float32),
}
SHAPES = {
    "no dimension": np.float64(1),
    "one dimension": X[0],
    "8 numbers": X[:, 0],
    "three dimensions": X[np.newaxis],
    "too few columns": X[:, :3],
    "too many columns": np.hstack([X, X]),
    "no columns": X[:, :0],
    "transposed": X.T,
    "float32, too few columns": X[:, :3].astype(np.float32),
    "bytes, too few columns": ScaledBytes(np.zeros((8, 3), np.uint8)),
}


@uses_of_x
@pytest.mark.parametrize("x", NOT_NUMBERS.values(), ids=NOT_NUMBERS)
def test_x_that_is_not_numbers_is_refused(x, use):
    message = "inhomogeneous" if isinstance(x, list) else "x must be real numbers|x has masked"
    refuses(lambda net: use(net, x, LABELS, SoftmaxCrossEntropy()), message)


@uses_of_x
@pytest.mark.parametrize("x", SHAPES.values(), ids=SHAPES)
def test_x_of_another_shape_is_refused(x, use):
    refuses(lambda net: use(net, x, LABELS, SoftmaxCrossEntropy()), r"x has shape \(.*needed")


@uses_of_x
@pytest.mark.parametrize("rows", [0, 1, 7, 9, 3000])
def test_x_of_another_number_of_rows_is_refused_or_has_as_many_outputs(rows, use):
    x, call = np.zeros((rows, 4)), partial(use, y=LABELS, loss=SoftmaxCrossEntropy())
    if use in (USES_OF_X["net(x)"], USES_OF_X["predictor"]):
        assert call(network(), x).shape == (rows, 3)
    else:
        refuses(lambda net: call(net, x), f"x has {rows} (samples|rows)")


@uses_of_x
def test_x_of_any_dtype_of_real_numbers_is_right(use):
    """Booleans are 0 and 1; integers and other floats are what they are."""
    whole = np.rint(X)
    net = network()
    expected = use(net, whole, LABELS, SoftmaxCrossEntropy())
    dtypes = [np.int8, np.int64, np.float16, np.float32, ">f4", ">f8", np.longdouble]
    for x in [*(whole.astype(dtype) for dtype in dtypes), whole.tolist(), np.ma.array(whole)]:
        assert same(use(network(), x, LABELS, SoftmaxCrossEntropy()), expected)
    yes = X > 0
    expected = use(network(), yes.astype(float), LABELS, SoftmaxCrossEntropy())
    assert same(use(network(), yes, LABELS, SoftmaxCrossEntropy()), expected)


def same(result, expected):
    """Histories are the same whatever time they took."""
    if hasattr(result, "records"):
        return result[0].loss == expected[0].loss
    return all(np.array_equal(*pair) for pair in zip(result, expected, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bytes_as", ["float32", "float64"])
@uses_of_x
def test_bytes_of_another_dtype_are_divided_in_that_of_the_network(use, bytes_as, dtype):
    values = np.arange(0, 256, 8, np.uint8).reshape(8, 4)
    expected = use(
        network(dtype=dtype), values / np.dtype(dtype).type(255), LABELS, SoftmaxCrossEntropy()
    )
    x = ScaledBytes(values, bytes_as)
    assert same(use(network(dtype=dtype), x, LABELS, SoftmaxCrossEntropy()), expected)
    assert not np.array_equal(np.float32(values / 255), values / 255)  # which would be a difference


@pytest.mark.parametrize("dtype", ["int32", "complex64", "float16", "object"])
def test_bytes_as_other_numbers_are_refused(dtype):
    with pytest.raises(ValueError, match="dtype must be float32 or float64"):
        ScaledBytes(np.zeros((2, 2), np.uint8), dtype)


@losses
@uses_of_y
@pytest.mark.parametrize("rows", [0, 1, 2, 7, 9, 16, 3000])
def test_y_of_another_number_of_rows_is_refused(rows, use, name):
    loss, y = LOSSES[name]
    y = np.resize(y, (rows, *y.shape[1:]))
    refuses(lambda net: use(net, X, y, loss), f"{rows}")


@losses
def test_outputs_of_many_rows_and_two_targets_are_refused(name):
    """Which was a segmentation fault, or numbers out of foreign memory."""
    loss, y = LOSSES[name]
    for call in (loss, loss.gradient):
        with pytest.raises(ValueError, match="outputs have 300000 rows, y has 2"):
            call(np.full((300000, 3), -1.0), y[:2])
    if name != "cross-entropy":
        with pytest.raises(ValueError, match="outputs have 2000000 rows, y has 2"):
            loss(np.full((2000000, 1), -1.0), [1.0, 1.0])


@losses
@uses_of_y
@pytest.mark.parametrize("kind", [kind for kind in NOT_NUMBERS if "a " not in kind])
def test_y_that_is_not_numbers_is_refused(kind, use, name):
    loss, y = LOSSES[name]
    if kind == "None":
        bad = None
    elif kind == "rows of different lengths":
        bad = [[1.0, 2], [1]]
    elif kind.startswith("masked"):
        bad = np.ma.masked_array(y, np.arange(y.size).reshape(y.shape) == 1)
    else:
        bad = np.zeros(y.shape, np.asarray(NOT_NUMBERS[kind]).dtype)
    refuses(lambda net: use(net, X, bad, loss), "targets|inhomogeneous")


BAD_LABELS = {
    "too large": (LABELS + 1, "labels lie in 1…3; with 3 outputs, 0…2 are allowed"),
    "negative": (LABELS - 1, "labels lie in -1…1"),
    "far too large": (LABELS.astype(np.uint64) + 2**63, "labels lie in 9223372036854775808…"),
    "wrapping around": (LABELS.astype(np.uint64) + np.uint64(2**64 - 8), "labels lie in 184467"),
    "smallest": (np.full(8, np.iinfo(np.int64).min), "labels lie in -9223372036854775808…"),
    "floats": (LABELS * 1.0, "integer labels"),
    "booleans": (LABELS > 0, "integer labels"),
    "a row": (LABELS[np.newaxis], r"\(1, 8\)"),
    "a column of floats": (LABELS[:, np.newaxis] * 1.0, r"\(8, 1\)"),
    "a column too large": (LABELS[:, np.newaxis] + 1, "labels lie in 1…3"),
    "two columns": (np.eye(3)[LABELS, :2], r"\(8, 2\)"),
    "three dimensions": (np.eye(3)[LABELS][np.newaxis], r"\(1, 8, 3\)"),
    "one": (np.int64(1), r"shape \(\)"),
    "rows of 2": (np.eye(3)[LABELS] * 2, "must sum to 1"),
    "negative shares": (np.tile([-1.0, 1, 1], (8, 1)), "nothing below 0"),
    "NaN": (np.full((8, 3), np.nan), "NaN"),
    "infinity": (np.full((8, 3), np.inf), "infinity"),
}


@uses_of_y
@pytest.mark.parametrize(("y", "message"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_labels_that_are_out_of_range_or_ambiguous_are_refused(y, message, use):
    refuses(lambda net: use(net, X, y, SoftmaxCrossEntropy()), message)


@uses_of_y
def test_labels_of_any_integers_in_a_column_and_one_hot_are_the_same(use):
    expected = use(network(), X, LABELS, SoftmaxCrossEntropy())
    one_hot = np.eye(3)[LABELS]
    columns = LABELS[:, np.newaxis]
    integers = (LABELS.astype(np.uint8), LABELS.astype(">i2"), LABELS.tolist())
    for y in (columns, columns.astype(np.int8), *integers):
        assert same_numbers(use(network(), X, y, SoftmaxCrossEntropy()), expected)
    for y in (one_hot, one_hot.astype(bool), one_hot.astype(int), one_hot.tolist()):
        found = use(network(), X, y, SoftmaxCrossEntropy())
        assert same_numbers(found, expected, rel=1e-5)


def same_numbers(result, expected, rel=0.0):
    if hasattr(result, "records"):
        result, expected = result[0].loss, expected[0].loss
    pairs = (
        [(result, expected)]
        if not isinstance(result, tuple)
        else zip(result, expected, strict=True)
    )
    return all(np.allclose(*pair, rtol=rel, atol=rel) for pair in pairs)


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), MeanSquaredError()], ids=repr)
def test_booleans_as_targets_are_0_and_1(loss):
    yes = np.eye(3)[LABELS] > 0
    assert loss(Z, yes) == loss(Z, yes.astype(float))
    one = Sequential([Dense(4, 1)])
    assert evaluate(one, X, yes[:, 0], loss=loss) == evaluate(one, X, yes[:, :1] * 1.0, loss=loss)


@losses
@pytest.mark.parametrize("kind", [kind for kind in NOT_NUMBERS if "float32" not in kind])
def test_outputs_that_are_not_numbers_are_refused(kind, name):
    loss, y = LOSSES[name]
    for call in (loss, loss.gradient):
        with pytest.raises(ValueError, match=r"outputs|inhomogeneous"):
            call(NOT_NUMBERS[kind], y)


@losses
@pytest.mark.parametrize("outputs", [Z[0], Z[np.newaxis], np.float64(1), Z[:0], Z[:, :0]])
def test_outputs_of_another_shape_are_refused(outputs, name):
    loss, y = LOSSES[name]
    for call in (loss, loss.gradient):
        with pytest.raises(ValueError, match=r"outputs|targets have shape|labels lie"):
            call(outputs, y[: len(np.atleast_1d(outputs))])


@losses
def test_outputs_of_integers_float16_and_any_order_are_right(name):
    loss, y = LOSSES[name]
    whole = np.rint(Z * 4)
    expected, gradient = loss(whole, y), loss.gradient(whole, y)
    for outputs in (
        whole.astype(np.int64),
        whole.astype(np.int8),
        whole.tolist(),
        whole.astype(">f8"),
        np.asfortranarray(whole),
        np.repeat(whole, 2, axis=0)[::2],
    ):
        assert loss(outputs, y) == expected
        np.testing.assert_array_equal(loss.gradient(outputs, y), gradient)
    assert loss(whole.astype(np.float16), y) == expected
    assert loss.gradient(whole.astype(np.float32), y).dtype == np.float32


@losses
def test_a_loss_leaves_outputs_and_targets_as_they_are(name):
    loss, y = LOSSES[name]
    outputs, targets = Z.copy(), y.copy()
    loss(outputs, targets)
    loss.gradient(outputs, targets)
    np.testing.assert_array_equal(outputs, Z)
    np.testing.assert_array_equal(targets, y)


def test_targets_that_share_memory_with_the_outputs_are_right():
    assert MeanSquaredError()(Z, Z) == 0
    assert MeanSquaredError()(Z[:4], Z[4:]) == pytest.approx(((Z[:4] - Z[4:]) ** 2).mean())
