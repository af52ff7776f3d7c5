"""Plans: what is written down, and what it looks like."""

import functools

import numpy as np
import pytest

from fastnn import Adam, Dense, Layer, MeanSquaredError, ReLU, Sequential, Softmax, op
from fastnn.engine import Execution
from fastnn.kernels import get
from fastnn.plan import MATMUL, Elementwise, Plan

KERNELS = pytest.mark.parametrize("kernel", ["numba", "numpy"])


@op
def double(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = 2 * x[i, j]


def add(a, b, y):
    np.add(a, b, out=y)


def plain(x, y):
    y[...] = 3 * x


def empty_plan(kernel="numba", dtype="float64", **options):
    return Plan(get(kernel), dtype, **options)


def names(plan):
    return [call.name for call in plan.calls]


# Arrays


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_plan_zeros_are_zeros_where_memory_is_used_again(dtype):
    for _ in range(20):
        array = empty_plan(dtype=dtype).zeros(50, 40)
        assert array.shape == (50, 40)
        assert array.dtype == dtype
        assert not array.any()
        array.fill(1e-40)  # garbage that would slow arithmetic down


def test_plan_input_is_declared_and_holds_zeros():
    plan = empty_plan()
    assert plan.inputs is plan.outputs is None
    x = plan.input(3, 4)
    assert plan.inputs is x
    assert x.shape == (3, 4)
    assert not x.any()


def test_plan_output_is_an_array_that_a_call_writes():
    plan = empty_plan()
    x = plan.input(3, 4)
    for write in (
        lambda y: plan.call("copy_rows", x, y),
        lambda y: plan.matmul(x, np.eye(4), y),
        lambda y: plan.call(Elementwise("elementwise", "relu"), x, y),
    ):
        y = plan.zeros(3, 4)
        write(y)
        plan.add_bias(np.ones(4), y)
        calls = len(plan.calls)
        assert plan.output(y) is plan.outputs is y
        assert len(plan.calls) == calls


def test_plan_output_is_a_copy_of_what_a_call_works_on_in_place():
    """The array of a caller, which takes its place, does not hold the zeros that it starts from."""
    plan = empty_plan()
    x = plan.input(3, 4)
    for write in (
        lambda y: plan.add_bias(np.ones(4), y),
        lambda y: plan.call(Elementwise("gradient", "relu_gradient"), x, y, 0.5),
        lambda y: plan.call(lambda x, y: y.__setitem__(0, x[0]), x, y),
    ):
        y = plan.zeros(3, 4)
        write(y)
        plan.add_bias(np.ones(4), y)
        assert plan.output(y) is plan.outputs is not y


def write_first_column(x, y):
    y[:, 0] = x[:, 0]


@KERNELS
@pytest.mark.parametrize("compiled", [True, False])
def test_plan_output_holds_what_no_call_writes(kernel, compiled):
    """Zeros, and what a layer filled in when it was planned."""
    fill = op(write_first_column) if compiled else write_first_column
    for write in (
        lambda plan, x, y: plan.call("copy_rows", x[:, :1], y[:, :1]),
        lambda plan, x, y: plan.call(fill, x, y),
    ):
        plan = empty_plan(kernel)
        x, y = plan.input(3, 4), plan.zeros(3, 4)
        y[:, -1] = 1
        write(plan, x, y)
        plan.output(y)
        out = np.full((3, 4), np.nan)
        assert Execution(plan).bind()(np.full((3, 4), 5.0), out)
        np.testing.assert_array_equal(out, np.tile([5.0, 0.0, 0.0, 1.0], (3, 1)))


OUTPUTS = {
    "the input": lambda plan, x, own: x,
    "a slice of the input": lambda plan, x, own: x[:, 1:],
    "a slice": lambda plan, x, own: plan.zeros(4, 4)[:, 1:],
    "all of it, as a view": lambda plan, x, own: plan.zeros(4, 4)[:],
    "reversed": lambda plan, x, own: plan.zeros(4, 4)[:, ::-1],
    "a transpose": lambda plan, x, own: plan.zeros(4, 4).T,
    "parameters": lambda plan, x, own: own,
    "one row, repeated": lambda plan, x, own: np.broadcast_to(own[0], (4, 4)),
}


@KERNELS
@pytest.mark.parametrize("give", OUTPUTS.values(), ids=OUTPUTS.keys())
def test_plan_output_is_a_copy_of_what_is_not_its_own_array(give, kernel):
    plan, own = empty_plan(kernel), np.arange(16.0).reshape(4, 4)
    x = plan.input(4, 4)
    y = give(plan, x, own)
    out = plan.output(y)
    assert plan.outputs is out
    assert out.flags.c_contiguous
    for array in (x, y, own):
        assert not np.shares_memory(out, array)
    assert names(plan) == ["copy_rows"]
    x[:] = np.random.default_rng(0).normal(size=(4, 4))
    Execution(plan).run()
    np.testing.assert_array_equal(out, y)


@KERNELS
def test_plan_contiguous_copies_what_is_not(kernel):
    plan = empty_plan(kernel)
    x = plan.zeros(3, 4)
    assert plan.contiguous(x) is x
    turned = plan.contiguous(x.T)
    assert turned.flags.c_contiguous
    x[:] = np.arange(12).reshape(3, 4)
    Execution(plan).run()
    np.testing.assert_array_equal(turned, x.T)


# Ops


@KERNELS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_plan_ops_compute_what_they_say(kernel, dtype):
    rng, plan = np.random.default_rng(0), empty_plan(kernel, dtype)
    a, b, bias = (rng.normal(size=s).astype(dtype) for s in ((5, 3), (3, 4), (4,)))
    product, sums = plan.zeros(5, 4), np.full(4, np.nan, dtype)
    plan.matmul(a, b, product)
    plan.add_bias(bias, product)
    activated = plan.activate("tanh", product, in_place=False)
    plan.sum_rows(activated, sums)
    doubled, tripled = plan.zeros(5, 4), plan.zeros(5, 4)
    plan.call(double, activated, doubled)
    plan.call(plain, doubled, tripled)
    dy = plan.zeros(5, 4)
    plan.call("copy_rows", tripled, dy)
    dx = plan.activate_gradient("tanh_gradient", activated, dy)
    Execution(plan).run()
    y = np.tanh(a @ b + bias)
    tolerance = {"rtol": 1e-5 if dtype == "float32" else 1e-13, "atol": 1e-6}
    np.testing.assert_allclose(activated, y, **tolerance)
    np.testing.assert_allclose(sums, y.sum(axis=0), **tolerance)
    np.testing.assert_allclose(dx, 6 * y * (1 - y * y), **tolerance)
    assert dx is dy


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_plan_call_rounds_numbers_to_its_dtype(dtype):
    plan = empty_plan(dtype=dtype)
    plan.call(double, 0.1, 7, True, plan.zeros(1))
    number, integer, flag, _ = plan.calls[0].args
    assert type(number) is np.dtype(dtype).type
    assert number == np.dtype(dtype).type(0.1)
    assert type(integer) is int
    assert flag is True


@pytest.mark.parametrize("op", ["copy_row", "relu", "", "_add", "compiled"])
def test_plan_with_an_op_that_does_not_exist_lists_the_ops(op):
    plan = empty_plan()
    plan.call(op, plan.zeros(2, 2), plan.zeros(2, 2))
    with pytest.raises(ValueError, match=f"no op is called '{op}'; there are .*copy_rows.*adam"):
        Execution(plan)


@pytest.mark.parametrize("in_place", [True, False])
def test_plan_with_a_function_that_does_not_exist_lists_the_functions(in_place):
    plan = empty_plan()
    plan.activate("relo", plan.zeros(2, 2), in_place=in_place)
    with pytest.raises(ValueError, match=r"no function is called 'relo'; .*relu.*tanh"):
        Execution(plan)


def test_plan_section_says_where_calls_belong():
    plan = empty_plan()
    x = plan.zeros(2, 2)
    with plan.section("forward", "dense_1"):
        plan.call("copy_rows", x, x)
        with plan.section("loss"):
            plan.call("copy_rows", x, x)
        plan.call("copy_rows", x, x)
    plan.call("copy_rows", x, x)
    assert [(call.part, call.layer) for call in plan.calls] == [
        ("forward", "dense_1"),
        ("loss", ""),
        ("forward", "dense_1"),
        ("", ""),
    ]


# A bias and the activation after it


def after_bias(plan):
    y = plan.zeros(5, 3)
    plan.add_bias(np.array([1.0, -2.0, 3.0]), y)
    return y


def test_plan_activate_shares_an_op_with_the_bias_before_it():
    plan = empty_plan()
    y = after_bias(plan)
    plan.release(y)
    assert plan.activate("leaky_relu", y, 0.5, in_place=True) is y
    assert names(plan) == ["add_bias_leaky_relu"]
    Execution(plan).run()
    np.testing.assert_array_equal(y, np.tile([1.0, -1.0, 3.0], (5, 1)))


def test_plan_activate_leaves_alone_what_may_be_read_again():
    def activated(prepare, in_place=True):
        plan = empty_plan()
        y = after_bias(plan)
        prepare(plan, y)
        other = plan.activate("leaky_relu", y, 0.5, in_place=in_place)
        assert not np.shares_memory(other, y)
        Execution(plan).run()
        np.testing.assert_array_equal(y, np.tile([1.0, -2.0, 3.0], (5, 1)))
        np.testing.assert_array_equal(other, np.tile([1.0, -1.0, 3.0], (5, 1)))

    activated(lambda plan, y: None)  # never released
    activated(lambda plan, y: plan.release(None))
    activated(lambda plan, y: plan.release(plan.zeros(5, 3)))
    activated(lambda plan, y: plan.release(y), in_place=False)


def test_plan_activate_leaves_the_input_of_a_layer_alone():
    class Residual(Layer):
        """``y = tanh(x) + x``: of what a Dense layer gives, which the layer reads twice."""

        def forward(self, plan, x):
            y = plan.zeros(*x.shape)
            plan.call(add, plan.activate("tanh", x), x, y)
            return y

    net = Sequential([Dense(3, 4), Residual()], rng=1)
    z = Sequential([Dense(3, 4)], rng=1)(np.eye(3))
    np.testing.assert_allclose(net(np.eye(3)), np.tanh(z) + z, rtol=1e-5)


def test_plan_activate_does_not_fuse_with_the_bias_of_another_array():
    plan = empty_plan()
    y = after_bias(plan)
    after_bias(plan)
    plan.release(y)
    assert plan.activate("relu", y, in_place=True) is not y
    assert names(plan) == ["add_bias", "add_bias", "relu"]


# What a plan looks like


def test_plan_lists_every_product_with_shapes_and_flops():
    net = Sequential([Dense(784, 128), ReLU(), Dense(128, 10)])
    plan = net.plan(64, optimizer=Adam())
    text = str(plan)
    assert text == repr(plan)
    products = [line.split() for line in text.splitlines() if f" {MATMUL} " in line]
    assert [line[0] for line in products] == ["forward"] * 2 + ["backward"] * 3
    assert "64×784 @ 784×128 → 64×128" in text
    assert f"{2 * 64 * 784 * 128:,}" in text
    assert "784×64 @ 64×128 → 784×128" in text
    assert plan.flops == 2 * 64 * (2 * 784 * 128 + 3 * 128 * 10)
    assert names(plan)[-1] == "adam"
    assert text.splitlines()[-1].endswith("kernel numba, float32")


def test_plan_of_a_fused_softmax_leaves_it_to_the_loss():
    net = Sequential([Dense(4, 3), Softmax()])
    assert "softmax_1" not in str(net.plan(8))
    assert "mean_squared_error" in str(net.plan(8, loss=MeanSquaredError()))
    assert "softmax_1" in str(net.plan(8, loss=MeanSquaredError()))


@pytest.mark.parametrize(
    ("what", "name"),
    [
        (MATMUL, "matmul"),
        ("adam", "adam"),
        (Elementwise("elementwise", "relu"), "relu"),
        (Elementwise("after_bias", "identity"), "add_bias"),
        (Elementwise("after_bias", "relu"), "add_bias_relu"),
        (Elementwise("gradient", "relu_gradient"), "relu_gradient"),
        (Elementwise("elementwise", plain), "plain"),
        (Elementwise("after_bias", plain), "add_bias_plain"),
        (double, "double"),
        (plain, "plain"),
        (np.negative, "negative"),
        (functools.partial(plain), "partial"),
    ],
)
def test_plan_names_its_calls(what, name):
    plan = empty_plan()
    x = plan.zeros(3, 4)
    plan.call(what, x, x)
    assert names(plan) == [name]
    assert f" {name} " in str(plan)


def test_call_shapes_and_bytes_are_those_of_its_arrays():
    plan = empty_plan(dtype="float32")
    plan.call("take_rows", plan.zeros(9, 4), np.arange(9), 0.5, plan.zeros(3, 4))
    (call,) = plan.calls
    assert call.shapes == "9×4, 9 → 3×4"
    assert call.bytes == 9 * 4 * 4 + 9 * 8 + 3 * 4 * 4
    assert call.flops == 0


def test_plan_with_an_op_without_arrays_can_be_listed_and_run():
    said = []

    class Speaks(Layer):
        def forward(self, plan, x):
            plan.call(said.append, "forward")
            return x

        def backward(self, plan, x, y, dy, needs_dx):
            return dy

    net = Sequential([Speaks(), Dense(3, 2)])
    assert "append" in str(net.plan(4))
    net(np.zeros((4, 3)))
    assert said == ["forward"]
