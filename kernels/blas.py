"""``numpy``: the product of the BLAS library that comes with NumPy. The yardstick.

What changed since ``numba``: the code is that of a BLAS, decades of work in assembly.
``threadpoolctl.threadpool_info()`` tells which library it is and for which processor it chose its
code.

Why that is faster: often it is not. Both operands are always packed, which pays for large squares,
and does not for the narrow products of a network.

What it costs: the bits of a result may depend on the number of threads and on the batch that a row
is in. And operands that BLAS cannot read in place, with neither rows nor columns contiguous, are
copied, or multiplied by a loop of NumPy's own.

NumPy warns of NaN and overflow here, as ``np.errstate`` says. The kernel leaves that to the caller,
since entering a context for each product would slow the yardstick down.
"""

import numpy as np

from fastnn.kernels.interface import Array, Kernel


def compute(a: Array, b: Array, out: Array) -> None:
    """Write ``a @ b`` into `out`."""
    np.matmul(a, b, out=out)


NUMPY = Kernel(
    "numpy",
    "np.matmul, which is BLAS: the yardstick",
    compute,
    threaded=True,
)
