"""Call ops as a plan does: compiled code calls them, by address, or Python without the compiler."""

import numpy as np
from numba import config

from fastnn.kernels.runtime.abi import entry_point
from fastnn.kernels.runtime.program import Program


def line(op, *arguments, **options):
    """Return a line of a program."""
    address = entry_point(op, arguments, **options)
    assert address is not None
    return address, arguments


def run(op, *arguments):
    """Run an op once."""
    if config.DISABLE_JIT:
        with np.errstate(all="ignore"):  # as a training does
            op(*arguments)
        return
    Program([line(op, *arguments)]).run()
