"""The process of one library. It takes JSON lines from stdin and answers each with one on stdout.

``{"task": ...}`` prepares a task and does its first round, ``{"go": true}`` is one more round,
``{"stop": true}`` ends the task. Training does not return between its epochs, as it doesn't for
a user either: it is held where it reports one.
"""

import json
import os
import resource
import sys
import time
from contextlib import suppress
from importlib import import_module
from itertools import repeat

import numpy as np

from .problems import load
from .rows import Task

ROUND_SECONDS = 0.03  # of a round, at least


class Stopped(Exception):  # noqa: N818 - an instruction, not an error
    """Raised out of a task that has been ended."""


class Channel:
    """JSON lines to and from the process that compares.

    Parameters
    ----------
    name : str
        The library's module, which answers ``{"ask": "FUNCTION"}``, in the middle of a task too.

    """

    def __init__(self, name):
        self.replies = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)  # what a library prints is not an answer
        self.module = import_module(f"benchmarks.peers.libraries.{name}")

    def reply(self, **message):
        print(json.dumps(message), file=self.replies, flush=True)

    def receive(self):
        while line := sys.stdin.readline():
            message = json.loads(line)
            if "ask" not in message:
                return message
            self._answer(message["ask"])
        raise SystemExit

    def _answer(self, name):
        try:
            self.reply(answer=getattr(self.module, name)())
        except Exception as error:
            self.reply(error=_text(error))

    def wait(self):
        """Return when the next round is to begin."""
        if "stop" in self.receive():
            raise Stopped


def training(channel, problem, train):
    """Reply the seconds of a step after each round of epochs; after the first, their losses.

    A later round is as many epochs as are worth timing.
    """
    task, losses = problem.task, []
    compared = False
    began = time.perf_counter()

    def on_epoch(loss):
        nonlocal began, compared
        losses.append(float(loss))
        elapsed = time.perf_counter() - began
        if elapsed < ROUND_SECONDS if compared else len(losses) < task.epochs:
            return
        seconds = elapsed / (len(losses) * task.steps)
        channel.reply(seconds=seconds, values=losses, peak_memory=_peak_memory())
        losses.clear()
        channel.wait()
        compared = True
        began = time.perf_counter()

    train(problem, on_epoch)


def calls(channel, function, arguments, values):
    """Reply the seconds of a call after each round of as many as are worth timing."""
    channel.reply(values=values(function(*arguments)))
    number = 1
    while True:
        channel.wait()
        seconds = _seconds(function, arguments, number)
        while seconds < ROUND_SECONDS:
            number = int(number * max(2, 1.2 * ROUND_SECONDS / max(seconds, 1e-6)))
            seconds = _seconds(function, arguments, number)
        channel.reply(seconds=seconds / number)


def _seconds(function, arguments, number):
    began = time.perf_counter()
    for _ in repeat(None, number):
        function(*arguments)
    return time.perf_counter() - began


def _peak_memory():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes, on Linux


def _of_gradient(result):
    loss, gradients = result
    flat = np.concatenate([np.ravel(gradient) for gradient in gradients])
    return [float(loss), float(np.linalg.norm(flat)), float(np.abs(flat).max())]


def _of_outputs(outputs):
    outputs = np.asarray(outputs, np.float64)
    return [*outputs[-1].tolist(), float(np.abs(outputs).mean())]


def perform(channel, problem, options):
    """Run a task until it is stopped."""
    module = channel.module
    if problem.task.kind == "memory" and hasattr(module, "epoch"):
        module.epoch(problem)
        channel.reply(peak_memory=_peak_memory())
        channel.wait()
    elif problem.task.kind in {"training", "memory"}:
        training(channel, problem, lambda *arguments: module.train(*arguments, **options))
    elif problem.task.kind == "fit":
        calls(channel, module.fit(problem), (), list)
    elif problem.task.kind == "gradient":
        calls(channel, module.loss_and_gradient(problem, **options), (), _of_gradient)
    else:
        calls(channel, module.inference(problem, **options), (problem.x,), _of_outputs)


def _text(error):
    return f"{type(error).__name__}: {error}"[:500]


NEEDED = {"training": "train", "memory": "train", "gradient": "loss_and_gradient"}


def main(name, options, directory, threads):
    if threads == "1":  # before anything asks how many cores there are
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    channel, options = Channel(name), json.loads(options)
    while True:
        message = channel.receive()
        try:
            if "stop" in message:  # after an error
                channel.reply(stopped=True)
                continue
            task = Task(**message["task"] | {"sizes": tuple(message["task"]["sizes"])})
            if not hasattr(channel.module, NEEDED.get(task.kind, task.kind)):
                channel.reply(unsupported=True)
                continue
            with suppress(Stopped):
                perform(channel, load(task, directory), options)
            channel.reply(stopped=True)
        except Exception as error:  # said in the table; the others go on
            channel.reply(error=_text(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
