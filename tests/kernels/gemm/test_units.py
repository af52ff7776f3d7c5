"""The `numba` kernel's tests again, compiled for narrower vector units than the machine's."""

import pytest

from tests.kernels.gemm.units import AVX2, SSE2, only_x86

SCRIPT = """
import sys
import pytest
from fastnn.kernels.gemm.blocksizes import vector_unit

assert vector_unit().name == {name!r}
names = ["contract", "packed", "error", "random_products"]
files = [f"tests/kernels/test_{{name}}.py" for name in names]
tests = "(numba and not numba-naive and not numba-blocked) or some_random or {part}"
sys.exit(pytest.main(["-p", "no:cacheprovider", "-q", "-m", "", "-k", tests, *files]))
"""


@only_x86
@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "name"), [(AVX2, "AVX2"), (SSE2, "128 bit")], ids=["AVX2", "SSE2"]
)
@pytest.mark.parametrize("part", ["float32", "float64"])
def test_on_another_unit(run_python, environment, name, part):
    run_python(SCRIPT.format(name=name, part=part), **environment)
