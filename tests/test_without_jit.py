"""`NUMBA_DISABLE_JIT=1`: plain Python trains as compiled code does, but for the kernel `numba`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
KERNELS = ("naive", "blocked", "numba-naive", "numba-blocked", "numpy")
# Prints, for each kernel and optimizer, the losses of training and the network's outputs.
TRAINING = """
import json
import numba
import numpy as np
from fastnn import (
    SGD, Adam, Dense, Dropout, LeakyReLU, ReLU, Sequential, Sigmoid, Softmax, Tanh, evaluate, fit
)

rng = np.random.default_rng(0)
x, y = rng.normal(size=(20, 6)), rng.integers(3, size=20)

def train(kernel, optimizer):
    layers = [
        *(Dense(6, 5), Tanh(), Dropout(0.2), Dense(5, 4), Sigmoid(), Dense(4, 4), ReLU()),
        *(Dense(4, 4), LeakyReLU(), Dense(4, 3), Softmax()),
    ]
    net = Sequential(layers, kernel=kernel, dtype="float64", rng=1)
    history = fit(
        net, x, y, loss="cross-entropy", optimizer=optimizer, batch_size=8, epochs=3,
        validation_data=(x, y), rng=2,
    )
    losses = [value for epoch in history for value in (epoch.loss, epoch.val_loss)]
    return {"losses": losses, "outputs": net(x[:4]).tolist()}

print(json.dumps({"jit": not numba.config.DISABLE_JIT} | {
    f"{kernel} {type(optimizer).__name__}": train(kernel, optimizer)
    for kernel in KERNELS
    for optimizer in (SGD(0.5, momentum=0.9, nesterov=True, clip_norm=1.0), Adam(0.05))
}))
""".replace("KERNELS", repr(KERNELS))


def run(*command, jit):
    return subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=ROOT,
        env=os.environ | {"NUMBA_DISABLE_JIT": "0" if jit else "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def trained():
    """The outcomes of training, by plain Python and by compiled code."""
    found = []
    for jit in (False, True):
        done = run("-c", TRAINING, jit=jit)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
        assert found[-1].pop("jit") is jit
    return found


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_training_without_jit_has_the_losses_of_compiled_code(trained, kernel, optimizer):
    plain, compiled = (outcomes[f"{kernel} {optimizer}"] for outcomes in trained)
    assert plain["losses"][-1] < plain["losses"][0]
    for name in ("losses", "outputs"):
        np.testing.assert_allclose(plain[name], compiled[name], rtol=1e-10)


def test_kernel_numba_without_jit_names_the_compiler_in_one_line():
    script = "from fastnn import Dense, Sequential\nSequential([Dense(2, 2)], kernel='numba')"
    done = run("-c", script, jit=False)
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert last.startswith("ValueError: ")
    assert "numba" in last
    assert "NUMBA_DISABLE_JIT" in last


@pytest.mark.parametrize(
    ("option", "lines"), [("--flush-denormals", 1), ("--no-flush-denormals", 0)]
)
def test_training_without_jit_says_once_that_denormals_stay(option, lines):
    options = ("--data", "sine", "--kernel", "numpy", "--epochs", "2", option)
    done = run("-m", "fastnn", "train", *options, jit=False)
    assert done.returncode == 0
    said = [line for line in done.stderr.splitlines() if "denormal numbers are not flushed" in line]
    assert len(said) == lines


def test_command_line_without_jit_names_the_compiler_in_one_line():
    done = run("-m", "fastnn", "train", "--kernel", "numba", jit=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("fastnn: error: ")
    assert "NUMBA_DISABLE_JIT" in line
