"""Training under each kernel, on one core: a step alone, and an epoch as a user sees it."""

from contextlib import suppress

from .common import KERNELS, WARMUP_TIME, compiled_kernels, network, training_step

with suppress(ImportError):  # an older commit may lack what only some suites need
    from fastnn import SGD, SoftmaxCrossEntropy, datasets, fit


def setup_cache():
    for kernel in compiled_kernels():
        training_step(kernel, "64-128-10", 64).run()


class Step:
    params = [KERNELS, ["64-128-10", "784-128-10", "784-512-512-10"], [64]]
    param_names = ["kernel", "sizes", "batch_size"]
    warmup_time = WARMUP_TIME

    def time_step(self, kernel, sizes, batch_size):
        training_step(kernel, sizes, batch_size).run()


class DigitsEpoch:
    """An epoch takes milliseconds at least, so a fresh network before each call does no harm."""

    params = [KERNELS]
    param_names = ["kernel"]
    number = 1

    def setup(self, kernel):
        self.data = datasets.load("digits")
        self.net = network(kernel, "64-128-10", 64)

    def time_epoch(self, kernel):
        fit(
            self.net,
            self.data.x_train,
            self.data.y_train,
            loss=SoftmaxCrossEntropy(),
            optimizer=SGD(learning_rate=0.1),
            batch_size=64,
            epochs=1,
        )
