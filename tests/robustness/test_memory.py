"""No public function reads or writes outside of the arrays that it is given."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from fastnn import (
    Adam,
    BinaryCrossEntropy,
    Dense,
    Dropout,
    MeanSquaredError,
    ReLU,
    ScaledBytes,
    Sequential,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    evaluate,
    fit,
    kernels,
)
from tests.guarded import guarded

LAST = pytest.mark.parametrize("last", [False, True], ids=["flush left", "flush right"])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
ROWS = [1, 2, 3, 5, 8, 13, 17, 33]
COLUMNS = [1, 2, 3, 7, 8, 9, 16, 17, 31]


@LAST
def test_a_step_outside_ends_the_process(last):
    """What the tests below rely on."""
    code = (
        "import ctypes, numpy as np; from tests.guarded import guarded\n"
        f"a = guarded(np.ones(5), {last}); address = a.ctypes.data + ({40 if last else -8})\n"
        "print(a.sum(), flush=True); ctypes.c_double.from_address(address).value"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout == "5.0\n", run.stderr
    assert run.returncode in (-signal.SIGSEGV, -signal.SIGBUS)


@LAST
@DTYPES
@pytest.mark.parametrize("name", kernels.names())
def test_a_kernel_stays_within_its_operands(name, dtype, last):
    rng, kernel = np.random.default_rng(0), kernels.get(name)
    for m, n, k in [(1, 1, 1), (1, 17, 3), (5, 7, 9), (17, 33, 31), (33, 16, 8)]:
        a = guarded(rng.normal(size=(m, k)).astype(dtype), last)
        b = guarded(rng.normal(size=(k, n)).astype(dtype), last)
        out = guarded(np.full((m, n), np.nan, dtype), last)
        assert kernel(a, b, out) is out
        np.testing.assert_allclose(out, a.astype(float) @ b, rtol=1e-4, atol=1e-5)


def targets_of(loss, rows, n, rng, dtype):
    if isinstance(loss, SoftmaxCrossEntropy):
        labels = rng.integers(0, n, rows)
        return [labels, np.eye(n, dtype=dtype)[labels]]
    return [(rng.random((rows, n)) < 0.5).astype(dtype)]


@LAST
@DTYPES
@pytest.mark.parametrize(
    "loss", [SoftmaxCrossEntropy(), BinaryCrossEntropy(), MeanSquaredError()], ids=repr
)
def test_a_loss_stays_within_outputs_and_targets(loss, dtype, last):
    rng = np.random.default_rng(0)
    for rows, n in [(rows, COLUMNS[i % 9]) for i, rows in enumerate(ROWS * 3)]:
        z = rng.normal(size=(rows, n)).astype(dtype) - 3
        for y in targets_of(loss, rows, n, rng, dtype):
            one, other = guarded(z, last), guarded(y, last)
            options = {"probabilities": False}
            assert loss(one, other, **options) == loss(z, y, **options)
            np.testing.assert_array_equal(
                loss.gradient(one, other, **options), loss.gradient(z, y, **options)
            )
            short = guarded(y[:-1], last)
            with pytest.raises(ValueError, match=f"outputs have {rows} rows, y has {rows - 1}"):
                loss(one, short, **options)
            with pytest.raises(ValueError, match=f"y has {rows - 1}"):
                loss.gradient(one, short, **options)


def network(n_in, n_out, **options):
    layers = [Dense(n_in, 9), ReLU(), Dropout(0.3), Dense(9, 5), Tanh(), Dense(5, n_out)]
    return Sequential(layers, **options)


@LAST
@DTYPES
@pytest.mark.parametrize("kernel", ["numba", "numba-naive", "numpy"])
def test_inference_stays_within_x(kernel, dtype, last):
    rng = np.random.default_rng(0)
    for n_in in COLUMNS:
        layers = [Dense(n_in, 3), Softmax()]
        nets = [network(n_in, 3, kernel=kernel, dtype=dtype)]
        nets += [Sequential(layers, kernel=kernel, dtype=dtype)]
        for net in nets:
            for rows in (1, 2, 7, 16, 33):
                x = rng.normal(size=(rows, n_in)).astype(dtype)
                expected = net(x)
                for predict in (net, net.predictor(rows), net.predictor()):
                    np.testing.assert_array_equal(predict(guarded(x, last)), expected)


@LAST
@DTYPES
@pytest.mark.parametrize("batch_size", [4, 7, None], ids=["batches of 4", "of 7", "of all"])
@pytest.mark.parametrize("as_bytes", [False, True], ids=["floats", "bytes"])
def test_training_evaluation_and_objective_stay_within_x_and_y(as_bytes, batch_size, dtype, last):
    rng = np.random.default_rng(0)
    for n_in in (1, 3, 8, 17):
        values = rng.integers(0, 256, (13, n_in), np.uint8)
        y = rng.integers(0, 3, 13)
        results = []
        for keep in (lambda a: a, lambda a: guarded(a, last)):
            x = keep(values if as_bytes else (values / 255).astype(dtype))
            if as_bytes:
                x = ScaledBytes(x, dtype)
            targets, net, loss = keep(y), network(n_in, 3, dtype=dtype), SoftmaxCrossEntropy()
            options = {"batch_size": batch_size} if batch_size else {"gradient_descent": "batch"}
            history = fit(
                net,
                x,
                targets,
                loss=loss,
                optimizer=Adam(),
                epochs=2,
                validation_data=(x, targets),
                **options,
            )
            objective = net.objective(x, targets, loss=loss)
            out = keep(np.zeros_like(net.parameters.flat))
            value, gradient = objective(keep(net.parameters.flat * 0.5), out=out)
            assert gradient is out
            losses = [(record.loss, record.val_loss) for record in history]
            results.append((losses, evaluate(net, x, targets, loss=loss), value, gradient))
        assert results[0][:3] == results[1][:3]
        np.testing.assert_array_equal(results[0][3], results[1][3])


@pytest.mark.parametrize("label", [-1, 3, 10**9, -(2**63)])
def test_a_label_out_of_range_is_refused_where_it_would_lead_outside(label):
    z = guarded(np.zeros((3, 3)) - [0, 1, 2], last=True)
    y = guarded(np.array([0, 1, label]), last=True)
    for call in (SoftmaxCrossEntropy(), SoftmaxCrossEntropy().gradient):
        with pytest.raises(ValueError, match="labels lie in"):
            call(z, y)
    np.testing.assert_array_equal(z, np.zeros((3, 3)) - [0, 1, 2])


@pytest.mark.parametrize(
    "out",
    [
        pytest.param(lambda net: np.zeros(10, "float32"), id="another dtype"),
        pytest.param(lambda net: np.zeros(10, int), id="integers"),
        pytest.param(lambda net: [0.0] * 10, id="a list"),
        pytest.param(lambda net: np.zeros(9), id="too short"),
        pytest.param(lambda net: np.zeros(11), id="too long"),
        pytest.param(lambda net: np.zeros((2, 5)), id="two dimensions"),
        pytest.param(lambda net: np.broadcast_to(0.0, 10), id="read-only"),
        pytest.param(lambda net: net.parameters.flat, id="the parameters"),
        pytest.param(lambda net: net.parameters.flat[::-1], id="the parameters, reversed"),
    ],
)
def test_out_of_an_objective_that_does_not_fit_or_overlaps_is_refused(out):
    net = Sequential([Dense(4, 2)], dtype="float64")
    rng = np.random.default_rng(0)
    loss = MeanSquaredError()
    objective = net.objective(rng.normal(size=(6, 4)), rng.normal(size=(6, 2)), loss=loss)
    before = net.parameters.flat.copy()
    with pytest.raises(ValueError, match="out "):
        objective(np.ones(10), out=out(net))
    np.testing.assert_array_equal(net.parameters.flat, before)
    assert np.isfinite(objective(before, out=np.zeros(20)[::2])[1]).all()


@pytest.mark.parametrize(
    "parameters",
    [1j * np.ones(10), ["1"] * 10, [None] * 10, np.ma.masked_array(np.ones(10), np.eye(10)[0])],
)
def test_parameters_of_an_objective_are_real_numbers(parameters):
    net = Sequential([Dense(4, 2)], dtype="float64")
    objective = net.objective(np.ones((6, 4)), np.ones((6, 2)), loss=MeanSquaredError())
    before = net.parameters.flat.copy()
    with pytest.raises(ValueError, match=r"parameters (must be real|has masked)"):
        objective(parameters)
    np.testing.assert_array_equal(net.parameters.flat, before)


def test_an_objective_returns_gradients_that_stay_as_they_are():
    net = Sequential([Dense(4, 2)], dtype="float64")
    rng = np.random.default_rng(0)
    loss = MeanSquaredError()
    objective = net.objective(rng.normal(size=(6, 4)), rng.normal(size=(6, 2)), loss=loss)
    value, gradient = objective()
    kept = gradient.copy()
    start = net.parameters.flat.copy()
    other_value, other = objective(start + 1)
    assert not np.array_equal(other, kept)
    np.testing.assert_array_equal(gradient, kept)
    assert not np.shares_memory(gradient, net.gradients.flat)
    gradient.fill(np.nan)
    assert objective(start + 1)[0] == other_value
    assert objective(start)[0] == value
    np.testing.assert_array_equal(net.gradients.flat, kept)
