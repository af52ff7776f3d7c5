"""Take one batch out of a data set, in a drawn order."""

import numpy as np
import numpy.typing as npt

from fastnn.kernels.arrays import Integers
from fastnn.kernels.interface import Array
from fastnn.kernels.runtime.compiling import compiled
from fastnn.kernels.runtime.intrinsics import fma


@compiled
def take_rows(
    source: npt.NDArray[np.generic], order: Integers, start: Integers, out: npt.NDArray[np.generic]
) -> None:
    """Gather one batch: ``out[i] = source[order[start[0] + i]]``, for rows or labels.

    ``start`` is an array of one integer, so that a step moves on by changing a number in it.
    """
    rows, out = source.reshape(len(source), -1), out.reshape(len(out), -1)
    for i in range(out.shape[0]):
        row = rows[order[start[0] + i]]
        for j in range(out.shape[1]):  # several times as fast as ``out[i] = row``
            out[i, j] = row[j]


@compiled
def take_bytes(source: npt.NDArray[np.uint8], order: Integers, start: Integers, out: Array) -> None:
    """Gather one batch of bytes as numbers from 0 to 1: ``source[order[start[0] + i]] / 255``.

    Images kept as bytes take a quarter of the memory of float32, and of the time to read it. The
    quotients are correctly rounded, without the time of a division: the product with ``1 / 255``
    is off by one rounding for half of all bytes, and its remainder corrects it (Markstein,
    "Computation of elementary functions on the IBM RISC System/6000 processor", 1990).
    """
    one, divisor = out.dtype.type(1), out.dtype.type(255)
    reciprocal = one / divisor
    for i in range(out.shape[0]):
        row = source[order[start[0] + i]]
        for j in range(out.shape[1]):
            byte = out.dtype.type(row[j])
            quotient = byte * reciprocal
            out[i, j] = fma(fma(-divisor, quotient, byte), reciprocal, quotient)


@compiled
def next_batch(start: Integers, rows: int) -> None:
    """Move on to the next batch: ``start[0] += rows``."""
    start[0] += rows


@compiled
def copy_rows(source: Array, out: Array) -> None:
    """Copy a matrix of any strides: ``out = source``."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = source[i, j]
