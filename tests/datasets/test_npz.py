"""Files of arrays, ``.npz``: layouts, tasks, and what is refused."""

import io
import zipfile

import numpy as np
import pytest

from fastnn import datasets
from fastnn.datasets import DataError

X = np.arange(60, dtype=np.float32).reshape(20, 3)
LABELS = np.arange(20) % 4


class Bomb:
    """What would end the test run if it were unpickled."""

    def __reduce__(self):
        return exit, (99,)


@pytest.fixture
def save(tmp_path):
    def save_arrays(**arrays):
        path = tmp_path / "own.npz"
        np.savez(path, **arrays)
        return path

    return save_arrays


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_with_a_test_set_stay_as_they_are(save, dtype):
    path = save(x_train=X, y_train=LABELS, x_test=X[:8] + 1, y_test=LABELS[:8])
    data = datasets.load(path, dtype=dtype)
    assert data.name == str(path)
    assert data.classes == ("0", "1", "2", "3")
    np.testing.assert_array_equal(data.x_train, X.astype(dtype), strict=True)
    np.testing.assert_array_equal(data.x_test, (X[:8] + 1).astype(dtype), strict=True)
    np.testing.assert_array_equal(data.y_train, LABELS, strict=True)
    np.testing.assert_array_equal(data.y_test, LABELS[:8], strict=True)


@pytest.mark.parametrize("names", [("x", "y"), ("x_train", "y_train")])
def test_a_fifth_of_each_class_becomes_the_test_set(save, names):
    path = save(**dict(zip(names, (X, LABELS), strict=True)))
    data = datasets.load(path, rng=1)
    assert np.bincount(data.y_test).tolist() == [1, 1, 1, 1]
    assert np.bincount(data.y_train).tolist() == [4, 4, 4, 4]
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        row = x[:, 0].astype(int) // 3
        np.testing.assert_array_equal(x, X[row])
        np.testing.assert_array_equal(y, LABELS[row])
        assert (np.diff(row) > 0).all()
    assert data.fingerprint == datasets.load(path, rng=1).fingerprint
    assert data.fingerprint != datasets.load(path, rng=2).fingerprint


@pytest.mark.parametrize("targets", [X[:, 0] / 7, X[:, :1] / 7, X[:, :2] / 7])
def test_floats_are_regression_targets(save, targets):
    data = datasets.load(save(x=X, y=targets), dtype="float64")
    assert data.task == "regression"
    assert (len(data.x_train), len(data.x_test)) == (16, 4)
    both = np.concatenate([data.y_train, data.y_test])
    assert both.dtype == np.float64
    np.testing.assert_array_equal(np.sort(both, axis=0), targets.astype(np.float64).reshape(20, -1))


