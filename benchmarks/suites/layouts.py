"""Memory layouts that the operands of a product may have."""

import numpy as np


def rows_pages_apart(values):
    """Return a copy in a wider array, whose rows begin a multiple of 4096 bytes apart."""
    page = 4096 // values.itemsize
    wider = np.empty((len(values), -(-(values.shape[1] + 1) // page) * page), values.dtype)
    wider[:, : values.shape[1]] = values
    return wider[:, : values.shape[1]]


def every_second_row(values):
    return np.repeat(values, 2, axis=0)[::2]


# Of a, b and out.
LAYOUTS = {
    "contiguous": (np.copy, np.copy, np.copy),
    "rows 4096 bytes apart": (rows_pages_apart, rows_pages_apart, rows_pages_apart),
    "Fortran order": (np.asfortranarray, np.asfortranarray, np.asfortranarray),
    "a and b transposed": (np.asfortranarray, np.asfortranarray, np.copy),
    "every 2nd row": (every_second_row, every_second_row, every_second_row),
}
