"""Vector units narrower than the machine's: gradients and a training, compiled for each."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernels.gemm.units import AVX2, SSE2, only_x86

ROOT = Path(__file__).parents[1]
UNITS = pytest.mark.parametrize(
    ("environment", "name"), [(AVX2, "AVX2"), (SSE2, "128 bit")], ids=["AVX2", "128-bit"]
)
GRADIENTS = """
import sys
import pytest
from fastnn.kernels.runtime.hardware import vector_unit

assert vector_unit().name == {name!r}
arguments = ["-p", "no:cacheprovider", "-q", "-n0", "-k", "not numpy", "tests/test_gradients.py"]
sys.exit(pytest.main(arguments))
"""
DIGITS = """
from fastnn import Dense, ReLU, Sequential, Softmax, datasets, evaluate, fit
from fastnn.kernels.runtime.hardware import vector_unit

assert vector_unit().name == {name!r}
digits = datasets.load("digits", dtype="{dtype}")
found = []
for kernel in ("numba", "numpy"):
    net = Sequential(
        [Dense(64, 37), ReLU(), Dense(37, 10), Softmax()], kernel=kernel, dtype="{dtype}", rng=0
    )
    fit(net, digits.x_train, digits.y_train, loss="cross-entropy", optimizer="adam", epochs=30)
    found.append(evaluate(net, digits.x_test, digits.y_test, loss="cross-entropy"))
ours, blas = found
assert ours.accuracy > 0.94, found
assert abs(ours.loss - blas.loss) < {tolerance}, found
"""

pytestmark = [pytest.mark.slow, only_x86]


def run(script, environment):
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@UNITS
def test_gradients_on_another_unit(environment, name):
    run(GRADIENTS.format(name=name), environment)


@UNITS
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("float64", 1e-9)])
def test_training_on_digits_on_another_unit(environment, name, dtype, tolerance):
    run(DIGITS.format(name=name, dtype=dtype, tolerance=tolerance), environment)
