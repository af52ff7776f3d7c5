"""A matrix product as a sum of outer products."""

import numpy as np

from fastnn.kernels import Kernel


def compute(a, b, out):
    out[...] = 0
    for column, row in zip(a.T, b, strict=True):
        out += np.multiply.outer(column, row)


OUTER = Kernel("outer", "a sum of outer products", compute, max_multiplications=2**27)
