"""tinygrad on the CPU: the step is jitted, batches are gathered by NumPy."""

from tinygrad import Context, Tensor, TinyJit
from tinygrad.nn.optim import SGD, Adam

OPTIMIZERS = {"sgd": SGD, "adam": Adam}


def _parameters(problem):
    return [Tensor(array).realize() for layer in problem.weights for array in layer]


def _outputs(task, parameters, x):
    for i in range(0, len(parameters), 2):
        x = x @ parameters[i] + parameters[i + 1]
        if i < len(parameters) - 2:
            x = x.relu() if task.activation == "relu" else x.tanh()
    return x


def _loss(task, outputs, y):
    if task.regression:
        return ((outputs - y) ** 2).mean()
    return outputs.sparse_categorical_crossentropy(y)


def training(problem, on_epoch):
    task = problem.task
    parameters = _parameters(problem)
    optimizer = OPTIMIZERS[task.optimizer](parameters, lr=task.learning_rate)

    @TinyJit
    def step(x, y, total):
        optimizer.zero_grad()
        loss = _loss(task, _outputs(task, parameters, x), y)
        loss.backward()
        # All at once: after the update, the loss would be that of the new weights.
        Tensor.realize(total.assign(total + loss), *optimizer.schedule_step())

    x, y = Tensor(problem.x).realize(), Tensor(problem.y).realize()
    on_epoch()
    with Context(TRAINING=1):
        for order in problem.orders():
            total = Tensor.zeros(()).contiguous().realize()
            for start in range(0, task.samples, task.batch_size):
                if task.steps > 1:
                    rows = order[start : start + task.batch_size]
                    x, y = Tensor(problem.x[rows]).realize(), Tensor(problem.y[rows]).realize()
                step(x, y, total)
            on_epoch(total.item() / task.steps)


def inference(problem):
    parameters = _parameters(problem)

    @TinyJit
    def outputs(x):
        return _outputs(problem.task, parameters, x).realize()

    return lambda: outputs(Tensor(problem.x).realize()).numpy()
