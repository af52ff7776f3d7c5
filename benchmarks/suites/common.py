"""What the suites share: the names of the kernels, operands and networks made once, processes.

asv runs a ``setup`` again before every single call and then times calls one at a time, which
doubles the figure of a call of some hundred nanoseconds. Suites of short calls therefore have
none: what they need comes from the cached functions here.

asv imports all suites in one process and forks it for every combination of parameters
(``launch_method`` in asv.conf.json). That process may compile, but not multiply on two threads:
OpenMP's, once there, do not survive a fork.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from itertools import pairwise

import numpy as np
from asv_runner.benchmarks.mark import SkipNotImplemented

from .layouts import LAYOUTS

with suppress(ImportError):  # an older commit may lack what only some suites need
    import numba

    numba.njit(lambda: None)()  # what Numba loads to compile at all, once and not in every child
with suppress(ImportError):
    from fastnn import (
        SGD,
        Adam,
        Dense,
        ReLU,
        Sequential,
        SoftmaxCrossEntropy,
        kernels,
    )

KERNELS = ["naive", "blocked", "numba-naive", "numba-blocked", "numba", "numpy"]
DTYPES = ["float32", "float64"]
BATCH_SIZES = [1, 8, 64, 512]


class ShortCalls:
    """How asv times calls that take microseconds, and those of slow kernels, which take seconds.

    The first call takes its code from Numba's cache on disk (`compile_kernels` put it there), and
    asv concludes from it how many calls make a sample, unless it was within ``warmup_time``.
    """

    warmup_time = 0.2  # seconds
    sample_time = 0.02
    rounds = 4  # processes: one more or less lucky than another, and so is its time
    repeat = (1, 4, 1.0)  # samples in each: at least, at most, and no new one after so many seconds
    min_run_count = 1


def compile_kernels(compute):
    """Call ``compute(kernel)`` for each kernel that compiles and that this commit has."""
    for name in KERNELS:
        if name.startswith("numba") and name in kernels.names():
            compute(name)


def usable_kernel(name, multiplications, threads=1):
    """Return a kernel, held to so many threads; skip the benchmark where it has no use for them.

    One thread is the rule: what neighbours do to the other cores should not show.
    """
    if name not in kernels.names():
        raise SkipNotImplemented(f"no kernel {name} at this commit")
    kernel = kernels.get(name)
    if multiplications > kernel.max_multiplications:
        raise SkipNotImplemented(f"{multiplications:,} multiplications are too many for {name}")
    if threads > 1 and not kernel.threaded:
        raise SkipNotImplemented(f"{name} uses one thread")
    try:
        kernels.set_num_threads(threads)
    except ValueError as error:
        raise SkipNotImplemented(str(error)) from None
    return kernel


def aligned(values):
    """Return a copy that starts on a cache line: where it starts otherwise differs by chance."""
    buffer = np.empty(values.nbytes + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    copy = buffer[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


@cache
def product(name, shape, dtype, transposed="", threads=1):
    """Return a kernel's bare function and operands for one product.

    `shape` is (m, k, n). An operand named in `transposed` is a view of an array that lies in
    memory the other way round, as it is in the backward pass.
    """
    m, k, n = shape
    compute = usable_kernel(name, m * k * n, threads).compute
    rng = np.random.default_rng(0)
    a = aligned(rng.standard_normal((k, m) if "a" in transposed else (m, k)).astype(dtype))
    b = aligned(rng.standard_normal((n, k) if "b" in transposed else (k, n)).astype(dtype))
    out = aligned(np.empty((m, n), dtype))
    return compute, a.T if "a" in transposed else a, b.T if "b" in transposed else b, out


@cache
def laid_out(name, layout, dtype, n=512):
    """Return a kernel's bare function and operands, n × n each, that lie in memory so."""
    compute = usable_kernel(name, n**3).compute
    values = np.random.default_rng(0).standard_normal((3, n, n)).astype(dtype)
    return compute, *(lay(array) for lay, array in zip(LAYOUTS[layout], values, strict=True))


def network(name, sizes, batch_size):
    """Return a network of Dense layers and ReLU; `sizes` reads like ``784-128-10``."""
    widths = [int(width) for width in sizes.split("-")]
    pairs = list(pairwise(widths))
    kernel = usable_kernel(name, batch_size * max(n_in * n_out for n_in, n_out in pairs))
    layers = [layer for pair in pairs for layer in (Dense(*pair), ReLU())]
    return Sequential(layers[:-1], kernel=kernel)


def new_optimizer(name, learning_rate):
    return {"sgd": SGD, "adam": Adam}[name](learning_rate=learning_rate)


@cache
def inference(name, sizes, batch_size):
    """Return a network and a batch for it."""
    net = network(name, sizes, batch_size)
    x = np.random.default_rng(0).standard_normal((batch_size, net.n_in)).astype(net.dtype)
    return net, aligned(x)


@cache
def training_step(name, sizes, optimizer, batch_size):
    """Return the plan of a step: forward, loss, backward, update, on one batch."""
    net = network(name, sizes, batch_size)
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((batch_size, net.n_in)).astype(net.dtype)
    labels = rng.integers(net.n_out, size=batch_size)
    # So small a rate leaves the weights where they are: every call does the same work.
    update = new_optimizer(optimizer, 1e-30)
    plan = net.training_plan()
    net.plan_step(plan, inputs, labels, SoftmaxCrossEntropy(), update, np.zeros(3))
    update.begin_steps()
    return plan


def run_fresh(code, *arguments, **environment):
    """Run Python code in a process of its own; return what it printed, which is JSON."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr}")
    return json.loads(done.stdout)
