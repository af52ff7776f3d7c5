"""``naive``: the triple loop in plain Python. The specification, on which the ladder stands.

Every other kernel computes the same, in another order or with other instructions. Each element of
the product is one sum, from +0.0 upwards in k.

What it costs: everything is an object. The interpreter allocates one for each product and each sum,
and looks up types that never change, which takes far longer than the arithmetic.

Python's floats are float64. So a float32 product is summed in float64 and rounded once, at the end,
more accurately than on the rungs above.
"""

import numpy as np

from fastnn.kernels.interface import Array, Kernel


def compute(a: Array, b: Array, out: Array) -> None:
    """Write ``a @ b`` into `out`."""
    m, k = a.shape
    n = b.shape[1]
    # Lists, because indexing a NumPy array makes a new scalar object every time.
    left, right = a.tolist(), b.tolist()
    with np.errstate(over="ignore"):  # a sum too large for float32 becomes infinity
        for i in range(m):
            for j in range(n):
                total = 0.0
                for p in range(k):
                    total += left[i][p] * right[p][j]
                out[i, j] = total


NAIVE = Kernel(
    "naive",
    "triple loop in plain Python: the specification",
    compute,
    max_multiplications=2**24,  # a second or two
)
