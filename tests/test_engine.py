"""Both engines: the same bits, nothing allocated, and what each of them has to keep."""

import signal
import threading
import time
import tracemalloc

import numpy as np
import pytest

from fastnn import (
    SGD,
    Adam,
    AdamW,
    BinaryCrossEntropy,
    Dense,
    Dropout,
    Layer,
    LeakyReLU,
    MeanSquaredError,
    ReLU,
    RMSprop,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    StopTraining,
    Tanh,
    fit,
    kernels,
)
from fastnn.plan import ENGINES, MAX_STEPS_AT_ONCE
from fastnn.schedules import CosineDecay, StepDecay, WarmUp

RNG = np.random.default_rng(0)
SAMPLES = 75  # the last batch of 16 has 11
X = RNG.normal(size=(SAMPLES, 5))
LABELS = RNG.integers(3, size=SAMPLES)
ONE_HOT = np.eye(3)[LABELS]
COMPILED = [name for name in kernels.LADDER if kernels.get(name).prepare]


def network(*middle, last=(), **options):
    return Sequential([Dense(5, 9), *middle, Dense(9, 3), *last], **options)


def trained(engine, net, optimizer, loss=None, y=LABELS, **options):
    """Return all that a training leaves behind, but for the time it took."""
    seen = []
    settings = {"batch_size": 16, "epochs": 3, "rng": 7} | options
    history = fit(
        net,
        X,
        y,
        loss=loss or SoftmaxCrossEntropy(),
        optimizer=optimizer,
        validation_data=(X[:20], y[:20]),
        callbacks=[lambda training: seen.append(training.engine)],
        engine=engine,
        **settings,
    )
    assert seen == [engine] * settings["epochs"]
    records = [
        {name: value for name, value in record.items() if name != "seconds"}
        for record in history.as_dicts()
    ]
    vectors = [net.parameters.flat, net.gradients.flat, net.random_state, *optimizer.state.values()]
    return records, optimizer.steps, [vector.tobytes() for vector in vectors]


def assert_same(net, optimizer=lambda: SGD(0.1), **options):
    results = [trained(engine, net(), optimizer(), **options) for engine in ("python", "compiled")]
    assert results[0] == results[1]
    assert results[0][0][-1]["loss"] < 10  # and not NaN, which would make all bits alike


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "layer",
    [ReLU, LeakyReLU, lambda: LeakyReLU(0.01), Sigmoid, Tanh, Softmax, lambda: Dropout(0.4)],
    ids=["relu", "leaky", "leaky 0.01", "sigmoid", "tanh", "softmax", "dropout"],
)
def test_engines_give_every_layer_the_same_bits(layer, dtype):
    assert_same(lambda: network(layer(), dtype=dtype))


@pytest.mark.parametrize(
    ("loss", "y", "last"),
    [
        (SoftmaxCrossEntropy(), LABELS, Softmax),
        (SoftmaxCrossEntropy(), ONE_HOT, None),
        (BinaryCrossEntropy(), ONE_HOT, Sigmoid),
        (MeanSquaredError(), ONE_HOT, Tanh),
    ],
    ids=repr,
)
def test_engines_give_every_loss_the_same_bits(loss, y, last):
    assert_same(lambda: network(Tanh(), last=[last()] if last else []), loss=loss, y=y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: SGD(0.1, 0.9),
        lambda: SGD(0.1, 0.9, nesterov=True, weight_decay=0.01),
        lambda: SGD(StepDecay(0.1, 4), clip_norm=0.2),
        lambda: RMSprop(CosineDecay(0.01, 12)),
        lambda: Adam(WarmUp(CosineDecay(0.01, 8), 3)),
        lambda: AdamW(0.01, clip_norm=0.5),
    ],
    ids=["momentum", "nesterov", "step decay, clipped", "rmsprop", "adam", "adamw"],
)
def test_engines_give_every_optimizer_the_same_bits(optimizer, dtype):
    assert_same(lambda: network(ReLU(), dtype=dtype), optimizer)


@pytest.mark.parametrize("kernel", COMPILED)
@pytest.mark.parametrize("descent", ["batch", "mini-batch", "stochastic"])
def test_engines_give_every_compiled_kernel_the_same_bits(kernel, descent):
    size = 16 if descent == "mini-batch" else None
    assert_same(
        lambda: network(ReLU(), kernel=kernel), gradient_descent=descent, batch_size=size, epochs=2
    )


def test_engines_agree_over_more_steps_than_learning_rates_are_kept_ahead():
    assert SAMPLES * 20 > MAX_STEPS_AT_ONCE
    assert_same(network, lambda: SGD(CosineDecay(0.01, 2000)), batch_size=1, epochs=20)


@pytest.mark.parametrize("threads", range(1, kernels.get_num_threads() + 1))
def test_engines_give_products_on_several_threads_the_same_bits(threads):
    x = RNG.normal(size=(300, 500)).astype(np.float32)
    y = RNG.integers(10, size=300)
    before = kernels.get_num_threads()

    def weights(engine):
        net = Sequential([Dense(500, 300), ReLU(), Dense(300, 10)])
        options = {"loss": SoftmaxCrossEntropy(), "optimizer": Adam(), "batch_size": 128}
        fit(net, x, y, epochs=2, engine=engine, **options)
        return net.parameters.flat.tobytes()

    expected = weights("python")
    try:
        kernels.set_num_threads(threads)
        assert weights("compiled") == expected
    finally:
        kernels.set_num_threads(before)


