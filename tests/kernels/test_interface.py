"""`Kernel.__call__`: what it refuses, in which words, and what it lets through."""

import re

import numpy as np
import pytest

from fastnn import kernels


def _zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def _read_only(*shape):
    array = _zeros(*shape)
    array.flags.writeable = False
    return array


A, B = _zeros(2, 3), _zeros(3, 4)
SQUARE = _zeros(4, 4)
BIG_ENDIAN = np.zeros((2, 3), np.dtype(np.float32).newbyteorder())
OVERLAPPING = np.lib.stride_tricks.as_strided(_zeros(8), (2, 4), (4, 4))

REFUSED = {
    "list": (([[1.0]], B, None), TypeError, ["a must be a numpy array", "list"]),
    "integers": ((A, B.astype(int), None), TypeError, ["b has dtype int64", "float32 and float64"]),
    "half": ((A.astype(np.float16), B, None), TypeError, ["float16", "float32 and float64"]),
    "complex": ((A.astype(complex), B, None), TypeError, ["complex128", "float32 and float64"]),
    "byte order": ((BIG_ENDIAN, B, None), TypeError, [BIG_ENDIAN.dtype.str, "native byte order"]),
    "two dtypes": ((A, B.astype(float), None), TypeError, ["a is float32", "b is float64"]),
    "vector": ((A, B[:, 0], None), ValueError, ["b must have 2 dimensions, not 1"]),
    "stack": ((A[None], B, None), ValueError, ["a must have 2 dimensions, not 3"]),
    "shapes": ((A, B[:2], None), ValueError, ["a is (2, 3)", "b is (2, 4)", "(3), not 2"]),
    "out is a list": ((A, B, [0.0]), TypeError, ["out must be a numpy array", "list"]),
    "out dtype": ((A, B, _zeros(2, 4, dtype=float)), TypeError, ["out has dtype float64", "32"]),
    "out shape": ((A, B, _zeros(4, 2)), ValueError, ["out has shape (4, 2)", "has (2, 4)"]),
    "out vector": ((A, B, _zeros(8)), ValueError, ["out must have 2 dimensions, not 1"]),
    "out read-only": ((A, B, _read_only(2, 4)), ValueError, ["read-only", "writeable"]),
    "out is a": ((SQUARE, _zeros(4, 4), SQUARE), ValueError, ["out shares memory with a"]),
    "out is b.T": ((_zeros(4, 4), SQUARE, SQUARE.T), ValueError, ["out shares memory with b"]),
    "out in itself": ((A, B, OVERLAPPING), ValueError, ["elements of out share memory", "(4, 4)"]),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("name", kernels.LADDER)
def test_call_refuses_with_a_reason(name, case):
    arguments, error, words = REFUSED[case]
    with pytest.raises(error) as caught:
        kernels.get(name)(*arguments)
    for word in words:
        assert re.search(re.escape(word), str(caught.value))


@pytest.mark.parametrize("name", kernels.LADDER)
def test_call_writes_nothing_when_it_refuses(name):
    buffer = np.arange(16, dtype=np.float64)
    a, b, out = buffer[:4].reshape(2, 2), np.eye(2), buffer[3:7].reshape(2, 2)
    with pytest.raises(ValueError, match="shares memory"):
        kernels.get(name)(a, b, out)
    np.testing.assert_array_equal(buffer, np.arange(16))


@pytest.mark.parametrize("name", kernels.LADDER)
def test_call_takes_interleaved_arrays(name):
    buffer = np.zeros((2, 4))
    a, out = buffer[:, ::2], buffer[:, 1::2]
    a[...] = [[1, 2], [3, 4]]
    kernels.get(name)(a, np.array([[0.0, 1.0], [1.0, 0.0]]), out)
    np.testing.assert_array_equal(buffer, [[1, 2, 2, 1], [3, 4, 4, 3]])


@pytest.mark.parametrize("name", kernels.LADDER)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_call_returns_out_or_a_new_array(name, dtype):
    a, b = np.ones((2, 3), dtype), np.ones((3, 4), dtype)
    out = np.full((2, 4), np.nan, dtype)
    made = kernels.get(name)(a, b)
    assert kernels.get(name)(a, b, out) is out
    assert made.dtype == dtype
    assert (made == 3).all()
    assert (out == 3).all()


@pytest.mark.parametrize("name", kernels.LADDER)
def test_call_takes_one_array_as_both_operands(name):
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(kernels.get(name)(a, a.T), [[5, 11], [11, 25]])
