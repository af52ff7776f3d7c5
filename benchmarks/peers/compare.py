"""Run the rows: first the same answers from all, then rounds by turns."""

import time
from contextlib import suppress
from dataclasses import asdict
from statistics import median, quantiles

import numpy as np

from .names import FASTNN
from .processes import WorkerError

# Sums of float32 taken in another order differ in the last bits, and each step of a training starts
# from the differences of the one before: relative, of losses, gradients' norms and outputs.
TOLERANCE = {"training": 2e-3, "gradient": 1e-4, "inference": 1e-4, "fit": 2e-3}

PATIENCE, FEWEST_ROUNDS = 2.0, 3  # a library whose round takes more seconds has so few of them


def run_row(row, workers, rounds):
    """Return what one row came to: for each library its rounds' seconds, or why there are none.

    Parameters
    ----------
    row : Row
    workers : list of Worker
        FastNN's first.
    rounds : int

    Returns
    -------
    dict
        As in the JSON, see `benchmarks.peers.report`.

    """
    results, taking_part = {}, []
    expected = None
    for worker in workers:
        try:
            answer = worker.begin(row.task)
            if answer is None:
                continue
            expected = expected or answer["values"]
            results[worker.name] = {"deviation": check(row, answer["values"], expected)}
            taking_part.append(worker)
            worker.ask(go=True)  # compiled code is loaded, caches are warm, a number is chosen
        except WorkerError as error:
            results[worker.name] = {"error": str(error)}
            if expected is None:
                break  # nothing to compare with
    taking_part = [worker for worker in taking_part if "error" not in results[worker.name]]
    peak = _alternate(taking_part, rounds, results, wants_share=_has_share(row))
    for worker in workers:
        if worker.name in results:
            _end(worker)
    return summary(row, results, peak)


def check(row, values, expected):
    """Return the largest relative deviation of the values.

    Raises
    ------
    WorkerError
        It is above the tolerance.

    """
    values, expected = np.array(values), np.array(expected)
    # Outputs near 0 are compared with the size of the others.
    scale = np.abs(expected).max() if row.task.kind == "inference" else np.abs(expected)
    deviation = float(np.max(np.abs(values - expected) / scale))
    if not deviation <= TOLERANCE[row.task.kind]:
        raise WorkerError(
            f"another answer than {FASTNN}'s: {values[0]:.6g} instead of {expected[0]:.6g}, a "
            f"deviation of {deviation:.1e} where {TOLERANCE[row.task.kind]:.0e} is allowed"
        )
    return deviation


def _has_share(row):
    return row.threads == 1 and row.task.kind in {"training", "fit"}


def _alternate(workers, rounds, results, *, wants_share):
    """Add the seconds of each worker's rounds; return the FMA peak measured between them.

    No two workers follow each other always.
    """
    peaks, slow = [], set()
    for number in range(rounds):
        shift = number % max(1, len(workers))
        for worker in workers[shift:] + workers[:shift]:
            if worker.name in slow and number >= FEWEST_ROUNDS:
                continue
            began = time.perf_counter()
            try:
                seconds = worker.ask(go=True)["seconds"]
                results[worker.name].setdefault("seconds", []).append(seconds)
            except WorkerError as error:
                results[worker.name] = {"error": str(error)}
                workers = [each for each in workers if each is not worker]
            if time.perf_counter() - began > PATIENCE:
                slow.add(worker.name)
            if wants_share and worker.name == FASTNN:
                peaks += filter(None, [_fma_peak(worker)])
    return median(peaks) if peaks else None


def _end(worker):
    with suppress(WorkerError):  # it has said so already
        worker.ask(stop=True)


def _fma_peak(worker):
    """Return the measured FMA peak of one core in flops a second, None where it can't be."""
    try:
        return worker.ask(ask="fma_peak")["answer"]
    except WorkerError:
        return None


def summary(row, results, peak=None):
    """Return a row's result with medians, ratios and whether its bars hold."""
    fastnn = results[FASTNN].get("seconds")
    for name, result in results.items():
        if "seconds" not in result:
            continue
        result["median"] = median(result["seconds"])
        result["spread"] = spread(result["seconds"])
        if fastnn and name != FASTNN:
            # By pairs, as what slows a whole round down slows both; a slow library has fewer.
            ratios = [s / f for s, f in zip(result["seconds"], fastnn, strict=False)]
            result["ratio"], result["ratio_spread"] = median(ratios), spread(ratios)
        if peak is not None:
            result["share"] = flops(row.task) / result["median"] / peak
    ratios = {name: result["ratio"] for name, result in results.items() if "ratio" in result}
    ways = [ratios[name] for name in ratios if name.startswith("JAX")]
    compared = ratios | ({"JAX": min(ways)} if ways else {})
    return {
        "name": row.name,
        "threads": row.threads,
        "task": asdict(row.task),
        "bars": row.bars,
        "limit": row.limit,
        "share_bar": row.share,
        "fma_peak": peak,
        "results": results,
        "holds": holds(row, results[FASTNN], compared),
    }


def flops(task):
    """Return the floating-point operations of what is timed: a step, a call or a whole fit."""
    return task.flops * (task.steps * task.epochs if task.kind == "fit" else 1)


def holds(row, fastnn, ratios):
    """Return for each bar whether it holds; None where nothing was measured."""
    verdicts = {
        name: ratios[name] >= least if name in ratios else None for name, least in row.bars.items()
    }
    if row.limit is not None:
        verdicts["limit"] = fastnn["median"] <= row.limit if "median" in fastnn else None
    if row.share is not None:
        verdicts["share"] = fastnn["share"] >= row.share if "share" in fastnn else None
    return verdicts


def spread(values):
    """Return the interquartile range over the median, 0 for a single value."""
    if len(values) < 2:
        return 0.0
    low, middle, high = quantiles(values, method="inclusive")
    return (high - low) / middle
