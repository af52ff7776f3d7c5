"""The rounding errors of the kernel `numba` beside those of BLAS, in wider arithmetic.

The contract bounds the error of each element, for any order of summation; here errors are measured
as they occur. They grow with the length of a chain of additions. The root of the mean square over
all elements is compared, which chance hardly moves, and the largest of all.

BLAS multiplies matrices here, not a single row or column. For these it has other functions, whose
many short chains round less than its own product of matrices does. The kernel `numba` has one order
of summation for all of them: the error of a row is the same in any batch.
"""

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels.interface import DTYPES

SHAPES = [(64, 40), (30, 100)]  # m and n: thousands of elements
DRAWS = {"around zero": "standard_normal", "positive": "random"}  # sums that wander, and that grow
MAX_RATIO = 2


def _errors(kernel, a, b):
    wide = np.float64 if a.dtype == np.float32 else np.longdouble
    return np.ravel(kernel(a, b) - a.astype(wide) @ b.astype(wide)).astype(np.float64)


@pytest.mark.skipif(
    np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps, reason="nothing wider than float64"
)
@pytest.mark.parametrize("k", [1, 10, 256, 320, 784, 5000])
@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_error_is_no_worse_than_twice_that_of_blas(dtype, draw, k):
    rng = np.random.default_rng(k)
    errors = {"numba": [], "numpy": []}
    for m, n in SHAPES:
        a = getattr(rng, draw)((m, k)).astype(dtype)
        b = getattr(rng, draw)((k, n)).astype(dtype)
        for name, of_shapes in errors.items():
            of_shapes.append(_errors(kernels.get(name), a, b))
    own, blas = (np.concatenate(of_shapes) for of_shapes in errors.values())
    assert np.sqrt(np.mean(own**2)) <= MAX_RATIO * np.sqrt(np.mean(blas**2))
    assert np.max(abs(own)) <= MAX_RATIO * np.max(abs(blas))
