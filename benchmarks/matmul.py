"""One product, under each kernel, on one core."""

from .common import DTYPES, KERNELS, WARMUP_TIME, compiled_kernels, product

# A Dense layer of 784 inputs and 128 outputs, batch 64: (m, k, n), and which operand is a view.
DENSE = {
    "x @ w": ((64, 784, 128), ""),
    "x.T @ dy": ((784, 64, 128), "a"),
    "dy @ w.T": ((64, 128, 784), "b"),
}


def setup_cache():
    for kernel in compiled_kernels():
        for dtype in DTYPES:
            for shape, transposed in [((64, 64, 64), ""), *DENSE.values()]:
                compute, a, b, out = product(kernel, shape, dtype, transposed)
                compute(a, b, out)


class Square:
    params = [KERNELS, [64, 256, 1024], DTYPES]
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
