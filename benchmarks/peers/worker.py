"""The process of one library, which answers each line of JSON on stdin with one on stdout.

``{"task": ...}`` prepares a task and sends the values to compare, ``{"go": true}`` does one more
round of it, ``{"stop": true}`` ends it, and ``{"ask": "FUNCTION"}`` calls a function of the
library's module, with ``"options"`` if there are any, in the middle of a task too. Training does
not return between epochs, as for a user: it is held where it reports one.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np

from .problems import load
from .tasks import Task

ROUND_SECONDS = 0.03  # at least


class Stopped(Exception):  # noqa: N818 - an instruction, not an error
    """Raised out of a task that is to end."""


class Channel:
    """The connection to the process that compares.

    Parameters
    ----------
    module : str
        That of the library, in `benchmarks.peers.libraries`.

    """

    def __init__(self, module):
        self.replies = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)  # what a library prints is not an answer
        self.module = import_module(f"benchmarks.peers.libraries.{module}")

    def reply(self, **message):
        print(json.dumps(message), file=self.replies, flush=True)

    def reply_error(self, error):
        self.reply(error=f"{type(error).__name__}: {error}"[:500])

    def receive(self):
        """Return the next message that is not a question; answer those."""
        while line := sys.stdin.readline():
            message = json.loads(line)
            if "ask" not in message:
                return message
            try:
                function = getattr(self.module, message["ask"])
                self.reply(answer=function(**message.get("options", {})))
            except Exception as error:
                self.reply_error(error)
        raise SystemExit

    def wait(self):
        """Return when the next round is to begin."""
        if "stop" in self.receive():
            raise Stopped


def training(channel, task, train):
    """Send the losses of the first epochs, then a step's seconds after each round of epochs."""
    losses, compared = [], False
    began = time.perf_counter()

    def on_epoch(loss=None):
        nonlocal began, compared
        if loss is None:
            return
        losses.append(float(loss))
        elapsed = time.perf_counter() - began
        if elapsed < ROUND_SECONDS if compared else len(losses) < task.epochs:
            return
        seconds = elapsed / (len(losses) * task.steps)
        channel.reply(seconds=seconds, values=losses, bytes=peak_memory())
        losses.clear()
        channel.wait()
        compared = True
        began = time.perf_counter()

    train(on_epoch)


def epochs(channel, train):
    """Say when the first epoch can begin, then send the seconds and the loss of each."""
    began = 0.0

    def on_epoch(loss=None):
        nonlocal began
        if loss is None:
            channel.reply()
        else:
            channel.reply(seconds=time.perf_counter() - began, values=[float(loss)])
        channel.wait()
        began = time.perf_counter()

    train(on_epoch)


def calls(channel, function, values, threads):
    """Send the values of a call, then a call's seconds after each round of calls."""
    # Here, so that the peak memory of a library does not include it.
    from fastnn.kernels.measuring.timing import Stopwatch, repeated  # noqa: PLC0415

    channel.reply(values=values(function()))
    channel.wait()
    watch = Stopwatch(repeated(function), ROUND_SECONDS, threads)
    channel.reply()
    while True:
        channel.wait()
        channel.reply(seconds=watch())


def peak_memory():
    """Return the most bytes that this process has held; `resource` counts its parent's too."""
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def _of_gradient(result):
    loss, gradients = result
    flat = np.concatenate([np.ravel(gradient) for gradient in gradients])
    return [float(loss), float(np.linalg.norm(flat)), float(np.abs(flat).max())]


def _of_outputs(outputs):
    outputs = np.asarray(outputs, np.float64)
    return [*outputs[-1].tolist(), float(np.abs(outputs).mean())]


def printed_accuracy(command):
    """Run a command in an empty directory; return the test accuracy that it prints, in a list."""
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return [float(re.search(r"test accuracy ([\d.]+)", done.stdout)[1])]


# What is compared of a call's result.
VALUES = {"gradient": _of_gradient, "inference": _of_outputs, "fit": list, "process": list}


def perform(channel, problem, options, threads):
    """Do a task until it is stopped."""
    module, kind = channel.module, problem.task.kind
    if kind in VALUES:
        function = getattr(module, kind)(problem, **options)
        if kind == "process":
            function = partial(printed_accuracy, function)
        calls(channel, function, VALUES[kind], threads)
    elif kind == "memory" and hasattr(module, "memory"):
        module.memory(problem)
        channel.reply(bytes=peak_memory())
        channel.wait()
    else:
        train = partial(module.training, problem, **options)
        epochs(channel, train) if kind == "epoch" else training(channel, problem.task, train)


def main(module, options, directory, threads):
    if threads == "1":  # before anything asks how many cores there are
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    channel = Channel(module)
    while True:
        message = channel.receive()
        try:
            if "task" in message:  # and not a stop, after an error
                task = Task(**message["task"] | {"sizes": tuple(message["task"]["sizes"])})
                problem = load(task, directory)
                with suppress(Stopped):
                    perform(channel, problem, json.loads(options), int(threads))
            channel.reply(stopped=True)
        except Exception as error:  # shown in the table; the other tasks go on
            channel.reply_error(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