@pytest.mark.parametrize("shape", [(20,), (20, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_integers_are_labels(save, shape, dtype):
    data = datasets.load(save(x=X, y=LABELS.astype(dtype).reshape(shape)))
    assert data.task == "classification"
    assert data.y_train.shape == (16,)
    assert data.y_train.dtype == np.int64


def test_text_is_class_names_in_sorted_order(save):
    path = save(x_train=X, y_train=np.array(["b", "a"] * 10), x_test=X[:1], y_test=np.array(["a"]))
    data = datasets.load(path)
    assert data.classes == ("a", "b")
    assert data.y_train.tolist() == [1, 0] * 10
    assert data.y_test.tolist() == [0]


def test_booleans_are_labels(save):
    data = datasets.load(save(x=X, y=X[:, 0] > 20))
    assert data.classes == ("False", "True")


def test_images_are_flattened_and_bytes_scaled(save):
    images = np.arange(20 * 12, dtype=np.uint8).reshape(20, 3, 4)
    data = datasets.load(save(x_train=images, y_train=LABELS, x_test=images, y_test=LABELS))
    np.testing.assert_array_equal(data.x_train, images.reshape(20, 12) / np.float32(255))
    assert data.x_train.dtype == np.float32


def test_integers_other_than_bytes_are_not_scaled(save):
    data = datasets.load(save(x_train=X.astype(int), y_train=LABELS, x_test=X, y_test=LABELS))
    np.testing.assert_array_equal(data.x_train, X, strict=True)


def test_fortran_order_becomes_c_order(save):
    data = datasets.load(
        save(x_train=np.asfortranarray(X), y_train=LABELS, x_test=X, y_test=LABELS)
    )
    np.testing.assert_array_equal(data.x_train, X, strict=True)
    assert data.x_train.flags.c_contiguous


@pytest.mark.parametrize("name", ["x", "y"])
def test_pickled_objects_are_never_loaded(save, name):
    arrays = {"x": X, "y": LABELS} | {name: np.array([Bomb()] * 20, object)}
    with pytest.raises(DataError, match=rf"own.npz: {name} holds pickled objects, .* never loaded"):
        datasets.load(save(**arrays))


def spoiled(array, value):
    array = array.copy()
    array[7, 1] = value
    return array


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": spoiled(X, np.nan)}, r"x\[7, 1\] is nan; every value must be finite"),
        ({"x": spoiled(X.astype(float), 1e300)}, r"x\[7, 1\] is inf; .* finite in float32"),
        ({"y": spoiled(X, np.inf)}, r"y_(train|test)\[\d+, 1\] is inf"),
        ({"x": X[:19]}, "x has 19 samples, .*y has 20; the counts must be equal"),
        ({"x": X.ravel()}, r"x has shape \(60,\); \(n, features\) is needed"),
        ({"x": X[:0], "y": LABELS[:0]}, r"x has shape \(0, 3\); .* at least 1"),
        ({"x": X[:, :0]}, r"x has shape \(20, 0\)"),
        ({"x": np.float32(3)}, "x is a single value"),
        ({"x": X.astype(complex)}, "x has type complex64|x has type complex128"),
        ({"x": X.astype(str)}, "x has type <U32; numbers are needed"),
        ({"y": LABELS - 1}, r"y has the integers -1, 0, 1 …; integers are labels, 0, 1, …"),
        ({"y": LABELS * 2}, "y has the integers 0, 2, 4 …; .* without a gap .*regression"),
        ({"y": LABELS * 0}, "y_train has 1 class; classification needs at least 2"),
        ({"y": np.eye(20, 4, dtype=int)}, r"y has shape \(20, 4\); labels are allowed as \(n,\)"),
        ({"y": LABELS.astype(complex)}, "y has type complex128; integer labels, text or floats"),
        ({"y": LABELS.astype("S1")}, r"y has type \|S1"),
        ({"y": X[:, :, None]}, r"y has type float32"),
        ({"z": X}, "holds x, y, z; allowed are x_test, x_train, y_test, y_train; or .*x, y"),
    ],
)
def test_unusable_arrays_are_refused(save, changes, message):
    path = save(**({"x": X, "y": LABELS} | changes))
    with pytest.raises(DataError, match=message) as error:
        datasets.load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": X[:, :2]}, r"x_test \(20, 2\).* differ .* x_train \(20, 3\)"),
        ({"x_test": X[:5]}, "x_test has 5 samples, .*y_test has 20"),
        ({"x_test": spoiled(X, -np.inf)}, r"x_test\[7, 1\] is -inf"),
        ({"y_test": LABELS / 2}, "y_train is int64 .*, y_test is float64 .* agree"),
        ({"y_test": LABELS[:, None]}, r"y_train is int64 \(20,\), y_test is int64 \(20, 1\)"),
        ({"y_test": LABELS + 2}, "y_test has class '4'; those of y_train are allowed"),
        ({"y_test": LABELS + 5}, "y_train with y_test has the integers 0, 1, 2 …; .* gap"),
        ({"x_test": X[:0], "y_test": LABELS[:0]}, r"x_test has shape \(0, 3\)"),
    ],
)
def test_a_test_set_that_does_not_fit_is_refused(save, changes, message):
    arrays = {"x_train": X, "y_train": LABELS, "x_test": X, "y_test": LABELS}
    with pytest.raises(DataError, match=message):
        datasets.load(save(**(arrays | changes)))


@pytest.mark.parametrize("arrays", [{}, {"x": X}, {"x_train": X, "y": LABELS}])
def test_other_array_names_are_refused(save, arrays):
    with pytest.raises(DataError, match=r"holds .*; allowed are"):
        datasets.load(save(**arrays))


def test_one_sample_cannot_be_split(save):
    with pytest.raises(DataError, match="x_test is empty"):
        datasets.load(save(x=X[:1], y=X[:1]))


@pytest.mark.parametrize("kept", [0, 10, 100, -1])
def test_truncated_file_is_refused(save, kept):
    path = save(x=X, y=LABELS)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"own.npz: truncated, or not an npz file"):
        datasets.load(path)


def test_damaged_file_is_refused(save):
    path = save(x=X, y=LABELS)
    content = bytearray(path.read_bytes())
    content[content.index(X.tobytes()) + 3] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"own.npz: truncated or damaged npz file"):
        datasets.load(path)


def test_an_npy_file_is_refused(tmp_path):
    path = tmp_path / "own.npz"
    with path.open("wb") as file:
        np.save(file, X)
    with pytest.raises(DataError, match=r"not an npz file; a file made by numpy.savez is needed"):
        datasets.load(path)


def header_only(shape):
    buffer = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"just text", "x is not an array in NumPy's format"),
        (header_only((20, 3)), "x is damaged"),
        (header_only((1 << 40, 1 << 20)), "x is damaged"),
        (b"\x93NUMPY\x01\x00\x10\x00nonsense here  \n", "x is damaged"),
    ],
)
def test_a_zip_of_other_content_is_refused(save, content, message):
    path = save(y=LABELS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(DataError, match=message) as error:
        datasets.load(path)
    assert "\n" not in str(error.value)
