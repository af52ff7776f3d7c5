"""The kernel `numba` on vector units narrower than the machine's: its contract, its errors.

Numba compiles for a vector unit as a process starts; so each has processes of its own.
"""

import pytest

from tests.kernels.gemm.units import AVX2, SSE2, only_x86

# Runs the tests in a file, but for those of other kernels.
SCRIPT = """
import sys
import pytest
from fastnn.kernels.runtime.hardware import vector_unit

assert vector_unit().name == {unit!r}
others = "naive or blocked or numpy"
file = "tests/kernels/{file}.py"
sys.exit(pytest.main(["-p", "no:cacheprovider", "-q", "-n0", "-k", f"not ({{others}})", file]))
"""
FILES = [
    "testing/test_contract",
    "gemm/test_product",
    "gemm/test_error",
    "gemm/test_random_products",
]


@only_x86
@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    ("environment", "unit"), [(AVX2, "AVX2"), (SSE2, "128 bit")], ids=["AVX2", "128-bit"]
)
def test_numba_on_another_unit(run_python, environment, unit, file):
    run_python(SCRIPT.format(unit=unit, file=file), **environment)
