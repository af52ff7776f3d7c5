"""Carry out the tasks: all libraries must give the same values, then they are timed by turns."""

import time
from contextlib import ExitStack, suppress
from dataclasses import asdict
from statistics import median

import numpy as np

from fastnn.kernels.measuring.timing import Spread

from .libraries import FASTNN
from .processes import Worker, WorkerError

# The largest relative deviation from FastNN's losses, gradients and outputs. Sums of float32 in
# another order differ in the last bits, and each step of a training carries on from there. Whole
# processes train on other splits of the data: their accuracies are alike.
TOLERANCE = {
    "training": 2e-3,
    "fit": 2e-3,
    "gradient": 1e-4,
    "inference": 1e-4,
    "process": 0.05,
}
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
    for worker in workers[: len(results)]:
        with suppress(WorkerError):  # shown already
            worker.ask(stop=True)
    return results, peaks


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


def _alternate(workers, rounds, results, *, with_peak):
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
                result.setdefault("seconds", []).append(worker.ask(go=True)["seconds"])
                if time.perf_counter() - began > LONG_ROUND:
                    turns[worker] = MIN_ROUNDS
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
