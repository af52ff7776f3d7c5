"""What a fresh process waits for: imports, and the first product of a compiled kernel."""

import tempfile
from contextlib import suppress
from statistics import median

from . import common
from .common import SkipNotImplemented, run_fresh, usable_kernel

FIRST_PRODUCT = """
import sys, time
import numpy as np
kernel = kernels.get(sys.argv[1])
kernels.set_num_threads(1)
a, b, out = np.ones((3, 64, 64), np.float32)
began = time.perf_counter()
kernel.compute(a, b, out)
print(time.perf_counter() - began)
"""


class Import:
    params = [["kernels", "fastnn.training", "fastnn.cli"]]  # `fastnn` itself imports on demand
    param_names = ["module"]
    number = 1
    repeat = 5
    warmup_time = 0

    def timeraw_import(self, module):
        return f"import {common.kernels.__name__ if module == 'kernels' else module}"

    timeraw_import.pretty_name = "import of a module"


class FirstProduct:
    """The first 64 × 64 times 64 × 64, compiled on the spot or loaded from Numba's cache."""

    params = [["numba-naive", "numba", "numpy"], ["cold", "warm"]]
    param_names = ["kernel", "compile cache"]

    def setup_cache(self):
        seconds = {}
        for kernel in self.params[0]:
            with suppress(SkipNotImplemented):
                usable_kernel(kernel, 64**3)
                seconds[kernel] = first_products(kernel)
        return seconds

    def track_first_product(self, seconds, kernel, compile_cache):
        if kernel not in seconds:
            raise SkipNotImplemented(f"no kernel {kernel} at this commit")
        return seconds[kernel][compile_cache]

    track_first_product.unit = "seconds"
    track_first_product.pretty_name = "first product of a process"


def first_products(kernel):
    with tempfile.TemporaryDirectory() as directory:
        cold, *warm = [
            run_fresh(FIRST_PRODUCT, kernel, NUMBA_CACHE_DIR=directory) for _ in range(4)
        ]
    return {"cold": cold, "warm": median(warm)}
