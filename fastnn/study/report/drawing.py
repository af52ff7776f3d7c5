"""The style of the figures: colours, axes, and SVG for a page.

A figure is drawn in the colours of a light page. In an inline SVG each colour becomes a variable
of the page's style sheet, so that one drawing serves a light and a dark page.
"""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter

from fastnn.formats import duration
from fastnn.kernels import LADDER

INK, MUTED, LINE, SHADE = "#1c1c1e", "#6b6b70", "#e4e4e7", "#f1f1f3"
# After Okabe and Ito, whose colours the colour-blind can tell apart.
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
PINK, YELLOW, SKY, GREY = "#b5558f", "#c98500", "#3f9fd8", "#77777c"
COLOURS = (INK, MUTED, LINE, SHADE, BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, GREY)
_NAMES = "ink muted line shade blue orange green pink yellow sky grey"
VARIABLES = {colour: f"--{name}" for colour, name in zip(COLOURS, _NAMES.split(), strict=True)}
STYLE: Any = {
    "font.size": 10,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.minor.visible": False,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "fastnn",  # the same picture is the same file
}
# By a kernel's place on the ladder, and above it in the order of a figure.
LOOKS = (
    *((GREY, "o"), (PINK, "s"), (YELLOW, "^"), (GREEN, "v"), (BLUE, "D"), (ORANGE, "P")),
    *((SKY, "X"), (INK, "*"), (MUTED, "<")),
)
MIN_SPAN_OF_POWERS = 40  # times: below it, a logarithmic axis shows 2 and 5 times a power too
MIN_SPAN_OF_LOGARITHMS = 4  # times: below it, it shows evenly spaced numbers
WIDTH = 5.4  # inches: about a phone's width in points, so that text keeps its size there


def look(kernel: str, names: Sequence[str]) -> dict[str, Any]:
    """Return colour, marker and label of a kernel among those of a figure."""
    places = list(dict.fromkeys([*LADDER, *names]))
    color, marker = LOOKS[places.index(kernel) % len(LOOKS)]
    return {"color": color, "marker": marker, "label": kernel}


def style() -> Any:  # noqa: ANN401 - a context of Matplotlib's
    """Return a context in which figures get their style."""
    return mpl.rc_context(STYLE)


def new_figure(height: float, *, width: float = WIDTH, columns: int = 1) -> tuple[Figure, Any]:
    """Return an empty figure and its panels, side by side; call it within `style`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def logarithmic(axis: Any, write: Callable[[float], str], base: int = 10) -> None:  # noqa: ANN401
    """Make the axis of a drawing logarithmic, with ticks at powers of `base` if these suffice."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log", base=base)
    low, high = getattr(axis.axes, f"get_{axis.axis_name}lim")()
    locator: Locator = LogLocator(base, numticks=9)
    if high < MIN_SPAN_OF_LOGARITHMS * low:
        locator = MaxNLocator(5)
    elif base == 10 and high < MIN_SPAN_OF_POWERS * low:
        locator = LogLocator(base, subs=(1, 2, 5), numticks=9)
    axis.set_major_locator(locator)
    axis.set_major_formatter(FuncFormatter(lambda value, place: write(value)))
    axis.set_minor_formatter(NullFormatter())


def short(value: float) -> str:
    """Return a number for a tick: ``0.01``, ``1``, ``1,000``."""
    return f"{value:,.10f}".rstrip("0").rstrip(".")


def short_duration(seconds: float) -> str:
    """Return a duration for a tick: ``10 µs``."""
    number, unit = duration(seconds * (1 + 1e-9)).split()
    return f"{float(number.replace(',', '')):g} {unit}"


def legend_below(figure: Figure, axes: Axes, columns: int = 3) -> None:
    """Put the legend where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def to_svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element without a size, whose ids begin with `name`."""
    text = io.StringIO()
    with style():
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    _, start, drawing = text.getvalue().partition("<svg ")
    drawing = re.sub(r"<metadata>.*?</metadata>", "", start + drawing, flags=re.DOTALL)
    drawing = re.sub(r' id="', f' id="{name}-', drawing)
    drawing = re.sub(r'(url\(|href=")#', rf"\1#{name}-", drawing)
    for colour, variable in VARIABLES.items():
        drawing = drawing.replace(colour, f"var({variable})")
    opening, rest = drawing.split(">", 1)
    opening = re.sub(r' (width|height)="[^"]*"', "", opening)
    return f"{opening}>{rest}".strip()
