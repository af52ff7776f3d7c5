"""`Dataset`: what it refuses, and its properties."""

import numpy as np
import pytest

from fastnn.datasets import DataError, Dataset


def arrays(**changes):
    good = {
        "x_train": np.arange(12, dtype=np.float32).reshape(4, 3),
        "y_train": np.array([0, 1, 0, 1]),
        "x_test": np.ones((2, 3), np.float32),
        "y_test": np.array([1, 0]),
        "classes": ("no", "yes"),
    }
    return good | changes


def make(**changes):
    return Dataset(name="mine", source="a test", **arrays(**changes))


def regression(**changes):
    targets = {
        "y_train": np.ones((4, 2), np.float32),
        "y_test": np.ones((2, 2), np.float32),
        "classes": None,
    }
    return make(**(targets | changes))


def test_classification_properties():
    data = make()
    assert (data.task, data.n_features, data.n_outputs) == ("classification", 3, 2)
    assert data.description == (
        "classification, 4 training and 2 test samples, 3 features, 2 classes"
    )


def test_regression_properties():
    data = regression()
    assert (data.task, data.n_features, data.n_outputs) == ("regression", 3, 2)
    assert data.description.endswith("3 features, 2 outputs")


def with_value(array, value):
    array = array.copy()
    array.flat[-1] = value
    return array


@pytest.mark.parametrize("part", ["x_train", "x_test"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_input_that_is_not_finite_is_refused(part, value):
    spoiled = with_value(arrays()[part], value)
    row = len(spoiled) - 1
    with pytest.raises(DataError, match=rf"^mine: {part}\[{row}, 2\] is {value}; .* finite"):
        make(**{part: spoiled})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_target_that_is_not_finite_is_refused(value):
    with pytest.raises(DataError, match=rf"^mine: y_test\[1, 1\] is {value}"):
        regression(y_test=with_value(np.ones((2, 2), np.float32), value))


@pytest.mark.parametrize("label", [-1, 2, 255])
def test_label_out_of_range_is_refused(label):
    with pytest.raises(DataError, match=rf"^mine: y_train\[3\] is label {label}; 0 to 1 are"):
        make(y_train=np.array([0, 1, 0, label]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": np.array([0, 1, 0])}, "x_train has 4 samples, mine: y_train has 3; .* equal"),
        ({"x_test": np.ones((3, 3), np.float32)}, "x_test has 3 samples, mine: y_test has 2"),
        ({"x_test": np.ones((2, 4), np.float32)}, r"x_test \(2, 4\).* differ .*x_train \(4, 3\)"),
        ({"x_train": np.ones((0, 3), np.float32)}, r"x_train is empty, shape \(0, 3\)"),
        ({"x_test": np.ones((2, 0), np.float32)}, r"x_test is empty, shape \(2, 0\)"),
        ({"y_test": np.array([], np.int64)}, r"y_test is empty"),
        ({"y_test": np.array([1, 0], np.int32)}, r"y_test must be labels, int64 \(n,\), not int32"),
        ({"y_test": np.array([[1], [0]])}, r"y_test must be labels.*\(2, 1\)"),
        ({"x_train": np.ones((4, 3), int)}, "x_train must be .* float32 or float64, not int64"),
        ({"x_train": np.ones(4)}, r"x_train must be a 2-D array .*\(4,\)"),
        ({"x_train": np.ones((3, 4), np.float32).T}, "x_train must be C-contiguous"),
        ({"classes": ("only",)}, "y_train has 1 class; classification needs at least 2"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(DataError, match=message) as error:
        make(**changes)
    assert "\n" not in str(error.value)


def test_targets_of_another_width_are_refused():
    with pytest.raises(DataError, match=r"y_test \(2, 1\) differ"):
        regression(y_test=np.ones((2, 1), np.float32))


@pytest.mark.parametrize("part", ["x_train", "y_train", "x_test", "y_test"])
def test_fingerprint_sees_every_array(part):
    values = arrays()[part]
    changed = values.copy()
    changed[[0, -1]] = values[[-1, 0]] if part != "x_test" else 2
    assert make(**{part: changed}).fingerprint != make().fingerprint


def test_fingerprint_sees_shape_and_dtype():
    x = np.zeros((4, 4), np.float32)
    fingerprints = {
        make(x_train=train, x_test=test).fingerprint
        for train, test in (
            (x, x[:2]),
            (x[:, :2].copy(), x[:2, :2].copy()),
            (x[:, :2].astype(np.float64), x[:2, :2].astype(np.float64)),
        )
    }
    assert len(fingerprints) == 3


def test_fingerprint_is_reproducible():
    assert make().fingerprint == make().fingerprint
    assert len(make().fingerprint) == 64
