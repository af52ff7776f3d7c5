"""The `numba` kernel's tests again, compiled for narrower vector units than the machine's."""

import pytest

from tests.kernels.units import AVX2, SSE2, only_x86

SCRIPT = """
import sys
import pytest
from kernels.tiling import vector_unit

assert vector_unit().name == {name!r}
arguments = ["-p", "no:cacheprovider", "-q", "-k", {tests!r}]
sys.exit(pytest.main([*arguments, "tests/kernels/test_contract.py", "tests/kernels/test_packed.py"]))
"""


@only_x86
@pytest.mark.long
@pytest.mark.parametrize(
    ("environment", "name"), [(AVX2, "AVX2"), (SSE2, "128 bit")], ids=["AVX2", "SSE2"]
)
@pytest.mark.parametrize(
    "tests",
    ["numba and not numba-naive and not numba-blocked", "test_packed and orders0", "test_packed"],
)
def test_on_another_unit(run_python, environment, name, tests):
    run_python(SCRIPT.format(name=name, tests=tests), **environment)
