"""What each figure shows, in a sentence or two that are read off its data.

Names of kernels stand between backticks.
"""

import math
from collections.abc import Iterable, Mapping

from fastnn.formats import duration, percent, significant
from fastnn.study import REFERENCE
from fastnn.study.report import Report
from fastnn.study.report.figures import intensity
from fastnn.study.tables import measured, slowest_and_quickest

MAX_ROUNDING = 1e-3  # relative: losses that differ by less have not parted


def readings(data: Report) -> dict[str, str]:
    """Return the readings by the names of the figures that have one."""
    comparison = data["comparison"]
    return {
        "step": step(comparison),
        "speeds": speeds(data["speeds"]),
        "roofline": roofline(comparison),
        "inference": inference(comparison),
        "curves-over-epochs": agreement(data["curves"]),
        "approximation": approximation(data["approximation"]),
    }


def step(comparison: Report) -> str:
    """Name the longest line of the quickest step, and Python's share of it."""
    _, row = slowest_and_quickest(measured(comparison))
    if row["doubt"]:
        return f"Under `{row['kernel']}`, {row['doubt']}."
    longest = max(row["lines"], key=lambda line: float(line["seconds"]))
    share = longest["seconds"] / sum(line["seconds"] for line in row["lines"])
    text = (
        f"Under `{row['kernel']}`, products take {percent(row['product_share'])} of a step. "
        f"The longest line is {longest['call']} {longest['shapes']} in "
        f"{longest['layer'] or longest['part']}, with {percent(share)}."
    )
    if row["python_share"] is None:
        return text
    return f"{text} Between the lines, Python takes {percent(row['python_share'])} of a step."


def speeds(every: Iterable[Report]) -> str:
    """Name the kernel nearest to the peak."""
    top = max(every, key=lambda speed: float(speed["share"]["median"]))
    return (
        f"The nearest to the peak is `{top['kernel']}`, with "
        f"{significant(top['flops']['median'] / 1e9)} GFLOP/s at n = {top['n']:,}: "
        f"{percent(top['share']['median'])} of it."
    )


def roofline(comparison: Report) -> str:
    """Count the products on either side of the ridge."""
    ceilings = comparison["ceilings"]
    ridge = ceilings[comparison["dtype"]]["median"] / ceilings["read"]["median"]
    products = [line for line in measured(comparison)[0]["lines"] if line["flops"]]
    below = sum(intensity(line) < ridge for line in products)
    return (
        f"The roof bends at {significant(ridge)} operations a byte. {below} of {len(products)} "
        "products lie to the left of it: memory bounds those whose matrices the caches do not hold."
    )


def inference(comparison: Report) -> str:
    """Compare a sample alone with one in the best batch, under the quickest kernel."""
    _, row = slowest_and_quickest(measured(comparison))
    each = {e["batch_size"]: e["seconds"]["median"] / e["batch_size"] for e in row["inference"]}
    first, best = next(iter(each)), min(each, key=each.__getitem__)
    return (
        f"Under `{row['kernel']}`, a sample takes {duration(each[first])} at a batch size of "
        f"{first:,} and {duration(each[best])} at {best:,}: a factor of "
        f"{significant(each[first] / each[best])}."
    )


def agreement(curves: Iterable[Report]) -> str:
    """Return how far the losses of the kernels differ after the same epoch."""
    every = {curve["kernel"]: curve["history"] for curve in curves}
    difference = 0.0
    for kernel, history in every.items():
        for own, other in zip(history, every[REFERENCE], strict=False):
            pair = own["loss"], other["loss"]
            if None in pair or not math.isfinite(sum(pair)):
                return f"Under `{kernel}` or `{REFERENCE}` a loss is not a finite number."
            difference = max(difference, abs(pair[0] - pair[1]) / (max(map(abs, pair)) or 1.0))
    verdict = "which is rounding" if difference < MAX_ROUNDING else "as rounding has grown"
    return (
        f"After the same epoch, losses differ from `{REFERENCE}`'s by {difference:.0e} at most, "
        f"relative to the loss, {verdict}."
    )


def approximation(sine: Report) -> str:
    """Return the largest errors between the training points, and outside of them."""
    low, high = sine["seen"]
    errors: Mapping[bool, list[float]] = {True: [0.0], False: [0.0]}
    values = sine["answers"][-1]["values"]
    for x, target, value in zip(sine["x"], sine["target"], values, strict=True):
        errors[low <= x <= high].append(abs(value - target))
    inside, outside = (significant(max(errors[where])) for where in (True, False))
    return (
        f"After {sine['updates']:,} updates, the largest error is {inside} where it saw points "
        f"and {outside} elsewhere."
    )


def warnings(comparison: Report) -> list[str]:
    """Return what makes the figures less reliable."""
    found = []
    if comparison["busy"]:
        found.append(
            "The machine was busy: the middle half of the rounds of a step is "
            f"{percent(comparison['noise'])} wide. Measure again at a quieter moment."
        )
    for name, value in comparison["blas_restraints"].items():
        found.append(f"{name}={value} was set, which may slow BLAS down.")
    return found
