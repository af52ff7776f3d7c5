"""Take one batch out of a data set, in a drawn order."""

import numpy as np
import numpy.typing as npt

from fastnn.kernels.arrays import CACHE_LINE, Integers
from fastnn.kernels.interface import Array
from fastnn.kernels.runtime.compiling import compiled, inlined
from fastnn.kernels.runtime.intrinsics import fma, prefetch


@inlined
def _prefetch_row(rows: npt.NDArray[np.uint8], i: int) -> None:
    """Fetch a row from memory while another one is copied.

    The order is drawn, so that the processor can't foresee it: without this, a batch of images
    takes twice as long. (Rows of floats are longer, and limited by how much memory can deliver.)
    """
    address = int(rows.ctypes.data) + i * rows.strides[0]
    for offset in range(0, rows.shape[1] * rows.itemsize, CACHE_LINE):
        prefetch(address + offset)


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
    last = out.shape[0] - 1
    for i in range(out.shape[0]):
        _prefetch_row(source, order[start[0] + min(i + 1, last)])
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
