"""Samples on their way into a step: checked, and taken batch by batch."""

import numpy as np
import pytest

from fastnn import MeanSquaredError, ScaledBytes, SoftmaxCrossEntropy
from fastnn.data import (
    GRADIENT_DESCENTS,
    Batches,
    check_data,
    check_inputs,
    resolve_batch_size,
)
from fastnn.engine import Execution
from fastnn.kernels import get
from fastnn.plan import Plan

X = np.random.default_rng(0).normal(size=(10, 4))
Y = np.arange(10) % 3
SIZES = {"loss": SoftmaxCrossEntropy(), "n_in": 4, "n_out": 3, "dtype": np.dtype("float32")}


# Batches


def taken(batches, restart=()):
    """Run through the data once; return the inputs and targets of each batch."""
    batches.restart(*restart)
    found = []
    for size, times in batches.sizes:
        plan = Plan(get("numpy"), batches.x.dtype)
        inputs, targets = batches.plan(plan, size)
        execution = Execution(plan)
        for _ in range(times):
            execution.run()
            found.append((np.array(inputs), targets.copy()))
    return found


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (1, ((1, 10),)),
        (3, ((3, 3), (1, 1))),
        (5, ((5, 2),)),
        (7, ((7, 1), (3, 1))),
        (10, ((10, 1),)),
    ],
)
def test_batches_have_one_size_but_for_a_smaller_last_one(size, sizes):
    batches = Batches(X, Y, size)
    assert batches.sizes == sizes
    assert len(batches) == 10
    found = taken(batches)
    assert [len(x) for x, _ in found] == [size for size, times in sizes for _ in range(times)]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in found]), X)
    np.testing.assert_array_equal(np.concatenate([y for _, y in found]), Y)


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_batches_in_a_drawn_order_take_every_sample_once(size):
    batches = Batches(X, Y, size)
    first, second = (taken(batches, [np.random.default_rng(seed)]) for seed in (1, 2))
    for found, seed in ((first, 1), (second, 2)):
        order = np.random.default_rng(seed).permutation(10)
        np.testing.assert_array_equal(np.concatenate([x for x, _ in found]), X[order])
        np.testing.assert_array_equal(np.concatenate([y for _, y in found]), Y[order])


def test_batches_draw_nothing_for_a_single_batch():
    rng = np.random.default_rng(1)
    ((x, y),) = taken(Batches(X, Y, 10), [rng])
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)
    assert rng.integers(2**62) == np.random.default_rng(1).integers(2**62)


def test_batches_of_all_samples_are_the_data_themselves():
    batches = Batches(X, Y, 10)
    plan = Plan(get("numpy"), "float64")
    inputs, targets = batches.plan(plan, 10)
    assert inputs is X
    assert targets is Y
    assert plan.calls == []


@pytest.mark.parametrize("size", [3, 10])
def test_batches_of_bytes_become_floats(size):
    values = np.random.default_rng(0).integers(256, size=(10, 4)).astype(np.uint8)
    found = taken(Batches(ScaledBytes(values), np.eye(10), size), [np.random.default_rng(1)])
    x, targets = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    order = targets.argmax(axis=1)
    assert sorted(order) == list(range(10))
    np.testing.assert_array_equal(x, (values / np.float32(255))[order])


# Checks


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_check_inputs_gives_contiguous_floats(dtype):
    for x in (X, X.tolist(), np.asfortranarray(X), X.astype(np.float32), X[::-1]):
        checked = check_inputs(x, 4, np.dtype(dtype))
        assert checked.dtype == dtype
        assert checked.flags.c_contiguous
        np.testing.assert_array_equal(checked, np.asarray(x).astype(dtype))


@pytest.mark.parametrize("x", [X[0], X[:, :3], X[np.newaxis], 1.0, []])
def test_check_inputs_refuses_another_shape(x):
    with pytest.raises(ValueError, match=r"x has shape .*; \(samples, 4\) is needed"):
        check_inputs(x, 4, np.dtype("float32"))


def test_check_data_keeps_bytes():
    x = ScaledBytes(np.zeros((10, 4), np.uint8))
    assert check_data(x, Y, **SIZES)[0] is x
    other_dtype = check_data(x, Y, **SIZES | {"dtype": np.dtype("float64")})[0]
    assert other_dtype.dtype == np.float64


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[:5], Y[:4], "x has 5 samples, y has 4"),
        (X[:0], Y[:0], "x has no samples"),
        (X * np.nan, Y, "x holds NaN or infinity"),
        (np.where(X > 0, X, -np.inf), Y, "x holds NaN or infinity"),
        (X, Y + 1, "labels lie in 1…3"),
        (X[:, :3], Y, r"\(samples, 4\) is needed"),
        (ScaledBytes(np.zeros((10, 5), np.uint8)), Y, r"\(samples, 4\) is needed"),
    ],
)
def test_check_data_refuses_what_does_not_fit(x, y, message):
    with pytest.raises(ValueError, match=message):
        check_data(x, y, **SIZES)


def test_check_data_refuses_targets_that_the_loss_does_not_take():
    with pytest.raises(ValueError, match="targets hold NaN"):
        check_data(X, np.full((10, 3), np.nan), **SIZES | {"loss": MeanSquaredError()})


# Gradient descent


@pytest.mark.parametrize(
    ("name", "given", "samples", "size"),
    [
        ("batch", None, 50, 50),
        ("batch", 50, 50, 50),
        ("mini-batch", None, 50, 32),
        ("mini-batch", None, 20, 20),
        ("mini-batch", 20, 50, 20),
        ("mini-batch", 70, 50, 50),
        ("stochastic", None, 50, 1),
        ("stochastic", 1, 50, 1),
    ],
)
def test_resolve_batch_size(name, given, samples, size):
    assert resolve_batch_size(name, given, samples) == size
    assert name in GRADIENT_DESCENTS


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("steepest", None, "unknown gradient descent 'steepest'; there are: batch, mini-batch, st"),
        ("mini-batch", 0, "batch_size must be at least 1, not 0"),
        ("batch", -1, "batch_size must be at least 1, not -1"),
        ("stochastic", 5, "a step from 1 of 50 samples, which contradicts batch_size=5"),
        ("batch", 49, "a step from 50 of 50 samples, which contradicts batch_size=49"),
    ],
)
def test_resolve_batch_size_refuses_what_contradicts_itself(name, given, message):
    with pytest.raises(ValueError, match=message):
        resolve_batch_size(name, given, 50)
