"""Outputs of a network for a batch, under each kernel, on one core."""

from .common import KERNELS, WARMUP_TIME, compiled_kernels, inference


def setup_cache():
    for kernel in compiled_kernels():
        for batch_size in (1, 64):
            net, x = inference(kernel, "64-128-10", batch_size)
            net(x)


class Inference:
    params = [KERNELS, ["64-128-10", "784-128-10", "784-512-512-10"], [1, 64, 1024]]
    param_names = ["kernel", "sizes", "batch_size"]
    warmup_time = WARMUP_TIME

    def time_call(self, kernel, sizes, batch_size):
        net, x = inference(kernel, sizes, batch_size)
        net(x)
