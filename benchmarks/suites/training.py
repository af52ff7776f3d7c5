"""Training with each kernel on one thread: a step, an epoch, and the accuracy it comes to."""

import inspect
from contextlib import suppress
from functools import cache, partial

from .common import (
    KERNELS,
    ShortCalls,
    SkipNotImplemented,
    compile_kernels,
    network,
    new_optimizer,
    training_step,
)

with suppress(ImportError):  # an older commit may lack what only some suites need
    from fastnn import SoftmaxCrossEntropy, datasets, evaluate, fit

OPTIMIZERS = ["sgd", "adam"]
LEARNING_RATES = {"sgd": 0.1, "adam": 0.001}
BATCH_SIZE = 64
EPOCHS = 10  # before accuracy is measured
# For networks on real images: their data, and epochs after which Adam's means have faded.
REAL_DATA = {"64-128-10": ("digits", 100), "784-128-10": ("fashion-mnist", 5)}


def setup_cache():
    def compute(kernel):
        for optimizer in OPTIMIZERS:
            training_step(kernel, "64-128-10", optimizer, BATCH_SIZE).run()
            load_code(kernel, "64-32-10", optimizer)

    compile_kernels(compute)


@cache
def digits():
    return datasets.load("digits")


@cache
def faded_training(kernel, sizes, flush_denormals):
    """Train with Adam until its means have faded; return a function that trains an epoch more."""
    name, epochs = REAL_DATA[sizes]
    mode = {"flush_denormals": flush_denormals}
    if "flush_denormals" not in inspect.signature(fit).parameters:
        if flush_denormals:
            raise SkipNotImplemented("denormals are always kept at this commit")
        mode = {}
    try:
        data = datasets.load(name)
    except datasets.DataError as error:
        raise SkipNotImplemented(str(error)) from None
    loss, optimizer = SoftmaxCrossEntropy(), new_optimizer("adam", LEARNING_RATES["adam"])
    net = network(kernel, sizes, BATCH_SIZE)
    settings = {"loss": loss, "optimizer": optimizer, "batch_size": BATCH_SIZE, **mode}
    more = partial(fit, net, data.x_train, data.y_train, **settings)
    more(epochs=epochs)
    return partial(more, epochs=1)


def train(net, optimizer, samples, epochs):
    """Train a network on the first `samples` of the digits; on all of them for None."""
    data = digits()
    fit(
        net,
        data.x_train[:samples],
        data.y_train[:samples],
        loss=SoftmaxCrossEntropy(),
        optimizer=new_optimizer(optimizer, LEARNING_RATES[optimizer]),
        batch_size=BATCH_SIZE,
        epochs=epochs,
    )


@cache
def load_code(kernel, sizes, optimizer):
    """Train on a few samples, so that no timing includes loading compiled code."""
    train(network(kernel, sizes, BATCH_SIZE), optimizer, BATCH_SIZE + 1, 1)


class Step(ShortCalls):
    """Forward, loss, backward and update on a batch of 64."""

    params = [KERNELS, ["784-128-10", "784-512-512-10"], OPTIMIZERS]
    param_names = ["kernel", "network", "optimizer"]

    def time_step(self, kernel, sizes, optimizer):
        training_step(kernel, sizes, optimizer, BATCH_SIZE).run()

    time_step.pretty_name = "training step on a batch of 64"


class Epoch(ShortCalls):
    """An epoch takes milliseconds, so a new network before each call does not disturb it."""

    params = [KERNELS, ["64-32-10", "64-128-10"], OPTIMIZERS]
    param_names = ["kernel", "network", "optimizer"]
    number = 1
    repeat = (1, 5, 1.0)

    def setup(self, kernel, sizes, optimizer):
        load_code(kernel, sizes, optimizer)
        self.net = network(kernel, sizes, BATCH_SIZE)

    def time_epoch(self, kernel, sizes, optimizer):
        train(self.net, optimizer, None, 1)

    time_epoch.pretty_name = "epoch on the digits"


class FadedMeans(ShortCalls):
    """An epoch with Adam on real images after others: means of the gradient are denormal by then.

    Pixels that are nearly always 0 make them so. Fashion-MNIST, that of 784-128-10, has to be
    installed, and is left to the fast kernels.
    """

    params = [
        ["numba-naive", "numba-blocked", "numba", "numpy"],
        ["64-128-10", "784-128-10"],
        [True, False],
    ]
    param_names = ["kernel", "network", "flush denormals"]
    number = 1
    repeat = (1, 5, 1.0)

    def setup(self, kernel, sizes, flush_denormals):
        if sizes != "64-128-10" and kernel not in {"numba", "numpy"}:
            raise SkipNotImplemented(f"{kernel} takes minutes for it")
        self.train = faded_training(kernel, sizes, flush_denormals)

    def time_epoch(self, kernel, sizes, flush_denormals):
        self.train()

    time_epoch.pretty_name = "epoch on real images, when Adam's means have faded"


class Accuracy:
    """Accuracy on the test samples, so that no commit gets faster by learning less.

    Kernels in plain Python are left out, since they would take minutes.
    """

    params = [["numba-naive", "numba-blocked", "numba", "numpy"], *Epoch.params[1:]]
    param_names = Epoch.param_names

    def track_test_accuracy(self, kernel, sizes, optimizer):
        net = network(kernel, sizes, BATCH_SIZE)
        train(net, optimizer, None, EPOCHS)
        data = digits()
        result = evaluate(net, data.x_test, data.y_test, loss=SoftmaxCrossEntropy())
        return round(100 * result.accuracy, 3)

    track_test_accuracy.unit = "% right"
    track_test_accuracy.pretty_name = f"accuracy on test digits after {EPOCHS} epochs"
