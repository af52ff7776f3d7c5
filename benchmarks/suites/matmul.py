"""One product under each kernel: its time, its GFLOP/s, its share of the FMA peak."""

from contextlib import suppress

import numpy as np

from .common import (
    BATCH_SIZES,
    DTYPES,
    KERNELS,
    ShortCalls,
    SkipNotImplemented,
    compile_kernels,
    laid_out,
    product,
    usable_kernel,
)

with suppress(ImportError):  # an older commit may lack what only some suites need
    from fastnn.kernels.measuring import ceilings as machine_ceilings
    from fastnn.kernels.measuring import timing
    from fastnn.study.products import Product, case

SIZES = [64, 128, 256, 512, 1024]
THREADS = [1, 2]
SECONDS = 0.1  # for a speed
LAYOUTS = [
    "contiguous",
    "rows 4096 bytes apart",
    "Fortran order",
    "a and b transposed",
    "every 2nd row",
]
# The products of a dense layer of 784 inputs and 128 outputs: (m, k, n), and which one is a view.
DENSE = {
    "x @ w": (lambda batch: (batch, 784, 128), ""),
    "x.T @ dy": (lambda batch: (784, batch, 128), "a"),
    "dy @ w.T": (lambda batch: (batch, 128, 784), "b"),
}


def setup_cache():
    def compute(kernel):
        for dtype in DTYPES:
            for threads in THREADS:
                with suppress(SkipNotImplemented):
                    multiply, *arrays = product(kernel, (256, 256, 256), dtype, threads=threads)
                    multiply(*arrays)

    compile_kernels(compute)


class Squares(ShortCalls):
    """A product of n × n by n × n: whether a kernel stays fast when caches no longer hold it."""

    params = [KERNELS, SIZES, DTYPES, THREADS]
    param_names = ["kernel", "n", "dtype", "threads"]

    def time_product(self, kernel, n, dtype, threads):
        multiply, a, b, out = product(kernel, (n, n, n), dtype, threads=threads)
        multiply(a, b, out)

    time_product.pretty_name = "product of squares, n × n"


class DenseLayer(ShortCalls):
    """What a dense layer asks for, in float32 on one thread: narrow, and partly transposed."""

    params = [KERNELS, BATCH_SIZES, ["x @ w", "x.T @ dy", "dy @ w.T"]]
    param_names = ["kernel", "batch size", "product"]

    def time_product(self, kernel, batch_size, name):
        shape, transposed = DENSE[name]
        multiply, a, b, out = product(kernel, shape(batch_size), "float32", transposed)
        multiply(a, b, out)

    time_product.pretty_name = "product in a dense layer, 784 to 128"


class Layouts(ShortCalls):
    """The same 512 × 512 times 512 × 512 with operands that lie awkwardly in memory."""

    params = [["numba-blocked", "numba", "numpy"], LAYOUTS]
    param_names = ["kernel", "layout"]

    def time_product(self, kernel, layout):
        multiply, a, b, out = laid_out(kernel, layout, "float32")
        multiply(a, b, out)

    time_product.pretty_name = "product of squares, 512 × 512, by layout"


class Speeds:
    """The squares again, as what they come to; verified, and timed in turns with NumPy's.

    All in one process, with the peak beside: `setup_cache` measures, the rest looks up.
    """

    params = [KERNELS, SIZES, DTYPES, THREADS]
    param_names = ["kernel", "n", "dtype", "threads"]

    def setup_cache(self):
        return {
            (*settings, threads): (flops, share)
            for threads in THREADS
            for *settings, flops, share in measured_speeds(threads)
        }

    setup_cache.timeout = 300

    def track_gflops(self, speeds, kernel, n, dtype, threads):
        flops, _ = look_up(speeds, kernel, n, dtype, threads)
        return round(flops / 1e9, 3)

    track_gflops.unit = "GFLOP/s"
    track_gflops.pretty_name = "GFLOP/s of squares, n × n"

    def track_share_of_peak(self, speeds, kernel, n, dtype, threads):
        _, share = look_up(speeds, kernel, n, dtype, threads)
        return round(100 * share, 3)

    track_share_of_peak.unit = "% of the FMA peak"
    track_share_of_peak.pretty_name = "share of the FMA peak, squares, n × n"


def measured_speeds(threads):
    """Yield ``(kernel, n, dtype, FLOP/s, share of the peak)``."""
    peaks = None
    for name in KERNELS:
        try:
            kernel = usable_kernel(name, 1, threads)
        except SkipNotImplemented:
            continue
        peaks = peaks or machine_ceilings.measure([threads], rounds=5).ceilings[0]
        # Each is timed several times over, hence a quarter of what is reasonable for one call.
        sizes = [n for n in SIZES if 4 * n**3 <= kernel.max_multiplications]
        products = [Product(n, n, n) for n in sizes]
        for dtype in DTYPES:
            cases = [case(kernel, product, dtype) for product in products]
            measured = timing.measure(cases, SECONDS, threads=threads, least=3)
            for each, seconds in zip(products, measured, strict=True):
                flops = 2 * each.multiplications / np.median(seconds[:, 0])
                yield name, each.n, dtype, flops, flops / getattr(peaks, dtype).median


def look_up(speeds, *key):
    if key not in speeds:
        raise SkipNotImplemented(f"not measured: {key}")
    return speeds[key]
