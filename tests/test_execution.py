"""Plans made ready to run: what is compiled, what is cut by rows, and what inference binds."""

import contextlib
import functools

import numpy as np
import pytest

from fastnn import (
    Adam,
    Dense,
    LeakyReLU,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
    fit,
    kernels,
    op,
)
from fastnn.engine import MIN_ELEMENTS_PER_THREAD, Execution
from fastnn.kernels.runtime.abi import entry_point
from fastnn.kernels.runtime.program import Program, run_lines_side_by_side
from fastnn.kernels.runtime.threads import MAX_THREADS, load_threads, number_of_threads
from fastnn.plan import Plan

RNG = np.random.default_rng(0)
KERNELS = pytest.mark.parametrize("kernel", ["numba", "numpy"])


@op
def double(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = 2 * x[i, j]


def increment(x, y):
    y[...] = x + 1


def chain(*steps, kernel="numba"):
    """Return a plan of ``y = x`` through some ops, its input and its output declared."""
    plan = Plan(kernels.get(kernel), "float64")
    x = plan.input(2, 3)
    for step in steps:
        y = plan.zeros(2, 3)
        plan.call(step, x, y)
        x = y
    plan.output(x)
    return plan


# What is compiled


def test_execution_of_compiled_ops_is_one_program():
    execution = Execution(chain(double, double, "copy_rows"))
    assert execution.program is not None
    assert execution.not_compiled == ()
    assert len(execution.program.lines) == 3


def test_execution_names_what_only_python_can_run():
    plan = chain(double, increment, double, increment, functools.partial(increment), np.negative)
    execution = Execution(plan)
    assert execution.program is None
    assert execution.not_compiled == ("increment", "partial", "negative")
    plan.inputs[:] = 1
    execution.run()
    assert (plan.outputs == -8).all()  # ((1 · 2 + 1) · 2 + 1) + 1, negated


def test_execution_names_the_product_of_a_kernel_that_is_not_compiled():
    plan = Sequential([Dense(3, 2)], kernel="numpy").plan(4)
    execution = Execution(plan)
    assert execution.program is None
    assert execution.not_compiled == ("matmul",)


def test_execution_of_an_empty_plan_runs_nothing():
    Execution(Plan(kernels.get("numba"), "float32")).run()


# Where inference puts its arrays


@pytest.mark.parametrize("steps", [(double, double), (double, increment), (increment,), ()])
def test_execution_bind_computes_outputs_from_inputs(steps):
    run = Execution(chain(*steps)).bind()
    for _ in range(3):
        x, out = RNG.normal(size=(2, 3)), np.full((2, 3), np.nan)
        assert run(x, out)
        expected = x
        for step in steps:
            expected = 2 * expected if step is double else expected + 1
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("steps", [(double,), (increment,)], ids=["compiled", "plain"])
def test_execution_bind_refuses_another_kind_of_input(steps):
    run = Execution(chain(*steps)).bind()
    for x in (np.ones((3, 2)), np.ones((1, 3)), np.ones((2, 3), np.float32), np.ones(3), [[1.0]]):
        out = np.full((2, 3), 7.0)
        with contextlib.suppress(TypeError):
            assert not run(x, out)
        assert (out == 7).all()


@pytest.mark.parametrize("kernel", kernels.names())
def test_execution_bind_needs_a_declared_input_and_output(kernel):
    plan = Plan(kernels.get(kernel), "float32")
    with pytest.raises(ValueError, match="no declared input and output"):
        Execution(plan).bind()
    x = plan.input(2, 2)
    with pytest.raises(ValueError, match="no declared input and output"):
        Execution(plan).bind()
    plan.output(x)
    assert Execution(plan).bind()(np.ones((2, 2), np.float32), np.empty((2, 2), np.float32))


# Ops on large matrices, cut by rows for several threads

ROWS = 2 * MIN_ELEMENTS_PER_THREAD // 32 + 1  # of 32 columns: two parts, which differ in size
X = np.sin(np.arange(ROWS * 3.0)).reshape(ROWS, 3)
Y = X[:, :2] ** 2
STEPS = 3


def wide(activation):
    return Sequential([Dense(3, 32), activation(), Dense(32, 32), activation(), Dense(32, 2)])


def trained(activation, engine):
    net = wide(activation)
    options = {"gradient_descent": "batch", "epochs": STEPS, "engine": engine}
    fit(net, X, Y, loss=MeanSquaredError(), optimizer=Adam(), **options)
    return net.parameters.flat


def stepped(activation, *, threads):
    """Do the same steps by hand, with ops cut by rows or not."""
    net, loss, optimizer = wide(activation), MeanSquaredError(), Adam()
    inputs, targets = net.check_data(X, Y, loss)
    plan = net.training_plan()
    net.plan_step(plan, inputs, targets, loss, optimizer, np.zeros(3))
    execution = Execution(plan, threads=threads)
    for _ in range(STEPS):
        optimizer.begin_steps()
        execution.run()
    return net.parameters.flat


@pytest.mark.parametrize("activation", [Tanh, Sigmoid, ReLU, LeakyReLU])
def test_execution_gives_the_same_bits_on_any_number_of_threads_cut_or_not(activation):
    expected = stepped(activation, threads=False)
    for threads in sorted({1, MAX_THREADS}):
        kernels.set_num_threads(threads)
        np.testing.assert_array_equal(stepped(activation, threads=True), expected)
        for engine in ("python", "compiled"):
            np.testing.assert_array_equal(trained(activation, engine), expected)


def lines_side_by_side(program):
    """Return how many lines of a program run those of another one side by side."""
    load_threads()
    address = entry_point(run_lines_side_by_side, (Program([]).lines, number_of_threads))
    return np.count_nonzero(program.lines[:, 0] == address)


@pytest.mark.skipif(MAX_THREADS == 1, reason="nothing is cut for one thread")
def test_execution_cuts_large_ops_and_no_small_ones():
    net = Sequential([Dense(3, 32), Tanh(), Dense(32, 2)])
    large, small = net.plan(ROWS), net.plan(ROWS // 2)
    assert lines_side_by_side(Execution(large).program) > 0
    assert lines_side_by_side(Execution(large, threads=False).program) == 0
    assert lines_side_by_side(Execution(small).program) == 0


@pytest.mark.skipif(MAX_THREADS == 1, reason="nothing is cut for one thread")
def test_execution_cuts_no_op_whose_rows_depend_on_each_other():
    plan = Plan(kernels.get("numba"), "float32")
    x, y, sums = plan.zeros(ROWS, 32), plan.zeros(ROWS, 32), plan.zeros(32)
    plan.call("softmax", x, y)
    plan.sum_rows(y, sums)
    assert lines_side_by_side(Execution(plan).program) == 0
    plan.activate("tanh", y)
    assert lines_side_by_side(Execution(plan).program) == 1


@KERNELS
@pytest.mark.parametrize("last", [Tanh, Softmax])
def test_inference_of_large_ops_reads_and_writes_what_it_is_given(last, kernel):
    net = Sequential([Dense(3, 512), last()], kernel=kernel, rng=RNG)
    for _ in range(2):
        x = RNG.normal(size=(1024, 3)).astype(np.float32)
        scores = x @ net.parameters["dense_1.weights"]
        exponentials = np.exp(scores)
        softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(net(x), np.tanh(scores) if last is Tanh else softmax, atol=1e-6)
