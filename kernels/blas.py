"""``numpy``: the product of the BLAS library that NumPy brings along. The yardstick.

What changed since ``numba``: decades of other people's work in assembly. Where to look for it:
``threadpoolctl.threadpool_info()`` names the library and the processor it took its code for.

What it costs: the bits of a result may depend on the number of threads and on the batch that
a row stands in; and operands that BLAS cannot read as they are (neither rows nor columns
contiguous) are copied, or multiplied by a loop of NumPy's own.

NumPy warns of NaN and overflow here, as it is asked to by ``np.errstate``. The kernel leaves
that to the caller: a context for each product would slow the yardstick down.
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
