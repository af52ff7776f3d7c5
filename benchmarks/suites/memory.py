"""The peak memory of a training, Python included, in a fresh process on one thread."""

from .common import KERNELS, network, run_fresh

# Two steps of 64 samples; later ones need no more. VmHWM is the peak, on Linux.
TRAINING = """
import sys
from itertools import pairwise
from pathlib import Path
import numpy as np
from fastnn import SGD, Dense, ReLU, Sequential, SoftmaxCrossEntropy, fit
kernel, sizes = sys.argv[1], [int(size) for size in sys.argv[2].split("-")]
kernels.set_num_threads(1)
rng = np.random.default_rng(0)
x = rng.standard_normal((128, sizes[0]), np.float32)
y = rng.integers(sizes[-1], size=len(x))
layers = [layer for pair in pairwise(sizes) for layer in (Dense(*pair), ReLU())]
net = Sequential(layers[:-1], kernel=kernel)
fit(net, x, y, loss=SoftmaxCrossEntropy(), optimizer=SGD(), batch_size=64, epochs=1)
status = Path("/proc/self/status").read_text()
print(1024 * int(status.split("VmHWM:")[1].split()[0]))
"""


class Memory:
    params = [KERNELS, ["64-128-10", "784-512-512-10"]]
    param_names = ["kernel", "network"]

    def setup(self, kernel, sizes):
        network(kernel, sizes, 64)  # skips what is too large for the kernel

    def track_peak(self, kernel, sizes):
        return run_fresh(TRAINING, kernel, sizes)

    track_peak.unit = "bytes"
    track_peak.pretty_name = "peak memory of a training"
