"""What users write themselves: each file beside this one, used in all the ways there are."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn import (
    SGD,
    Adam,
    Dense,
    Loss,
    Sequential,
    TerminateOnNaN,
    evaluate,
    fit,
    load_network,
    op,
    save_network,
)
from fastnn.checkpoint import load_training, save_training
from tests.gradient_check import TOLERANCE, largest_error

HERE = Path(__file__).parent
KERNELS = ["numba", "numpy"]
RNG = np.random.default_rng(1)
X = RNG.normal(size=(200, 6))
Y = np.tanh(X @ RNG.normal(size=(6, 2)))
LABELS = (Y[:, 0] > 0).astype(int)
NAMES = {
    "layer": "low_rank.py:LowRank",
    "activation": "gelu.py:GELU",
    "optimizer": "lion.py:Lion",
    "loss": "huber.py:Huber",
    "kernel": "outer.py:OUTER",
}


def mine(name):
    file, _, thing = NAMES[name].partition(".py:")
    return getattr(importlib.import_module(f"tests.extensions.{file}"), thing)


def network(kernel, dtype="float64"):
    return Sequential(
        [mine("layer")(6, 8, rank=3), mine("activation")(), Dense(8, 2)], kernel=kernel, dtype=dtype
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_is_written_in_under_30_lines(name):
    lines = (HERE / NAMES[name].partition(":")[0]).read_text().splitlines()
    assert len([line for line in lines if line.strip()]) < 30


@pytest.mark.parametrize("kernel", [*KERNELS, "outer"])
def test_gradients_of_a_layer_an_activation_and_a_loss_are_right(kernel):
    net = network(mine("kernel") if kernel == "outer" else kernel)
    assert largest_error(net, mine("loss")(), X[:20], Y[:20]) < TOLERANCE


@pytest.mark.parametrize("kernel", KERNELS)
def test_training_and_inference_agree_with_numpy(kernel):
    net = network(kernel)
    history = fit(net, X, Y, loss=mine("loss")(), optimizer=mine("optimizer")(1e-2), epochs=30)
    assert history[-1].loss < history[0].loss / 2
    p = net.parameters
    hidden = X @ p["lowrank_1.u"] @ p["lowrank_1.v"]
    erf = np.vectorize(__import__("math").erf)
    hidden = hidden * 0.5 * (1 + erf(hidden / 2**0.5))
    expected = hidden @ p["dense_1.weights"] + p["dense_1.bias"]
    np.testing.assert_allclose(net(X), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(net.predictor(7)(X[:7]), expected[:7], rtol=1e-12, atol=1e-12)
    error = np.abs(expected - Y)
    huber = np.where(error < 1, error**2 / 2, error - 0.5).mean()
    assert evaluate(net, X, Y, loss=mine("loss")()).loss == pytest.approx(huber, rel=1e-12)


def test_an_optimizer_does_what_its_formula_says():
    net, optimizer = network("numba"), mine("optimizer")(1e-2)
    w, mean = net.parameters.flat.copy(), 0.0
    for _ in range(3):
        gradient = net.objective(X, Y, loss=mine("loss")())(w)[1].copy()
        w = w - 1e-2 * np.sign(0.9 * mean + 0.1 * gradient)
        mean = 0.99 * mean + 0.01 * gradient
    net = network("numba")
    fit(net, X, Y, loss=mine("loss")(), optimizer=optimizer, epochs=3, gradient_descent="batch")
    np.testing.assert_allclose(net.parameters.flat, w, rtol=1e-12)


def test_both_engines_give_the_same_bits():
    def trained(engine):
        net = network("numba", "float32")
        fit(net, X, Y, loss=mine("loss")(), optimizer=mine("optimizer")(), epochs=3, engine=engine)
        return net.parameters.flat.tobytes()

    assert trained("python") == trained("compiled")


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_checkpoint_brings_back_network_and_training(kernel, tmp_path):
    net, optimizer, seen = network(kernel), mine("optimizer")(1e-2), []
    options = {"loss": mine("loss")(), "batch_size": 32}
    fit(net, X, Y, optimizer=optimizer, epochs=2, callbacks=[seen.append], **options)
    save_training(seen[-1], tmp_path / "training")
    save_network(net, tmp_path / "network")
    custom = [mine("layer"), mine("activation")]
    loaded = load_network(tmp_path / "network", kernel=kernel, custom=custom)
    np.testing.assert_array_equal(loaded(X), net(X))
    fit(net, X, Y, optimizer=optimizer, epochs=3, rng=seen[-1].rng, **options)

    again, another = network(kernel), mine("optimizer")(1e-2)
    rng, history = load_training(tmp_path / "training", again, another)
    fit(again, X, Y, optimizer=another, epochs=5, rng=rng, history=history, **options)
    assert again.parameters.flat.tobytes() == net.parameters.flat.tobytes()


@pytest.mark.parametrize("kernel", KERNELS)
def test_fit_takes_their_names(kernel):
    place = f"{HERE}/"
    nets = []
    for loss, optimizer in (
        (mine("loss")(), mine("optimizer")()),
        (place + NAMES["loss"], place + NAMES["optimizer"]),
    ):
        nets.append(network(kernel))
        fit(nets[-1], X, Y, loss=loss, optimizer=optimizer, epochs=2)
    assert nets[0].parameters.flat.tobytes() == nets[1].parameters.flat.tobytes()
    assert Sequential([Dense(2, 1)], kernel=place + NAMES["kernel"]).kernel.name == "outer"


SCRIPT = """
import math
import numpy as np
from fastnn import Activation, Dense, Loss, Optimizer, Sequential, fit, op

