"""Carry out the tasks: all libraries must give the same values, then they are timed by turns."""

import time
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from statistics import median

import numpy as np

from fastnn.kernels.measuring.timing import Spread

from .libraries import FASTNN
from .processes import Worker, WorkerError

# The largest relative deviation from FastNN's losses, gradients and outputs. Sums of float32 in
# another order differ in the last bits, and each step of a training carries on from there: the more
# of them, the further. Whole processes train on other splits of the data: their accuracies are
# alike.
TOLERANCE = {
    "training": 2e-3,
    "epoch": 2e-2,
    "fit": 2e-3,
    "gradient": 1e-4,
    "inference": 1e-4,
    "process": 0.05,
}
BEGINNING = 200  # steps
LONG_ROUND, MIN_ROUNDS = 2.0, 3  # a library whose round takes more seconds has fewer of them


def run(tasks, threads, libraries, rounds, directory, progress):
    """Yield a row of the report for each task.

    Parameters
    ----------
    tasks : list of Task
    threads : int
        With 1, each process is pinned to a single core.
    libraries : list of Library
        FastNN first.
    rounds : int
    directory : str
        Where the samples are.
    progress : callable
        Called with what is to be measured next.

    """
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(library, threads, directory)) for library in libraries
        ]
        for task in tasks:
            progress(f"{task.name}, threads {threads}")
            able = [worker for worker in workers if task.kind in worker.library.kinds]
            if task.kind == "memory":
                fresh = (Worker(worker.library, threads, directory) for worker in able)
                yield summary(task, threads, peaks_of_memory(task, fresh))
            elif task.kind == "epoch":
                yield summary(task, threads, *trained(task, threads, able, rounds))
            else:
                yield summary(task, threads, *timed(task, threads, able, rounds))


def peaks_of_memory(task, workers):
    """Return for each library the most memory that its process held."""
    results = {}
    for worker in workers:
        with worker:
            try:
                results[worker.library.name] = {"bytes": worker.begin(task)["bytes"]}
            except WorkerError as error:
                results[worker.library.name] = {"error": str(error)}
    return results


def timed(task, threads, workers, rounds):
    """Return for each library its seconds by round, or why there are none; and the FMA peaks."""
    results, ready, expected = {}, [], None
    for worker in workers:
        result = results[worker.library.name] = {}
        try:
            values = worker.begin(task)["values"]
            expected = expected or values
            result["deviation"] = deviation(task, values, expected)
            worker.ask(go=True)  # a round to warm up
            ready.append(worker)
        except WorkerError as error:
            result["error"] = str(error)
            if expected is None:
                break  # nothing to compare with
    peaks = _alternate(ready, rounds, results, with_peak=threads == 1 and _has_share(task))
    _stop(workers[: len(results)])
    return results, peaks


def trained(task, threads, workers, rounds):
    """Return for each library the seconds of an epoch after `task.epochs` others; the FMA peaks.

    All train by turns, an epoch at a time. Before, a `beginning` must have the same loss, and whole
    epochs must have similar ones. Kept are the seconds of the first epochs too, and what becomes of
    denormal numbers.
    """
    results, ready, expected = {}, [], None
    for worker in workers:
        result = results[worker.library.name] = {}
        try:
            values = worker.begin(beginning(task))["values"]
            expected = expected or values
            deviation(beginning(task), values, expected)
            asked = worker.ask(ask="denormals", options=worker.library.options)
            result["denormals"] = asked["answer"]
            worker.ask(stop=True)
            worker.begin(task)
            worker.ask(go=True)  # an epoch, for which code is compiled
            worker.ask(stop=True)
            worker.begin(task)
            ready.append(worker)
        except WorkerError as error:
            result["error"] = str(error)
            if expected is None:
                break  # nothing to compare with
    rounds += task.epochs
    peaks = _alternate(ready, rounds, results, with_peak=threads == 1, min_rounds=rounds)
    expected = results[FASTNN].get("losses")
    for worker in ready:
        result = results[worker.library.name]
        if "error" in result or expected is None:
            continue
        try:
            result["deviation"] = deviation(task, result["losses"], expected)
            result["epochs"] = result["seconds"]
            result["seconds"] = result["epochs"][task.epochs :]
        except WorkerError as error:
            results[worker.library.name] = {"error": str(error)}
    _stop(workers[: len(results)])
    return results, peaks


def beginning(task):
    """Return the first steps of a task, which no library can do otherwise unnoticed."""
    steps = min(task.steps, BEGINNING)
    return replace(task, kind="training", samples=steps * task.batch_size, epochs=1)


def deviation(task, values, expected):
    """Return the largest relative deviation of the values.

    Raises
    ------
    WorkerError
        It is above the tolerance.

    """
    values, expected = np.array(values), np.array(expected)
    # Outputs near 0 are compared with the size of the others.
    scale = np.abs(expected).max() if task.kind == "inference" else np.abs(expected)
    largest, allowed = float(np.max(np.abs(values - expected) / scale)), TOLERANCE[task.kind]
    if not largest <= allowed:
        raise WorkerError(
            f"another answer than {FASTNN}'s: {values[0]:.6g} instead of {expected[0]:.6g}, a "
            f"deviation of {largest:.1e} where {allowed:.0e} is allowed"
        )
    return largest


def _has_share(task):
    return task.kind in {"training", "fit"}


def _stop(workers):
    for worker in workers:
        with suppress(WorkerError):  # shown already
            worker.ask(stop=True)


def _alternate(workers, rounds, results, *, with_peak, min_rounds=MIN_ROUNDS):
    """Add the seconds of each round to the results; return the FMA peaks measured in between."""
    peaks, turns = [], dict.fromkeys(workers, rounds)
    for number in range(rounds):
        shift = number % max(1, len(workers))  # so that another one begins
        for worker in workers[shift:] + workers[:shift]:
            if number >= turns[worker]:
                continue
            result = results[worker.library.name]
            began = time.perf_counter()
            try:
                answer = worker.ask(go=True)
                result.setdefault("seconds", []).append(answer["seconds"])
                result.setdefault("losses", []).extend(answer.get("values", []))
                if time.perf_counter() - began > LONG_ROUND:
                    turns[worker] = min_rounds
            except WorkerError as error:
                results[worker.library.name] = {"error": str(error)}
                turns[worker] = 0
            if with_peak and worker.library.name == FASTNN:
                with suppress(WorkerError):
                    peaks.append(worker.ask(ask="fma_peak")["answer"])
    return peaks


def summary(task, threads, results, peaks=()):
    """Return a row of the report: the results, with medians, ratios and shares of the FMA peak."""
    own = results[FASTNN]
    peak = median(peaks) if peaks else None
    for name, result in results.items():
        seconds = result.get("seconds")
        if seconds:
            result.update(_spread(seconds, "median", "spread"))
        if seconds and peak:
            result["share"] = task.flops / result["median"] / peak
        if seconds and name != FASTNN and "seconds" in own:
            # By pairs, as what slows a round down slows both; a slow library has fewer.
            pairs = zip(seconds, own["seconds"], strict=False)
            result.update(
                _spread([theirs / ours for theirs, ours in pairs], "ratio", "ratio_spread")
            )
        if "bytes" in result and name != FASTNN and "bytes" in own:
            result["ratio"] = result["bytes"] / own["bytes"]
    return {
        "name": task.name,
        "threads": threads,
        "task": asdict(task),
        "fma_peak": peak,
        "results": results,
    }


def _spread(values, middle, width):
    spread = Spread.of(values)
    return {middle: spread.median, width: spread.width}
