"""PyTorch, eager or compiled: fused optimizers, gradients reset to None, index_select."""

import os
from itertools import chain

import torch
from torch.nn import functional

ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def network(problem):
    layers = []
    for weights, bias in problem.weights:
        dense = torch.nn.Linear(*weights.shape)
        with torch.no_grad():
            dense.weight.copy_(torch.from_numpy(weights.T))
            dense.bias.copy_(torch.from_numpy(bias))
        layers.append((dense, ACTIVATIONS[problem.task.activation]()))
    return torch.nn.Sequential(*[*chain.from_iterable(layers)][:-1])


def _loss(problem, net, compiled):
    criterion = functional.mse_loss if problem.task.regression else functional.cross_entropy

    def loss(x, y):
        return criterion(net(x), y)

    return torch.compile(loss, dynamic=False) if compiled else loss


def training(problem, on_epoch, *, compiled=False, flush=False):
    torch.set_flush_denormal(flush)  # of this thread and of those that it starts from now on
    task = problem.task
    net = network(problem)
    loss = _loss(problem, net, compiled)
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    optimizer = kinds[task.optimizer](net.parameters(), lr=task.learning_rate, fused=True)
    all_x, all_y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
    x, y = all_x, all_y
    on_epoch()
    for order in map(torch.from_numpy, problem.orders()):
        total = torch.zeros(())
        for rows in order.split(task.batch_size):
            if task.steps > 1:
                x, y = all_x.index_select(0, rows), all_y.index_select(0, rows)
            optimizer.zero_grad()
            value = loss(x, y)
            value.backward()
            optimizer.step()
            total += value.detach()
        on_epoch(total.item() / task.steps)


def denormals(**options):
    """Say what becomes of them since the training has begun."""
    return "kept" if torch.full((1,), 1e-39) * 1 else "flushed"


def gradient(problem, *, compiled):
    net = network(problem)
    loss = _loss(problem, net, compiled)
    x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
    parameters = tuple(net.parameters())

    def call():
        value = loss(x, y)
        gradients = torch.autograd.grad(value, parameters)
        return value.item(), [gradient.numpy() for gradient in gradients]

    return call


def inference(problem, *, compiled):
    net = network(problem).eval()
    if compiled:
        net = torch.compile(net, dynamic=False)

    @torch.inference_mode()
    def call():
        return net(torch.from_numpy(problem.x)).numpy()

    return call
