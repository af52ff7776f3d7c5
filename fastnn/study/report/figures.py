"""The figures of a report, each drawn into axes from the measurements that it shows."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from fastnn.formats import duration
from fastnn.kernels import DEFAULT
from fastnn.study.report import Report
from fastnn.study.report.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PINK,
    SHADE,
    SKY,
    YELLOW,
    logarithmic,
    look,
    short,
    short_duration,
)
from fastnn.study.tables import doubts, epoch_seconds, measured

Curves: TypeAlias = Mapping[str, tuple[Sequence[Report], dict[str, Any]]]  # history and look

MIN_RATIO_SHOWN = 1.3  # of times over commits, lest noise look like mountains
MAX_COMMITS_NAMED = 8
DESCENT_COLOURS = (ORANGE, BLUE, GREEN)
# The parts of a step, in its order.
PARTS = {
    "matrix products": BLUE,
    "forward": SKY,
    "loss": PINK,
    "backward": YELLOW,
    "update": GREEN,
    "batch": GREY,
}


def draw_ladder(axes: Axes, comparison: Report) -> None:
    """Draw the time of an epoch as a bar for each kernel, logarithmic."""
    rows = measured(comparison)[::-1]
    names = [row["kernel"] for row in rows]
    seconds = [row["epoch_seconds"]["median"] for row in rows]
    bars = axes.barh(names, seconds, color=[look(name, names)["color"] for name in names])
    axes.bar_label(bars, [duration(value) for value in seconds], padding=4, color=INK)
    logarithmic(axes.xaxis, short_duration)
    axes.set_xlabel("time of an epoch (logarithmic)")
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.16)


def draw_step(axes: Axes, comparison: Report) -> None:
    """Draw where the time of a step goes under each kernel: shares, stacked, unless in doubt."""
    rows = measured(comparison)[::-1]
    names = [row["kernel"] for row in rows]
    parts = [{} if row["doubt"] else _step_parts(row) for row in rows]
    starts = [0.0] * len(rows)
    axes.barh(names, starts)
    for part, colour in PARTS.items():
        shares = [each.get(part, 0.0) / (sum(each.values()) or 1.0) for each in parts]
        if any(shares):
            axes.barh(names, shares, left=starts, color=colour, label=part, height=0.62)
            starts = [start + share for start, share in zip(starts, shares, strict=True)]
    for place, row in enumerate(rows):
        step = duration(row["step_seconds"]["median"])
        _annotate(axes, step, (1, place), (5, 0), va="center")
        if row["doubt"]:
            _annotate(axes, "the lines do not add up", (0, place), (5, 0), va="center")
    axes.set(xlabel="share of a step's time", xlim=(0, 1.17))
    axes.xaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, place: f"{share:.0%}"))
    axes.grid(axis="y", visible=False)


def _step_parts(row: Report) -> dict[str, float]:
    """Return the seconds of a step by part, of which the matrix products are one."""
    parts: dict[str, float] = {}
    for line in row["lines"]:
        part = "matrix products" if line["flops"] else line["part"]
        parts[part] = parts.get(part, 0.0) + line["seconds"]
    return parts


def draw_speeds(axes: Axes, speeds: Sequence[Report], peak: float) -> None:
    """Draw GFLOP/s over the side n of square products, below the FMA `peak` in FLOP/s."""
    names = list(dict.fromkeys(speed["kernel"] for speed in speeds))
    for name in names:
        own = [speed for speed in speeds if speed["kernel"] == name]
        sides = [speed["n"] for speed in own]
        flops, low, high = (
            [speed["flops"][key] / 1e9 for speed in own] for key in ("median", "low", "high")
        )
        axes.fill_between(sides, low, high, color=look(name, names)["color"], alpha=0.2, lw=0)
        axes.plot(sides, flops, **look(name, names))
    axes.axhline(peak / 1e9, color=INK, linestyle="--", linewidth=1)
    text = f"FMA peak, {peak / 1e9:.0f} GFLOP/s"
    _annotate(axes, text, (0, peak / 1e9), (4, 4), xycoords=("axes fraction", "data"))
    logarithmic(axes.xaxis, short, base=2)
    logarithmic(axes.yaxis, short)
    axes.set(xlabel="n, of a product of n×n matrices", ylabel="GFLOP/s (logarithmic)")
    axes.set_ylim(top=peak / 1e9 * 3)


def intensity(line: Report) -> float:
    """Return the operations of a product for each byte of its operands and its result."""
    return float(line["flops"] / line["bytes"])


def draw_roofline(axes: Axes, comparison: Report, speeds: Sequence[Report]) -> None:
    """Draw GFLOP/s over operations a byte: the roof, and below it what kernels reach.

    S. Williams, A. Waterman and D. Patterson, "Roofline: an insightful visual performance
    model for multicore architectures", Communications of the ACM 52(4), 2009.
    """
    ceilings, dtype = comparison["ceilings"], comparison["dtype"]
    peak, bandwidth = ceilings[dtype]["median"], ceilings["read"]["median"]
    ridge = peak / bandwidth
    rows = measured(comparison)
    lines = {row["kernel"]: [line for line in row["lines"] if line["flops"]] for row in rows}
    squares = [speed for speed in speeds if speed["kernel"] == DEFAULT]
    itemsize = 4 if dtype == "float32" else 8
    sides = [speed["n"] / 1.5 / itemsize for speed in squares]  # 2n³ operations, 3n² numbers
    every = [intensity(line) for own in lines.values() for line in own] + sides
    left, right = min(every) / 2, max([*every, ridge]) * 2
    roof = [left, ridge, right]
    axes.plot(roof, [min(x * bandwidth, peak) / 1e9 for x in roof], color=INK, linewidth=1.4)
    axes.text(right, peak / 1e9 * 1.15, "FMA peak", ha="right", color=INK)
    middle = math.sqrt(left * ridge)
    _annotate(axes, "memory", (middle, middle * bandwidth / 1e9), (-6, 6), ha="right")
    if squares:
        flops = [speed["flops"]["median"] / 1e9 for speed in squares]
        axes.plot(sides, flops, color=BLUE, linewidth=1, alpha=0.5, label=f"{DEFAULT}, squares")
    trusted = {name: own for name, own in lines.items() if name not in doubts(rows)}
    for name, own in trusted.items():
        rates = [line["flops"] / line["seconds"] / 1e9 for line in own]
        axes.plot(list(map(intensity, own)), rates, linestyle="", **look(name, list(lines)))
    logarithmic(axes.xaxis, short)
    logarithmic(axes.yaxis, short)
    axes.set_xlabel("operations for each byte of a product's matrices")
    axes.set_ylabel("GFLOP/s (logarithmic)")
    axes.set_xlim(left, right)


def draw_inference(axes: Axes, comparison: Report) -> None:
    """Draw the time that inference takes for a sample, over the batch size."""
    rows = measured(comparison)
    names = [row["kernel"] for row in rows]
    for row in rows:
        sizes = [entry["batch_size"] for entry in row["inference"]]
        seconds = [entry["seconds"]["median"] / entry["batch_size"] for entry in row["inference"]]
        axes.plot(sizes, seconds, **look(row["kernel"], names))
    logarithmic(axes.xaxis, short, base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(comparison["inference"])))
    axes.xaxis.set_minor_locator(NullLocator())
    logarithmic(axes.yaxis, short_duration)
    axes.set(xlabel="batch size", ylabel="time of a sample")


def draw_losses(axes: Axes, curves: Curves, over: str) -> None:
    """Draw training losses over ``epochs`` or ``seconds``, by the name of each curve."""
    for name, (history, own_look) in curves.items():
        looks: dict[str, Any] = {"label": name} | own_look
        losses = [record["loss"] for record in history]
        if over == "epochs":
            places: list[float] = [record["epoch"] for record in history]
        else:
            places = list(accumulate(epoch_seconds(history)))
        axes.plot(places, losses, **looks)
    logarithmic(axes.yaxis, short)
    axes.set_ylabel("training loss (logarithmic)")
    if over == "epochs":
        axes.set_xlabel("epoch")
    else:
        logarithmic(axes.xaxis, short_duration)
        axes.set_xlabel("time spent training (logarithmic)")


def kernel_curves(curves: Sequence[Report]) -> Curves:
    """Return the curves of kernels for `draw_losses`; their markers alternate, as they coincide."""
    names = [curve["kernel"] for curve in curves]
    return {
        name: (curve["history"], look(name, names) | {"markevery": (place, len(names))})
        for place, (name, curve) in enumerate(zip(names, curves, strict=True))
    }


def descent_curves(descents: Sequence[Report]) -> Curves:
    """Return the curves of the ways of gradient descent for `draw_losses`."""
    return {
        each["gradient_descent"]: (each["history"], {"color": colour})
        for each, colour in zip(descents, DESCENT_COLOURS, strict=True)
    }


def draw_sine(
    axes: Axes,
    x: Sequence[float],
    target: Sequence[float],
    answers: Mapping[str, Sequence[float]],
    seen: tuple[float, float],
) -> None:
    """Draw a sine and its approximations; `seen` is the interval of the training points."""
    axes.axvspan(*seen, color=SHADE, label="where it saw points")
    axes.plot(x, target, color=GREY, linewidth=4, alpha=0.5, label="the sine")
    colours = (YELLOW, PINK, ORANGE)[-len(answers) :]
    for (label, values), colour in zip(answers.items(), colours, strict=True):
        axes.plot(x, values, color=colour, linewidth=1.5, label=label)
    axes.set(xlabel="input", ylabel="output", ylim=(-2.5, 2.5))


def draw_history(axes: Axes, benchmark: Report) -> None:
    """Draw times of a benchmark over commits, the oldest first, a line for each kernel."""
    commits, series = benchmark["commits"], benchmark["kernels"]
    places = range(len(commits))
    for name, values in series.items():
        seconds = [math.nan if value is None else value for value in values]
        axes.plot(places, seconds, **look(name, list(series)))
    known = [value for values in series.values() for value in values if value is not None]
    if max(known) < MIN_RATIO_SHOWN * min(known):
        axes.set_ylim(min(known) / MIN_RATIO_SHOWN, max(known) * MIN_RATIO_SHOWN)
    logarithmic(axes.yaxis, short_duration)
    every = max(1, -(-len(commits) // MAX_COMMITS_NAMED))
    axes.set_xticks(list(places)[::every], commits[::every], rotation=30, ha="right")
    axes.set(xlabel="commit, the newest to the right", ylabel="time (geometric mean)")
    if len(commits) == 1:
        axes.set_xlim(-1, 1)


def _annotate(
    axes: Axes,
    text: str,
    place: tuple[float, float],
    offset: tuple[float, float],
    **looks: Any,  # noqa: ANN401
) -> None:
    """Write next to a place, at an offset in points."""
    axes.annotate(text, place, xytext=offset, textcoords="offset points", color=INK, **looks)
