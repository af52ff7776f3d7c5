"""The network without NumPy: the same numbers as the package's, on a bare interpreter."""

import random
import re
import subprocess
import sys

import numpy as np
import pytest

from fastnn import (
    SGD,
    Dense,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    datasets,
    fit,
    scratch,
)

EPOCHS, BATCH_SIZE, LEARNING_RATE = 3, 32, 0.2
SAMPLES = 150  # not a multiple of the batch size: the last batch is smaller
TOLERANCE = 1e-9


def difference_from_package(network):
    """Train `network` and the package's twin of it; return their largest difference."""
    x, y = scratch.load_digits()[0]
    x, y = x[:SAMPLES], y[:SAMPLES]
    twin = Sequential(
        [
            Dense(64, len(network.b1), weights=network.w1, bias=network.b1),
            ReLU(),
            Dense(len(network.b1), 10, weights=network.w2, bias=network.b2),
        ],
        dtype="float64",
        kernel="numpy",
    )
    history = fit(
        twin,
        x,
        y,
        loss=SoftmaxCrossEntropy(),
        optimizer=SGD(LEARNING_RATE),
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        shuffle=False,
    )
    records = list(scratch.train(network, (x, y), EPOCHS, BATCH_SIZE, LEARNING_RATE, None))
    pairs = [
        (records, [(record.loss, record.accuracy) for record in history]),
        (network.w1, twin.parameters["dense_1.weights"]),
        (network.b1, twin.parameters["dense_1.bias"]),
        (network.w2, twin.parameters["dense_2.weights"]),
        (network.b2, twin.parameters["dense_2.bias"]),
    ]
    return max(np.abs(np.array(ours) - theirs).max() for ours, theirs in pairs)


@pytest.fixture
def network():
    network = scratch.Network.glorot(64, 32, 10, random.Random(0))
    network.b1 = [random.Random(1).uniform(-0.1, 0.1) for _ in network.b1]
    return network


def test_scratch_trains_to_the_numbers_of_the_package(network):
    assert difference_from_package(network) <= TOLERANCE


def _without_relu(y, d_y):
    return d_y


def _one_sample_forgotten(a):
    return [sum(column) for column in zip(*a[1:], strict=True)]


def _slightly_off(scores, labels, right=scratch.softmax_cross_entropy):
    loss, d_scores = right(scores, labels)
    return loss, [[slope * (1 + 1e-6) for slope in row] for row in d_scores]


@pytest.mark.parametrize(
    ("function", "wrong"),
    [
        ("relu_backward", _without_relu),
        ("sum_rows", _one_sample_forgotten),
        ("softmax_cross_entropy", _slightly_off),
    ],
)
def test_a_wrong_gradient_is_found(network, monkeypatch, function, wrong):
    monkeypatch.setattr(scratch, function, wrong)
    assert difference_from_package(network) > TOLERANCE


def test_matmul_is_the_matrix_product():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 5)), rng.normal(size=(5, 4))
    np.testing.assert_allclose(scratch.matmul(a.tolist(), b.tolist()), a @ b, rtol=1e-13)


def test_matmul_refuses_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match="a has 2 columns, b has 1 rows"):
        scratch.matmul([[1.0, 2.0]], [[1.0]])


def test_softmax_of_large_scores_does_not_overflow():
    loss, gradient = scratch.softmax_cross_entropy([[1000.0, 0.0]], [1])
    assert loss == 1000
    assert gradient == [[1, -1]]


def test_load_digits_splits_as_the_package_does():
    (x_train, y_train), (x_test, y_test) = scratch.load_digits()
    digits = datasets.load("digits", dtype="float64")
    np.testing.assert_array_equal(x_train, digits.x_train)
    np.testing.assert_array_equal(y_train, digits.y_train)
    np.testing.assert_array_equal(x_test, digits.x_test)
    np.testing.assert_array_equal(y_test, digits.y_test)


def run(*arguments):
    """Run the script as on an interpreter with nothing installed: -S hides site-packages."""
    return subprocess.run(
        [sys.executable, "-I", "-S", scratch.__file__, *arguments],
        env={},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_scratch_learns_the_digits_on_a_bare_interpreter():
    result = run("--epochs", "8")
    assert result.returncode == 0, result.stderr
    *epochs, summary = result.stdout.splitlines()
    assert len(epochs) == 8
    losses = [float(re.search(r"loss (\S+)", line)[1]) for line in epochs]
    assert losses[-1] < losses[0] / 5
    assert float(re.search(r"test accuracy (\S+)", epochs[-1])[1]) >= 0.93
    share = re.fullmatch(r"\S+ s, (\d+)% of it in matrix products, at \S+ GFLOP/s", summary)
    assert 50 < int(share[1]) < 100


def test_the_same_seed_prints_the_same_epoch():
    first, again, other = (run("--epochs", "1", "--seed", seed).stdout for seed in "112")
    assert first.splitlines()[0] == again.splitlines()[0] != other.splitlines()[0]


@pytest.mark.parametrize("arguments", [("--epochs", "0"), ("--learning-rate", "nan")])
def test_scratch_refuses_bad_arguments(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "must be above 0 and finite" in result.stderr
    assert "Traceback" not in result.stderr


def test_scratch_stops_a_diverging_run():
    result = run("--learning-rate", "1e300", "--epochs", "2")
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr.startswith("the loss is nan: try a learning rate below 1e+300")
