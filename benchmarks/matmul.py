"""One product, under each kernel, on one core."""

from .common import DTYPES, KERNELS, WARMUP_TIME, compiled_kernels, laid_out, product

# A Dense layer of 784 inputs and 128 outputs, batch 64: (m, k, n), and which operand is a view.
DENSE = {
    "x @ w": ((64, 784, 128), ""),
    "x.T @ dy": ((784, 64, 128), "a"),
    "dy @ w.T": ((64, 128, 784), "b"),
}
# All the products of a network of 784-128-10, for one sample and for batches.
LAYERS = {"784-128": (784, 128), "128-10": (128, 10)}
DIRECTIONS = ["x @ w", "x.T @ dy", "dy @ w.T"]


def setup_cache():
    for kernel in compiled_kernels():
        for dtype in DTYPES:
            for shape, transposed in [((64, 64, 64), ""), *DENSE.values()]:
                compute, a, b, out = product(kernel, shape, dtype, transposed)
                compute(a, b, out)


class Square:
    params = [KERNELS, [64, 128, 256, 512, 1024], DTYPES]
    param_names = ["kernel", "n", "dtype"]
    warmup_time = WARMUP_TIME

    def time_matmul(self, kernel, n, dtype):
        compute, a, b, out = product(kernel, (n, n, n), dtype)
        compute(a, b, out)


class DenseLayer:
    params = [KERNELS, ["x @ w", "x.T @ dy", "dy @ w.T"], DTYPES]
    param_names = ["kernel", "product", "dtype"]
    warmup_time = WARMUP_TIME

    def time_matmul(self, kernel, name, dtype):
        compute, a, b, out = product(kernel, DENSE[name][0], dtype, DENSE[name][1])
        compute(a, b, out)


class Network:
    params = [KERNELS, ["784-128", "128-10"], [1, 16, 256], DIRECTIONS, DTYPES]
    param_names = ["kernel", "layer", "batch_size", "product", "dtype"]
    warmup_time = WARMUP_TIME

    def time_matmul(self, kernel, layer, batch_size, name, dtype):
        n_in, n_out = LAYERS[layer]
        shape, transposed = {
            "x @ w": ((batch_size, n_in, n_out), ""),
            "x.T @ dy": ((n_in, batch_size, n_out), "a"),
            "dy @ w.T": ((batch_size, n_out, n_in), "b"),
        }[name]
        compute, a, b, out = product(kernel, shape, dtype, transposed)
        compute(a, b, out)


class Layout:
    """The same 512 × 512 × 512 with operands that lie awkwardly in memory."""

    params = [
        ["numba-blocked", "numba", "numpy"],
        [
            "contiguous",
            "rows 4096 bytes apart",
            "Fortran order",
            "a and b transposed",
            "every 2nd row",
        ],
        DTYPES,
    ]
    param_names = ["kernel", "layout", "dtype"]
    warmup_time = WARMUP_TIME

    def time_matmul(self, kernel, layout, dtype):
        compute, a, b, out = laid_out(kernel, layout, dtype)
        compute(a, b, out)
