"""The pictures of README.md: SVG on a white ground, readable where a page is dark."""

import math
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from statistics import median

with suppress(ImportError):  # asv imports every file here, where there is no Matplotlib
    import matplotlib as mpl
    from matplotlib.figure import Figure

FIGURES = Path(__file__).parent / "figures"
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#777777"  # for the colour-blind too
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e5e5",
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "fastnn",  # the same picture is the same file
}


def new_figure(columns, height):
    """Return a figure of some panels side by side, and the panels."""
    figure = Figure(figsize=(8, height), facecolor="white", layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def save(figure, name):
    """Write a picture; return the Markdown that shows it."""
    FIGURES.mkdir(exist_ok=True)
    figure.savefig(FIGURES / f"{name}.svg", metadata={"Date": None})
    return f"benchmarks/figures/{name}.svg"


def draw_ladder(rows):
    """Draw seconds an epoch for each of some ``(kernel, seconds)``."""
    with mpl.rc_context(STYLE):
        figure, (axes,) = new_figure(1, 2.6)
        names, seconds = zip(*reversed(rows), strict=True)
        bars = axes.barh(names, seconds, color=BLUE)
        axes.bar_label(bars, [duration(value) for value in seconds], padding=4)
        axes.set(xscale="log", xlabel="seconds an epoch (logarithmic)")
        axes.set_title("One epoch on the digits, under each kernel", loc="left")
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.12)
        return save(figure, "ladder")


def draw_gradient_descent(histories):
    """Draw the training loss of some ``{name: history}`` over epochs and over seconds."""
    with mpl.rc_context(STYLE):
        figure, panels = new_figure(2, 3.2)
        for (name, history), colour in zip(histories.items(), (ORANGE, BLUE, GREEN), strict=True):
            losses = [record["loss"] for record in history]
            panels[0].plot(range(1, len(losses) + 1), losses, color=colour, label=name)
            panels[1].plot(
                list(accumulate(epoch_seconds(history))), losses, color=colour, label=name
            )
        panels[0].set(xlabel="epoch", ylabel="training loss (cross-entropy)", yscale="log")
        panels[1].set(xlabel="seconds (logarithmic)", xscale="log", yscale="log")
        panels[0].set_title("Loss after so many epochs", loc="left")
        panels[1].set_title("Loss after so many seconds", loc="left")
        panels[0].legend()
        return save(figure, "gradient-descent")


def draw_sine(x, target, answer, seen):
    """Draw a function and its approximation; `seen` is the interval of the training points."""
    with mpl.rc_context(STYLE):
        figure, (axes,) = new_figure(1, 3.0)
        axes.axvspan(*seen, color="#f2f2f2", label="where it saw points")
        axes.plot(x, target, color=GREY, linewidth=4, alpha=0.5, label="the sine")
        axes.plot(x, answer, color=ORANGE, linewidth=1.5, label="the network")
        axes.set(xlabel="input", ylabel="output", ylim=(-2.5, 2.5))
        axes.set_title("A sine, and what a network makes of it", loc="left")
        axes.legend(loc="upper right")
        return save(figure, "sine")


def epoch_seconds(history):
    """Return the seconds of each epoch, less what the first waited for compiled code to load."""
    first, *others = [record["seconds"] for record in history]
    return [min(first, median(others)), *others]


def duration(seconds):
    """Return a duration in the unit that suits it."""
    units = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
    scale, unit = next((pair for pair in units if seconds >= pair[0]), units[-1])
    return f"{significant(seconds / scale)} {unit}"


def significant(value):
    """Return a number to about three digits, without an exponent."""
    if 0 < value < 0.1:
        return f"{value:.{2 - math.floor(math.log10(value))}f}"
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
