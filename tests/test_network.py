import numpy as np
import pytest

import fastnn
from fastnn import (
    Adam,
    Dense,
    Dropout,
    LeakyReLU,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    kernels,
)
from fastnn.initializers import (
    Constant,
    Given,
    GlorotUniform,
    HeNormal,
    RandomNormal,
    RandomUniform,
    Zeros,
)
from fastnn.kernels import Kernel
from fastnn.kernels.ops import elementwise

X = np.random.default_rng(0).normal(size=(9, 4))


def small(**options):
    return Sequential([Dense(4, 6), Tanh(), Dense(6, 3)], **options)


def test_the_promised_names_are_exported():
    promised = """Sequential Dense ReLU LeakyReLU Sigmoid Tanh Softmax Dropout SoftmaxCrossEntropy
        BinaryCrossEntropy MeanSquaredError SGD RMSprop Adam AdamW fit evaluate"""
    assert set(promised.split()) <= set(fastnn.__all__)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", kernels.names())
def test_the_forward_pass_is_its_formula(kernel, dtype):
    net = small(kernel=kernel, dtype=dtype)
    p = {name: view.astype(np.float64) for name, view in net.parameters.items()}
    hidden = np.tanh(X @ p["dense_1.weights"] + p["dense_1.bias"])
    expected = hidden @ p["dense_2.weights"] + p["dense_2.bias"]
    outputs = net(X)
    assert outputs.dtype == dtype
    np.testing.assert_allclose(outputs, expected, atol=1e-6 if dtype == "float32" else 1e-14)


def test_parameters_are_views_into_one_vector():
    net = small()
    assert list(net.parameters) == [
        "dense_1.weights",
        "dense_1.bias",
        "dense_2.weights",
        "dense_2.bias",
    ]
    assert net.parameters.flat.shape == (4 * 6 + 6 + 6 * 3 + 3,)
    net.parameters.flat[:] = np.arange(51)
    assert net.layers[0].weights[0, 1] == 1
    assert net.parameters["dense_2.bias"].tolist() == [48, 49, 50]
    assert net.layers[2].bias is net.parameters["dense_2.bias"]
    assert net.gradients.flat.shape == net.parameters.flat.shape
    assert net.layers[0].d_weights.base is not None
    assert "51 numbers" in repr(net.parameters)


def test_the_kernel_of_a_living_network_can_be_swapped():
    net = small()
    before = net(X)
    calls = []

    def compute(a, b, out):
        calls.append(a.shape)
        out[...] = a @ b

    net.kernel = Kernel("spy", "counts", compute)
    np.testing.assert_allclose(net(X), before, rtol=1e-5)
    assert calls == [(9, 4), (9, 6)]
    net.kernel = "numpy"
    assert net.kernel.name == "numpy"
    net(X)
    assert len(calls) == 2