def gelu(x):
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))

def gelu_gradient(x, y, dy):
    return dy * (0.5 * (1 + math.erf(x / math.sqrt(2))) + x * math.exp(-x * x / 2) / 2.507)

class GELU(Activation):
    function, gradient, reads_input = gelu, gelu_gradient, True

@op
def descend(g, rate, w):
    for i in range(w.size):
        w[i] -= rate[0] * g[i]

class Descent(Optimizer):
    def plan_update(self, plan, weights, gradients):
        plan.call(descend, gradients, self.rate, weights)

@op
def absolute(outputs, targets, totals, d_outputs):
    for i in range(outputs.size):
        error = outputs.flat[i] - targets.flat[i]
        totals[0] += abs(error)
        d_outputs.flat[i] = np.sign(error) / outputs.size

class Absolute(Loss):
    op = absolute
    has_accuracy = False

x = np.linspace(-1, 1, 64).reshape(-1, 1)
losses = []
for engine in ("compiled", "python"):
    net = Sequential([Dense(1, 8), GELU(), Dense(8, 1)], rng=0)
    history = fit(net, x, x**2, loss=Absolute(), optimizer=Descent(0.1), epochs=40, engine=engine)
    losses.append(history[-1].loss)

assert losses[0] == losses[1] < history[0].loss, losses
print("trained")
"""


@pytest.mark.parametrize("way", ["script", "-c", "prompt", "notebook"])
def test_code_that_is_main_trains_under_both_engines(way, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    text = None
    if way == "script":
        command = [str(script)]
    elif way == "-c":
        command = ["-c", SCRIPT]
    elif way == "prompt":
        command, text = ["-i", "-q"], SCRIPT.replace("\n\n", "\n\n\n")
    else:
        pytest.importorskip("IPython")
        notebook = tmp_path / "train.ipy"
        notebook.write_text(SCRIPT)
        command = ["-m", "IPython", "--no-banner", "--colors=NoColor", str(notebook)]
    result = subprocess.run(
        [sys.executable, *command],
        input=text,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "trained" in result.stdout, result.stderr


def run(*arguments):
    result = subprocess.run(
        [sys.executable, "-m", "fastnn", *map(str, arguments)],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_command_line_finds_them_by_file(kernel, tmp_path):
    out = tmp_path / "run"
    options = [
        *("--layer", NAMES["layer"], "--activation", NAMES["activation"]),
        *("--optimizer", NAMES["optimizer"], "--learning-rate", "0.01", "--loss", NAMES["loss"]),
    ]
    trained = json.loads(
        run(
            *("train", "--data", "sine", "--hidden", "32,32", "--epochs", "20", "--out", out),
            *("--kernel", kernel, "--json", *options),
        )
    )
    assert trained["history"][-1]["loss"] < trained["history"][0]["loss"] / 3
    allowed = [
        *("--layer", NAMES["layer"], "--activation", NAMES["activation"]),
        *("--loss", NAMES["loss"]),
    ]
    evaluated = json.loads(run("evaluate", out, "--json", *allowed))
    assert evaluated["test_loss"] == trained["test_loss"]


def test_the_command_line_takes_a_kernel_by_file():
    options = ("--hidden", "16", "--epochs", "2", "--json")
    result = json.loads(run("train", "--kernel", NAMES["kernel"], *options))
    assert result["kernel"] == "outer"


def test_a_network_of_known_parts_is_not_disturbed_by_them():
    net = Sequential([Dense(6, 4), mine("activation")(), Dense(4, 2)], kernel="numba")
    first = fit(net, X, LABELS, loss="cross-entropy", optimizer=SGD(0.1), epochs=2)
    assert (
        fit(net, X, LABELS, loss="cross-entropy", optimizer=Adam(), epochs=2)[-1].loss
        < first[0].loss
    )


@op
def diverging(outputs, targets, totals, d_outputs):
    totals[0] += targets.max()
    d_outputs[:, :] = 0


class Diverging(Loss):
    """Infinite from the batch on whose targets are so."""

    op = diverging
    has_accuracy = False

    def targets(self, y, n_outputs, dtype):
        return np.asarray(y, dtype)


def test_terminate_on_nan_names_the_step_under_a_loss_of_ones_own():
    y = Y.copy()
    y[70] = np.inf  # in the third batch
    history = fit(
        Sequential([Dense(6, 2)]),
        *(X, y),
        loss=Diverging(),
        optimizer="sgd",
        shuffle=False,
        callbacks=[TerminateOnNaN()],
    )
    assert "at step 3 of 7" in history.stopped
