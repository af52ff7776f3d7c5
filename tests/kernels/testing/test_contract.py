"""The contract on the whole ladder; `test_contract_catches` shows that it can fail."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn import kernels
from fastnn.kernels.interface import DTYPES
from fastnn.kernels.runtime.abi import entry_point
from fastnn.kernels.runtime.program import Program
from fastnn.kernels.testing import contract

OWN = [name for name in kernels.LADDER if name != "numpy"]
COMPILED = ["numba-naive", "numba-blocked", "numba"]


def in_a_program(name):
    """Return a kernel whose products are those of a compiled program that runs it."""
    kernel = kernels.get(name)

    def compute(a, b, out):
        op, arguments = kernel.prepare(a, b, out)
        Program([(entry_point(op, arguments, strided=True), arguments)]).run()

    return replace(kernel, compute=compute)


@pytest.mark.parametrize("check", contract.CONTRACT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", kernels.LADDER)
def test_contract(name, check):
    check(kernels.get(name))


@pytest.mark.parametrize("check", contract.REPRODUCIBLE, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", OWN)
def test_reproducible(name, check):
    check(kernels.get(name))


@pytest.mark.parametrize(
    "check", [*contract.CONTRACT, *contract.REPRODUCIBLE], ids=lambda check: check.__name__
)
@pytest.mark.parametrize("name", COMPILED)
def test_contract_in_a_compiled_program(name, check):
    check(in_a_program(name))


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 1), (64, 784, 10), (37, 65, 129), (256, 300, 512)])
def test_compiled_program_gets_the_bits_of_compute(name, dtype, shape):
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    assert (in_a_program(name)(a, b) == kernels.get(name)(a, b)).all()


def test_prepare_is_defined_for_compiled_kernels():
    assert [name for name in kernels.LADDER if kernels.get(name).prepare] == COMPILED


@pytest.mark.parametrize("name", kernels.LADDER)
@settings(deadline=None, max_examples=80)
@given(
    shape=st.tuples(*[st.integers(1, 48)] * 3),
    dtype=st.sampled_from(DTYPES),
    a_layout=st.sampled_from(sorted(contract.OPERAND_LAYOUTS)),
    b_layout=st.sampled_from(sorted(contract.OPERAND_LAYOUTS)),
    out_layout=st.sampled_from(sorted(contract.LAYOUTS)),
    scales=st.tuples(*[st.integers(-4, 4)] * 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_contract_in_any_shape_and_layout(
    name, shape, dtype, a_layout, b_layout, out_layout, scales, seed
):
    m, k, n = shape
    rng = np.random.default_rng(seed)
    # Rows and columns of very different magnitude: a bound on each element sees what a norm hides.
    a = rng.standard_normal((m, k)) * 10.0 ** (scales[0] * rng.random((m, 1)))
    b = rng.standard_normal((k, n)) * 10.0 ** (scales[1] * rng.random((1, n)))
    contract.check_product(
        kernels.get(name),
        contract.OPERAND_LAYOUTS[a_layout](a.astype(dtype)),
        contract.OPERAND_LAYOUTS[b_layout](b.astype(dtype)),
        contract.LAYOUTS[out_layout](np.full((m, n), np.nan, dtype)),
    )


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_own_kernels_never_warn(name, dtype):
    large = np.finfo(dtype).max
    a = np.array([[np.nan, 1], [np.inf, 0], [large, large]], dtype)
    b = np.array([[1, np.inf, 2], [0, -np.inf, 2]], dtype)
    expected = [[np.nan, np.nan, np.nan], [np.inf, np.nan, np.inf], [large, np.nan, np.inf]]
    with np.errstate(all="raise"):
        c = kernels.get(name)(a, b)
    np.testing.assert_array_equal(c, np.array(expected, dtype))


@pytest.mark.parametrize(("one", "other"), [("naive", "blocked"), ("numba-naive", "numba-blocked")])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_blocked_has_the_bits_of_naive(one, other, dtype):
    a, b = _operands(dtype)
    assert kernels.get(one)(a, b).tobytes() == kernels.get(other)(a, b).tobytes()


@pytest.mark.parametrize("name", ["numba-naive", "numba-blocked"])
def test_contract_without_the_compiler(name, run_python):
    run_python(
        f"""
import dataclasses
import numba
from fastnn import kernels
from fastnn.kernels.testing import contract

assert numba.config.DISABLE_JIT
kernel = dataclasses.replace(kernels.get({name!r}), max_multiplications=2**18)
for check in contract.CONTRACT + contract.REPRODUCIBLE:
    check(kernel)
""",
        NUMBA_DISABLE_JIT="1",
    )


@pytest.mark.parametrize("name", ["numba-naive", "numba-blocked"])
def test_compiled_loops_have_the_bits_of_interpreted_ones(name, run_python):
    a, b = _operands(np.dtype(np.float32))
    interpreted = run_python(
        f"""
import hashlib
import numpy as np
from fastnn import kernels

rng = np.random.default_rng(7)
a = rng.standard_normal((9, 70)).astype("float32")
b = rng.standard_normal((70, 35)).astype("float32")
print(hashlib.sha256(kernels.get({name!r})(a, b).tobytes()).hexdigest())
""",
        NUMBA_DISABLE_JIT="1",
    )
    assert hashlib.sha256(kernels.get(name)(a, b).tobytes()).hexdigest() == interpreted


def test_threads_beyond_the_cores_do_not_change_a_bit(run_python):
    run_python(
        """
from fastnn import kernels
from fastnn.kernels.testing import contract

contract.check_threads(kernels.get("numba"))
kernels.set_num_threads(7)
contract.check_rows_alone(kernels.get("numba"))
""",
        NUMBA_NUM_THREADS="7",
    )


def _operands(dtype):
    rng = np.random.default_rng(7)
    return rng.standard_normal((9, 70)).astype(dtype), rng.standard_normal((70, 35)).astype(dtype)
