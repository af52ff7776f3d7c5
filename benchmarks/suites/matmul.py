"""One product with each kernel: its time, its GFLOP/s, its share of the FMA peak."""

from contextlib import suppress

from .common import (
    BATCH_SIZES,
    DTYPES,
    KERNELS,
    ShortCalls,
    SkipNotImplemented,
    compile_kernels,
    fma_peaks,
    laid_out,
    median_seconds,
    product,
    usable_kernel,
)

SIZES = [64, 128, 256, 512, 1024]
THREADS = [1, 2]
LAYOUTS = [
    "contiguous",
    "rows 4096 bytes apart",
    "Fortran order",
    "a and b transposed",
    "every 2nd row",
]
# The products of a dense layer, 784 to 128: (m, k, n) and the operand that is a transposed view.
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
    """n × n times n × n, from what fits into the caches to what does not."""

    params = [KERNELS, SIZES, DTYPES, THREADS]
    param_names = ["kernel", "n", "dtype", "threads"]

    def time_product(self, kernel, n, dtype, threads):
        multiply, a, b, out = product(kernel, (n, n, n), dtype, threads=threads)
        multiply(a, b, out)

    time_product.pretty_name = "product of squares, n × n"


class DenseLayer(ShortCalls):
    """The products of a dense layer, narrow and partly transposed, in float32 on one thread."""

    params = [KERNELS, BATCH_SIZES, ["x @ w", "x.T @ dy", "dy @ w.T"]]
    param_names = ["kernel", "batch size", "product"]

    def time_product(self, kernel, batch_size, name):
        shape, transposed = DENSE[name]
        multiply, a, b, out = product(kernel, shape(batch_size), "float32", transposed)
        multiply(a, b, out)

    time_product.pretty_name = "product in a dense layer, 784 to 128"


class Layouts(ShortCalls):
    """512 × 512 times 512 × 512 with operands in awkward memory layouts."""

    params = [["numba-blocked", "numba", "numpy"], LAYOUTS]
    param_names = ["kernel", "layout"]

    def time_product(self, kernel, layout):
        multiply, a, b, out = laid_out(kernel, layout, "float32")
        multiply(a, b, out)

    time_product.pretty_name = "product of squares, 512 × 512, by layout"


class Speeds:
    """The squares as rates, verified, and timed by turns with NumPy.

    `setup_cache` measures them all, and the peak, in one process; the rest looks them up.
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
        peaks = peaks or fma_peaks(threads)
        # Each is timed several times, hence a quarter of what is reasonable for one call.
        sizes = [n for n in SIZES if 4 * n**3 <= kernel.max_multiplications]
        for dtype in DTYPES:
            for n, seconds in zip(sizes, median_seconds(kernel, sizes, dtype), strict=True):
                flops = 2 * n**3 / seconds
                yield name, n, dtype, flops, flops / peaks[dtype]


def look_up(speeds, *key):
    if key not in speeds:
        raise SkipNotImplemented(f"not measured: {key}")
    return speeds[key]
