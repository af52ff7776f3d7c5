"""The contract and the rounding errors on vector units narrower than the machine's.

Numba compiles for a vector unit as a process starts; so each has a process of its own.
"""

import pytest

from tests.kernels.gemm.units import AVX2, SSE2, only_x86

# Files with tests of the kernel `numba`, which are run without those of other kernels.
SCRIPT = """
import sys
import pytest
from fastnn.kernels.runtime.hardware import vector_unit

assert vector_unit().name == {unit!r}
files = [
    "tests/kernels/testing/test_contract.py",
    "tests/kernels/gemm/test_product.py",
    "tests/kernels/gemm/test_error.py",
    "tests/kernels/gemm/test_random_products.py",
]
others = "naive or blocked or numpy"
sys.exit(pytest.main(["-p", "no:cacheprovider", "-q", "-k", f"not ({{others}})", *files]))
"""


@only_x86
@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "unit"), [(AVX2, "AVX2"), (SSE2, "128 bit")], ids=["AVX2", "128-bit"]
)
def test_contract_on_another_unit(run_python, environment, unit):
    run_python(SCRIPT.format(unit=unit), **environment)