@pytest.mark.parametrize("samples", [0, 1, 1023, 1024, 1025, 2050])
def test_any_number_of_samples_gives_the_bits_of_each_alone(samples):
    net = small()
    x = np.random.default_rng(1).normal(size=(samples, 4))
    outputs = net(x)
    assert outputs.shape == (samples, 3)
    for i in {0, samples // 2, samples - 1} & set(range(samples)):
        assert (net(x[i : i + 1])[0] == outputs[i]).all()


def test_many_batch_sizes_keep_few_plans():
    net = small()
    for samples in range(1, 40):
        net(X[:1].repeat(samples, axis=0))
    assert len(net._predictor._idle) <= 8


def test_outputs_are_the_callers_own():
    net = small()
    first = net(X)
    kept = first.copy()
    net(X + 1)
    assert (first == kept).all()


def test_one_seed_is_one_network_in_both_dtypes():
    single, double = small(rng=5), small(rng=5, dtype="float64")
    assert (single.parameters.flat == double.parameters.flat.astype(np.float32)).all()
    assert not np.array_equal(small(rng=6).parameters.flat, single.parameters.flat)
    generator = np.random.default_rng(5)
    assert (small(rng=generator).parameters.flat == single.parameters.flat).all()


def test_given_weights_are_copied():
    weights = np.arange(8.0).reshape(4, 2)
    net = Sequential([Dense(4, 2, weights=weights, bias=[1, 2])], dtype="float64")
    assert (net.parameters["dense_1.weights"] == weights).all()
    net.parameters.flat.fill(0)
    assert weights[3, 1] == 7
    np.testing.assert_array_equal(net(X), np.zeros((9, 2)))


@pytest.mark.parametrize(
    ("initializer", "mean", "std"),
    [
        (Zeros(), 0, 0),
        (Constant(0.3), 0.3, 0),
        (RandomUniform(-1, 2), 0.5, 3 / 12**0.5),
        (RandomNormal(0.2), 0, 0.2),
        (GlorotUniform(), 0, (2 / (300 + 200)) ** 0.5),
        (HeNormal(), 0, (2 / 300) ** 0.5),
    ],
    ids=repr,
)
def test_initializers(initializer, mean, std):
    weights = initializer(np.random.default_rng(0), (300, 200))
    assert weights.shape == (300, 200)
    assert weights.mean() == pytest.approx(mean, abs=0.01)
    assert weights.std() == pytest.approx(std, rel=0.01, abs=1e-12)


def test_glorot_is_the_default_and_a_bias_starts_at_zero():
    net = Sequential([Dense(300, 200)])
    limit = (6 / 500) ** 0.5
    assert 0.99 * limit < abs(net.parameters["dense_1.weights"]).max() <= limit
    assert not net.parameters["dense_1.bias"].any()


def test_dropout_acts_in_training_only_and_anew_each_step():
    net = Sequential([Dropout(0.4), Dense(1000, 1, weights=np.ones((1000, 1)))], dtype="float64")
    assert net(np.ones((1, 1000))) == 1000
    plan = net.training_plan()
    x = np.ones((2, 1000))
    dropped = net.plan_forward(plan, x)[1]
    plan.run()
    first = dropped.copy()
    assert set(np.unique(first)) == {0, 1 / 0.6}
    assert (first == 0).mean() == pytest.approx(0.4, abs=0.05)
    assert not np.array_equal(first[0], first[1])
    plan.run()
    assert (dropped == first).all()
    net.random_state[1] += 1
    plan.run()
    assert not np.array_equal(dropped, first)


def test_the_plan_lists_every_product_with_shapes_and_flops():
    net = Sequential([Dense(784, 128), ReLU(), Dense(128, 10)])
    plan = net.plan(64, optimizer=Adam())
    text = str(plan)
    assert text == repr(plan)
    products = [line.split() for line in text.splitlines() if " matmul " in line]
    assert [line[0] for line in products] == ["forward"] * 2 + ["backward"] * 3
    assert "64×784 @ 784×128 → 64×128" in text
    assert f"{2 * 64 * 784 * 128:,}" in text
    assert "784×64 @ 64×128 → 784×128" in text
    assert plan.flops == 2 * 64 * (2 * 784 * 128 + 3 * 128 * 10)
    assert [call.name for call in plan.calls][-1] == "adam"
    assert text.splitlines()[-1].endswith("kernel numba, float32")


@pytest.mark.parametrize("activation", [ReLU, LeakyReLU, Sigmoid, Tanh])
def test_bias_and_activation_in_one_call_change_no_bit(activation, monkeypatch):
    def train():
        net = Sequential([Dense(4, 6, bias=[1, -1, 2, -2, 3, -3]), activation(), Dense(6, 3)])
        fastnn.fit(net, X, np.arange(9) % 3, loss=SoftmaxCrossEntropy(), optimizer=Adam(), epochs=3)
        forward = [call.name for call in net.plan(5).calls if call.part == "forward"]
        return net.parameters.flat, forward

    together, forward = train()
    assert len(forward) == 4  # two products, each with what follows it
    monkeypatch.setattr(elementwise, "AFTER_BIAS", {})
    apart, forward = train()
    assert len(forward) == 5
    np.testing.assert_array_equal(together, apart)


def test_the_plan_of_regression_and_the_fused_softmax():
    net = Sequential([Dense(4, 3), Softmax()])
    assert "softmax_1" not in str(net.plan(8))
    assert "mean_squared_error" in str(net.plan(8, loss=MeanSquaredError()))
    assert "softmax_1" in str(net.plan(8, loss=MeanSquaredError()))
    np.testing.assert_allclose(net(X).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Dense(0, 3), "n_in must be a whole number of at least 1, not 0"),
        (lambda: Dense(3, -1), "n_out"),
        (lambda: Dense(3, 2.5), "n_out"),
        (lambda: Dense(3, 2, weights=np.ones((3, 2)), initializer=HeNormal()), "not both"),
        (lambda: Dropout(1.0), "rate"),
        (lambda: Sequential([]), "at least one Dense"),
        (lambda: Sequential([ReLU()]), "at least one Dense"),
        (lambda: Sequential([Dense(4, 5), ReLU(), Dense(6, 2)]), "dense_2 takes 6 .* 5 come in"),
        (lambda: Sequential([Dense(4, 2, weights=np.ones((2, 4)))]), r"\(2, 4\); \(4, 2\)"),
        (lambda: Sequential([Dense(4, 2, initializer=Given([1.0]))]), r"\(1,\)"),
        (lambda: small(dtype="float16"), "float32 or float64, not float16"),
        (lambda: small(kernel="mkl"), "naive"),
        (lambda: small().plan(0), "batch_size"),
        (lambda: small()(np.ones(4)), r"\(4,\); \(samples, 4\)"),
        (lambda: small()(np.ones((2, 5))), r"\(2, 5\)"),
        (
            lambda: fastnn.evaluate(
                Sequential([Dense(4, 3), Softmax()]),
                X,
                np.ones((9, 3)),
                loss=fastnn.BinaryCrossEntropy(),
            ),
            "computed on Sigmoid, but the network ends in Softmax",
        ),
    ],
)
def test_what_does_not_fit_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_layer_belongs_to_one_network():
    layer = Dense(4, 3)
    Sequential([layer])
    with pytest.raises(ValueError, match="part of a network already"):
        Sequential([layer])
    with pytest.raises(TypeError, match="Layer objects"):
        Sequential([Dense])


def test_the_loss_may_be_left_to_its_default_in_a_plan():
    assert "softmax_cross_entropy" in str(small().plan(2))
    assert SoftmaxCrossEntropy().takes_labels
