"""exp, log, tanh and the sigmoid: errors over the whole range, special values, vectors."""

import math
import re

import numba
import numpy as np
import pytest

from fastnn.kernels.ops import functions
from tests.kernels.ops import chebyshev

RNG = np.random.default_rng(0)
INF, NAN = np.inf, np.nan


def logistic(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


# function, the same in NumPy, and the largest error in ulp that the module promises
FUNCTIONS = {
    "exp": (functions.exp, np.exp, 1),
    "log": (functions.log, np.log, 1),
    "log1p": (functions.log1p, np.log1p, 1.5),
    "tanh": (functions.tanh, np.tanh, 3),
    "logistic": (functions.logistic, logistic, 2.5),
}
DTYPES = [np.float32, np.float64]


def compile_loop(function):
    @numba.njit(error_model="numpy")
    def loop(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    return loop


LOOPS = {name: compile_loop(function) for name, (function, _, _) in FUNCTIONS.items()}


def compute(name, x):
    y = np.empty_like(x)
    LOOPS[name](x, y)
    return y


def largest_error(name, x):
    """Return the largest error in ulp; check that infinities and NaN are where they belong."""
    dtype, info = x.dtype.type, np.finfo(x.dtype)
    wider = np.float64 if dtype == np.float32 else np.longdouble
    if name == "log1p":
        x = np.abs(x)
        x = x[x <= 1]
    with np.errstate(all="ignore"):
        expected = FUNCTIONS[name][1](x.astype(wider))
        rounded = expected.astype(dtype)
    y = compute(name, x)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(y[~finite], rounded[~finite])
    ulp = np.spacing(np.maximum(np.abs(rounded[finite]), info.tiny)).astype(wider)
    return float(np.max(np.abs(y[finite] - expected[finite]) / ulp, initial=0))


def numbers(dtype):
    """Numbers of every magnitude, and more of them where the functions bend."""
    if dtype == np.float32:
        everywhere = np.arange(0, 2**32, 10007, np.uint64).astype(np.uint32).view(np.float32)
    else:
        everywhere = RNG.integers(-(2**63), 2**63 - 1, 400_000).view(np.float64)
    ranges = [(-1, 1), (-20, 20), (-110, 90), (-750, 711), (0.5, 2)]
    near = [RNG.uniform(low, high, 100_000).astype(dtype) for low, high in ranges]
    return np.concatenate([everywhere, *near])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_errors_are_as_small_as_promised(name, dtype):
    if dtype == np.float64 and np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("there is no wider format to compare with")
    assert largest_error(name, numbers(dtype)) <= FUNCTIONS[name][2]


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_errors_of_every_float32(name):
    step = 2**16  # as many as the caches hold: twice as fast as from memory
    for start in range(0, 2**32, step):
        x = np.arange(start, start + step, dtype=np.uint64).astype(np.uint32).view(np.float32)
        assert largest_error(name, x) <= FUNCTIONS[name][2]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", [INF, -INF, NAN, 0.0, -0.0, 1e4, -1e4], [INF, 0, NAN, 1, 1, INF, 0]),
        ("log", [INF, -INF, NAN, 0.0, -0.0, 1, -1], [INF, NAN, NAN, -INF, -INF, 0, NAN]),
        ("log1p", [0.0, NAN], [0, NAN]),
        ("tanh", [INF, -INF, NAN, 0.0, -0.0, 1e4, -1e4], [1, -1, NAN, 0, -0.0, 1, -1]),
        ("logistic", [INF, -INF, NAN, 0.0, -0.0, 1e4, -1e4], [1, 0, NAN, 0.5, 0.5, 1, 0]),
    ],
)
def test_function_of_special_values(name, x, expected, dtype):
    y = compute(name, np.array(x, dtype))
    np.testing.assert_array_equal(y, expected)
    assert (np.signbit(y) == np.signbit(expected))[~np.isnan(y)].all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_function_of_denormal_numbers(dtype):
    info = np.finfo(dtype)
    tiny = np.array([info.smallest_subnormal, info.tiny / 8], dtype)
    np.testing.assert_array_equal(compute("tanh", tiny), tiny)
    np.testing.assert_array_equal(compute("log1p", tiny), tiny)
    np.testing.assert_allclose(compute("log", tiny), np.log(tiny), rtol=info.eps)
    edge = np.log(info.tiny)  # below it exp is denormal
    y = compute("exp", np.array([edge - 1, edge - 5], dtype))
    assert ((y > 0) & (y < info.tiny)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_has_the_same_bits_wherever_an_element_stands(name, dtype):
    x = RNG.uniform(0, 1, 80).astype(dtype) if name == "log1p" else RNG.normal(0, 5, 80)
    x = x.astype(dtype)
    alone = np.array([compute(name, x[i : i + 1])[0] for i in range(x.size)])
    for offset in range(9):
        for length in range(1, 41):
            piece = slice(offset, offset + length)
            np.testing.assert_array_equal(compute(name, x[piece]), alone[piece])


def code_of(loop, dtype):
    """Return LLVM's code of a loop for a dtype."""
    loop(np.ones(1, dtype), np.ones(1, dtype))
    (code,) = [
        code
        for signature, code in loop.inspect_llvm().items()
        if signature[0].dtype == numba.from_dtype(np.dtype(dtype))
    ]
    return code


def calls(code):
    """Return which functions a loop calls for an element: the system's, or this package's."""
    return re.findall(r"call[^@\n]*@((?:llvm\.)?(?:exp|log|tanh)|_ZN6fastnn)", code)


@pytest.mark.parametrize(("dtype", "element"), [(np.float32, "float"), (np.float64, "double")])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_in_a_loop_becomes_vectors_without_calls(name, dtype, element):
    code = code_of(LOOPS[name], dtype)
    assert re.search(rf"fmuladd\.v\d+f{np.dtype(dtype).itemsize * 8}\(<\d+ x {element}>", code)
    assert calls(code) == []


def test_calls_in_a_loop_would_be_found():
    assert calls(code_of(compile_loop(math.exp), np.float64))
    compute("exp", np.ones(1))
    for compiled in functions.exp.overloads.values():
        assert calls(f"%.1 = call i32 @{compiled.fndesc.mangled_name}(ptr %.2)")


@pytest.mark.parametrize("constants", [functions.FLOAT32, functions.FLOAT64])
def test_function_coefficients_are_those_of_the_interpolation(constants):
    dtype = type(constants.log2_e)
    for found, derive in (
        (constants.q, chebyshev.coefficients_of_q),
        (constants.l, chebyshev.coefficients_of_l),
    ):
        expected = np.array(derive(len(found) - 1), dtype)
        np.testing.assert_allclose(found, expected, rtol=np.finfo(dtype).eps)


@pytest.mark.parametrize("constants", [functions.FLOAT32, functions.FLOAT64])
def test_function_ln2_has_two_parts_and_multiples_of_the_first_are_exact(constants):
    dtype = type(constants.log2_e)
    both = chebyshev.Decimal(float(constants.ln2_high)) + chebyshev.Decimal(
        float(constants.ln2_low)
    )
    assert abs(both - chebyshev.LN2) < np.finfo(dtype).eps ** 1.5
    mantissa, _ = np.frexp(constants.ln2_high)
    largest = -constants.exp_min * constants.log2_e
    assert mantissa * 2.0 ** (constants.mantissa + 1) % 2 ** np.ceil(np.log2(largest)) == 0