class Doubling(Layer):
    """A layer of one's own, whose passes are plain Python."""

    def forward(self, plan, x):
        y = plan.zeros(*x.shape)
        plan.call(double, x, y)
        return y

    def backward(self, plan, x, y, dy, needs_dx):
        return self.forward(plan, dy)


def double(x, y):
    np.multiply(x, 2, out=y)


class EachStep:
    steps = 0

    def on_step(self, training):
        self.steps += 1

    def __call__(self, training):
        self.engine = training.engine


def run(net, engine, callbacks=()):
    options = {"loss": SoftmaxCrossEntropy(), "optimizer": SGD(0.1), "epochs": 2}
    return fit(net, X, LABELS, engine=engine, callbacks=callbacks, **options)


@pytest.mark.parametrize(
    ("net", "callbacks", "reason"),
    [
        (lambda: network(kernel="numpy"), [], r"matmul .*kernel numpy"),
        (lambda: network(Doubling()), [], r"double .*kernel numba"),
        (network, [EachStep()], "a callback has on_step"),
    ],
)
def test_engine_compiled_says_why_it_is_not_possible_and_auto_takes_python(net, callbacks, reason):
    with pytest.raises(ValueError, match=f"engine 'compiled' is not possible: {reason}"):
        run(net(), "compiled", callbacks)
    seen = []
    run(net(), "auto", [*callbacks, lambda training: seen.append(training.engine)])
    assert seen == ["python", "python"]


def test_engine_auto_takes_compiled_where_it_can():
    seen = []
    run(network(), "auto", [lambda training: seen.append(training.engine)])
    assert seen == ["compiled", "compiled"]


def test_engine_of_an_unknown_name_is_refused_with_the_names():
    with pytest.raises(ValueError, match=f"unknown engine 'gpu'; there are: {', '.join(ENGINES)}"):
        run(network(), "gpu")
    assert ENGINES == ("auto", "python", "compiled")


def test_engine_python_runs_a_plain_layer_among_compiled_ones():
    def weights(kernel, *middle):
        net = network(*middle, kernel=kernel, dtype="float64")
        run(net, "auto")
        return net.parameters.flat

    np.testing.assert_allclose(weights("numba", Doubling()), weights("numpy", Doubling()))
    assert not np.allclose(weights("numba", Doubling()), weights("numba"))


@pytest.mark.parametrize("engine", ["python", "compiled"])
def test_engines_let_callbacks_see_every_epoch_and_stop(engine):
    seen = []

    def stop(training):
        seen.append((len(training.history), training.optimizer.steps))
        if len(seen) == 2:
            raise StopTraining("enough")

    history = run(network(), engine, [stop])
    assert seen == [(1, 3), (2, 6)]
    assert history.stopped == "enough"


def test_engine_compiled_can_be_interrupted_within_an_epoch():
    """Ctrl-C is noticed within an epoch of seconds, and what is counted has been done."""
    x, y = np.tile(X, (20_000, 1)), np.tile(LABELS, 20_000)
    net, optimizer = network(), SGD(1e-9)
    options = {"loss": SoftmaxCrossEntropy(), "optimizer": optimizer, "shuffle": False}
    fit(net, x[:100], y[:100], batch_size=1, epochs=1, engine="compiled", **options)  # compiles
    began = time.perf_counter()

    class CtrlC:
        def on_train_begin(self, training):  # not earlier: a busy machine may take its time
            threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGINT)).start()

    options["callbacks"] = [CtrlC()]
    with pytest.raises(KeyboardInterrupt):
        fit(net, x, y, batch_size=1, epochs=1000, engine="compiled", **options)
    assert time.perf_counter() - began < 10
    assert optimizer.steps > 100


@pytest.mark.parametrize(
    ("engine", "kernel"), [("python", "numpy"), ("python", "numba"), ("compiled", "numba")]
)
def test_engines_allocate_nothing_in_steady_state(engine, kernel):
    """Neither batches, nor orders, nor what lies between the layers; validation included."""
    x, y = np.tile(X.astype(np.float32), (100, 1)), np.tile(LABELS, 100)
    peaks = []

    def watch(training):
        current, peak = tracemalloc.get_traced_memory()
        peaks.append(peak - current)
        tracemalloc.reset_peak()

    tracemalloc.start()
    try:
        options = {"loss": SoftmaxCrossEntropy(), "optimizer": Adam(), "batch_size": 512}
        data = {"validation_data": (x, y), "callbacks": [watch]}
        fit(network(Tanh(), kernel=kernel), x, y, epochs=6, engine=engine, **options, **data)
    finally:
        tracemalloc.stop()
    batch = 512 * 5 * 4  # the smallest array that a step needs
    assert max(peaks[2:]) < batch / 2, peaks


def test_engines_flush_denormals_where_asked_and_until_the_training_ends():
    def fading(flush, engine):
        """Halve a weight three times; 2^-126 is the smallest normal number."""
        net = Sequential([Dense(1, 1, weights=[[2.0**-125]])])
        x, y = np.zeros((1, 1)), np.zeros(1)
        optimizer = SGD(0.5, weight_decay=1.0)
        options = {"loss": MeanSquaredError(), "optimizer": optimizer, "engine": engine}
        fit(net, x, y, epochs=3, flush_denormals=flush, **options)
        return net.parameters["dense_1.weights"][0, 0]

    for engine in ("python", "compiled"):
        assert fading(False, engine) == 2.0**-128
        assert fading(True, engine) == 2.0**-126  # the next half of it is taken as 0
        assert np.float32(1e-38) * np.float32(0.5) > 0  # in this thread, afterwards
