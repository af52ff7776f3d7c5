"""What the suites share: the code that they measure, operands and networks, fresh processes.

asv runs a ``setup`` again before every single call and then times calls one at a time, which
doubles the figure of a call of some hundred nanoseconds. Suites of short calls therefore have
none and take what they need from the cached functions here.

asv imports all suites in one process and forks it for every combination of parameters
(``launch_method`` in asv.conf.json). That process may compile but not multiply on two threads,
since OpenMP's threads do not survive a fork.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
from asv_runner.benchmarks.mark import SkipNotImplemented

from .layouts import LAYOUTS

# Older commits have some of this under other names, tried after the present ones, or lack it.
with suppress(ImportError):
    import numba

    numba.njit(lambda: None)()  # load the compiler once instead of in every child
with suppress(ImportError):
    from fastnn import SGD, Adam, Dense, ReLU, Sequential, SoftmaxCrossEntropy
try:
    from fastnn import kernels
    from fastnn.kernels.measuring.ceilings import measure as measure_ceilings
    from fastnn.study.products import Product, measure_kernel
except ImportError:
    with suppress(ImportError):
        import kernels
    with suppress(ImportError):
        import kernels.machine
        from fastnn.measuring import Product, case
        from kernels.timing import measure

    def measure_ceilings(threads, *, rounds):
        (measured,) = kernels.machine.measure([threads], rounds=rounds).ceilings
        return measured

    def measure_kernel(kernel, products, dtype):
        cases = [case(kernel, product, dtype) for product in products]
        measured = measure(cases, 0.1, threads=kernels.get_num_threads(), least=3)
        return [SimpleNamespace(own=seconds[:, 0]) for seconds in measured]


try:
    from fastnn.engine import Execution
except ImportError:

    def Execution(plan):  # noqa: N802 - a plan once ran itself
        return plan


KERNELS = ["naive", "blocked", "numba-naive", "numba-blocked", "numba", "numpy"]
DTYPES = ["float32", "float64"]
BATCH_SIZES = [1, 8, 64, 512]


class ShortCalls:
    """How asv times calls that take microseconds with fast kernels and seconds with slow ones.

    The first call loads its code from Numba's cache on disk, where `compile_kernels` put it. asv
    derives the number of calls in a sample from it, unless it falls within ``warmup_time``.
    """

    warmup_time = 0.2  # seconds
    sample_time = 0.02
    rounds = 4  # processes, since where memory lies makes one faster than another
    repeat = (1, 4, 1.0)  # samples in each: minimum, maximum, seconds after which none begins
    min_run_count = 1


def compile_kernels(compute):
    """Call ``compute(kernel)`` for each compiled kernel of this commit."""
    for name in KERNELS:
        if name.startswith("numba") and name in kernels.names():
            compute(name)


def usable_kernel(name, multiplications, threads=1):
    """Return a kernel and set the number of threads; skip the benchmark where it can't use them.

    One thread is the rule, so that load on the other cores does not show.
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
    """Return a copy that begins at a cache line, and not wherever the allocator happens to."""
    buffer = np.empty(values.nbytes + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    copy = buffer[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


@cache
def product(name, shape, dtype, transposed="", threads=1):
    """Return a kernel's bare function and operands for one product.

    `shape` is (m, k, n). Operands named in `transposed` are transposed views, as in the backward
    pass.
    """
    m, k, n = shape
    compute = usable_kernel(name, m * k * n, threads).compute
    rng = np.random.default_rng(0)
    a = aligned(rng.standard_normal((k, m) if "a" in transposed else (m, k)).astype(dtype))
    b = aligned(rng.standard_normal((n, k) if "b" in transposed else (k, n)).astype(dtype))
    out = aligned(np.empty((m, n), dtype))
    return compute, a.T if "a" in transposed else a, b.T if "b" in transposed else b, out


def median_seconds(kernel, sizes, dtype):
    """Return what products of n × n take, verified and timed by turns with NumPy's."""
    products = [Product(n, n, n) for n in sizes]
    return [np.median(timing.own) for timing in measure_kernel(kernel, products, dtype)]


def fma_peaks(threads):
    """Return the FMA peak by dtype, in FLOP/s."""
    measured = measure_ceilings(threads, rounds=5)
    return {dtype: getattr(measured, dtype).median for dtype in DTYPES}


@cache
def laid_out(name, layout, dtype, n=512):
    """Return a kernel's bare function and n × n operands in one of the `LAYOUTS`."""
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
    """Return the planned step on one batch (forward, loss, backward, update), ready to `run`."""
    net = network(name, sizes, batch_size)
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((batch_size, net.n_in)).astype(net.dtype)
    labels = rng.integers(net.n_out, size=batch_size)
    # A rate this small leaves the weights as they are, so that every call does the same work.
    update = new_optimizer(optimizer, 1e-30)
    plan = net.training_plan()
    net.plan_step(plan, inputs, labels, SoftmaxCrossEntropy(), update, np.zeros(3))
    update.begin_steps()
    return Execution(plan)


def run_fresh(code, *arguments, **environment):
    """Run code that uses `kernels` in a process of its own; return the JSON that it printed."""
    code = f"import {kernels.__name__} as kernels\n{code}"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr}")
    return json.loads(done.stdout)
