"""What the suites share: the names of the kernels, and operands and networks made once.

asv runs a ``setup`` again before every single call and then times calls one at a time, which
doubles the figure of a call of some hundred nanoseconds. Suites of short calls therefore have
none: what they need comes from the cached functions here.

asv decides after the first call, if that outlasted ``warmup_time``, how many calls make a
sample. So compilation must be done before (``setup_cache``, into Numba's cache on disk), and the
warm-up must be longer than loading its result.
"""

from contextlib import suppress
from functools import cache
from itertools import pairwise

import numpy as np
from asv_runner.benchmarks.mark import SkipNotImplemented

from .layouts import LAYOUTS

with suppress(ImportError):  # an older commit may lack what only some suites need
    import kernels
    from fastnn import SGD, Dense, ReLU, Sequential, SoftmaxCrossEntropy

KERNELS = ["naive", "blocked", "numba-naive", "numba-blocked", "numba", "numpy"]
DTYPES = ["float32", "float64"]

WARMUP_TIME = 1.0  # seconds


def compiled_kernels():
    """Return the names of the kernels that a ``setup_cache`` has to compile."""
    return [name for name in kernels.names() if name.startswith("numba")]


def usable_kernel(name, multiplications):
    """Return a kernel; skip the benchmark if it is missing or too slow for such a product."""
    if name not in kernels.names():
        raise SkipNotImplemented(f"no kernel {name} at this commit")
    kernel = kernels.get(name)
    if multiplications > kernel.max_multiplications:
        raise SkipNotImplemented(f"{multiplications:,} multiplications are too many for {name}")
    kernels.set_num_threads(1)  # one core: what its neighbours do should not show
    return kernel


@cache
def product(name, shape, dtype, transposed=""):
    """Return a kernel's bare function and operands for one product.

    `shape` is (m, k, n). An operand named in `transposed` is a view of an array that lies in
    memory the other way round, as it is in the backward pass.
    """
    m, k, n = shape
    compute = usable_kernel(name, m * k * n).compute
    rng = np.random.default_rng(0)
    a = rng.standard_normal((k, m) if "a" in transposed else (m, k)).astype(dtype)
    b = rng.standard_normal((n, k) if "b" in transposed else (k, n)).astype(dtype)
    out = np.empty((m, n), dtype)
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


@cache
def inference(name, sizes, batch_size):
    """Return a network and a batch for it."""
    net = network(name, sizes, batch_size)
    return net, np.random.default_rng(0).standard_normal((batch_size, net.n_in)).astype(net.dtype)


@cache
def training_step(name, sizes, batch_size):
    """Return the plan of a step: forward, loss, backward, update, on one batch."""
    net = network(name, sizes, batch_size)
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((batch_size, net.n_in)).astype(net.dtype)
    labels = rng.integers(net.n_out, size=batch_size)
    # So small a rate leaves the weights where they are: every call does the same work.
    optimizer = SGD(learning_rate=1e-30)
    plan = net.training_plan()
    net.plan_step(plan, inputs, labels, SoftmaxCrossEntropy(), optimizer, np.zeros(3))
    optimizer.begin_steps()
    return plan
