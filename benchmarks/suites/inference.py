"""Outputs of a network for a batch, with each kernel, on one thread."""

from .common import BATCH_SIZES, KERNELS, ShortCalls, compile_kernels, inference


def setup_cache():
    def compute(kernel):
        for batch_size in (1, 64):
            net, x = inference(kernel, "64-128-10", batch_size)
            net(x)

    compile_kernels(compute)


class Inference(ShortCalls):
    params = [KERNELS, BATCH_SIZES, ["784-128-10", "784-512-512-10"]]
    param_names = ["kernel", "batch size", "network"]

    def time_outputs(self, kernel, batch_size, sizes):
        net, x = inference(kernel, sizes, batch_size)
        net(x)

    time_outputs.pretty_name = "outputs of a network for a batch"
