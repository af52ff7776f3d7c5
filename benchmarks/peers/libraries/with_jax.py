"""JAX: one jitted step or, in training, an epoch as one jitted scan; the state is donated."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def _outputs(task, parameters, x):
    activation = ACTIVATIONS[task.activation]
    for weights, bias in parameters[:-1]:
        x = activation(x @ weights + bias)
    weights, bias = parameters[-1]
    return x @ weights + bias


def _loss(task, parameters, x, y):
    outputs = _outputs(task, parameters, x)
    if task.regression:
        return jnp.mean((outputs - y) ** 2)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(outputs), y[:, None], axis=1)
    return -jnp.mean(chosen)


def _sgd(task, parameters, gradients, state):
    rate = task.learning_rate
    return jax.tree.map(lambda w, g: w - rate * g, parameters, gradients), state


def _adam(task, parameters, gradients, state):
    steps, means, squares = state
    steps = steps + 1
    means = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, means, gradients)
    squares = jax.tree.map(lambda s, g: BETA_2 * s + (1 - BETA_2) * g * g, squares, gradients)
    root = jnp.sqrt(1 - BETA_2**steps)
    rate = task.learning_rate * root / (1 - BETA_1**steps)
    parameters = jax.tree.map(
        lambda w, m, s: w - rate * m / (jnp.sqrt(s) + EPSILON * root), parameters, means, squares
    )
    return parameters, (steps, means, squares)


OPTIMIZERS = {"sgd": _sgd, "adam": _adam}


def _step(task, x, y, carry, rows):
    parameters, state = carry
    if task.steps > 1:
        x, y = x[rows], y[rows]
    loss, gradients = jax.value_and_grad(partial(_loss, task))(parameters, x, y)
    return OPTIMIZERS[task.optimizer](task, parameters, gradients, state), loss


def _parameters(problem):
    return jax.tree.map(jnp.array, problem.weights)


@cache  # so that a second training of the task does not wait for the compiler
def _compiled(task):
    # The data are arguments, since what a jitted function closes over is compiled as a constant.
    @partial(jax.jit, donate_argnums=0)
    def step(carry, rows, x, y):
        return _step(task, x, y, carry, rows)

    @partial(jax.jit, donate_argnums=0)
    def epoch(carry, order, x, y):
        return jax.lax.scan(partial(_step, task, x, y), carry, order)

    return step, epoch


def training(problem, on_epoch, *, scan):
    task = problem.task
    x, y = jnp.array(problem.x), jnp.array(problem.y)
    carry = _parameters(problem), ()
    if task.optimizer == "adam":
        zeros = partial(jax.tree.map, jnp.zeros_like, carry[0])
        carry = carry[0], (jnp.zeros((), jnp.float32), zeros(), zeros())

    step, epoch = _compiled(task)
    jax.block_until_ready((carry, x, y))
    on_epoch()
    for drawn in problem.orders():
        order = drawn.reshape(task.steps, task.batch_size).astype("int32")
        if scan:
            carry, losses = epoch(carry, order, x, y)
        else:
            losses = []
            for rows in order:
                carry, loss = step(carry, rows, x, y)
                losses.append(loss)
            losses = jnp.stack(losses)
        jax.block_until_ready(carry)  # JAX returns arrays before they are computed
        on_epoch(float(losses.mean()))


def denormals(**options):
    product = jax.jit(jnp.multiply)(jnp.full(1, 1e-39), 0.5)
    return "kept" if np.asarray(product) else "flushed"


def gradient(problem, *, scan):
    compiled = jax.jit(jax.value_and_grad(partial(_loss, problem.task)))
    parameters, x, y = _parameters(problem), jnp.array(problem.x), jnp.array(problem.y)

    def call():
        value, gradients = jax.block_until_ready(compiled(parameters, x, y))
        return value, jax.tree.leaves(gradients)

    return call


def inference(problem, *, scan):
    compiled = jax.jit(partial(_outputs, problem.task))
    parameters = _parameters(problem)
    return lambda: compiled(parameters, problem.x).block_until_ready()
