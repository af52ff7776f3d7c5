"""How figures look, and how they get into a page: colours, axes, SVG.

A figure is drawn in the colours of a light page. In an inline SVG each of them becomes a
variable of the page's style sheet, so that one drawing serves a light and a dark page.
"""

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter

from fastnn.formats import duration

INK, MUTED, LINE, SHADE = "#1c1c1e", "#6b6b70", "#e4e4e7", "#f1f1f3"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"  # Okabe and Ito's, for the colour-blind too
PINK, YELLOW, SKY, GREY = "#b5558f", "#c98500", "#3f9fd8", "#77777c"
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    SHADE: "--shade",
    BLUE: "--blue",
    ORANGE: "--orange",
    GREEN: "--green",
    PINK: "--pink",
    YELLOW: "--yellow",
    SKY: "--sky",
    GREY: "--grey",
}
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
# A kernel looks the same in all figures; those from elsewhere take what is left, in order.
_KERNELS = {
    "naive": (GREY, "o"),
    "blocked": (PINK, "s"),
    "numba-naive": (YELLOW, "^"),
    "numba-blocked": (GREEN, "v"),
    "numba": (BLUE, "D"),
    "numpy": (ORANGE, "P"),
}
_OTHERS = ((SKY, "X"), (INK, "*"), (MUTED, "<"))
FEW, SOME = 4, 40  # times: how little a logarithmic axis may span
WIDTH = 5.4  # inches: about what a phone has in points, so that text keeps its size there


def look(kernel: str, kernels: list[str]) -> dict[str, Any]:
    """Return colour, marker and label of a kernel among others."""
    others = [name for name in kernels if name not in _KERNELS]
    colour, marker = _KERNELS.get(kernel) or _OTHERS[others.index(kernel) % len(_OTHERS)]
    return {"color": colour, "marker": marker, "label": kernel}


def new_figure(height: float, *, width: float = WIDTH, columns: int = 1) -> tuple[Figure, Any]:
    """Return an empty figure and its panels, side by side; to be called in `style`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def style() -> Any:  # noqa: ANN401 - a context of Matplotlib's
    """Return a context in which figures get their looks."""
    return mpl.rc_context(STYLE)


def logarithmic(axis: Any, write: Callable[[float], str], base: int = 10) -> None:  # noqa: ANN401
    """Make an axis logarithmic, its powers of `base` written out; to be called with lines drawn.

    Where they span little, there may be no power among them, and other numbers are written.
    """
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log", base=base)
    low, high = getattr(axis.axes, f"get_{axis.axis_name}lim")()
    locator: Locator = LogLocator(base, numticks=9)
    if high < FEW * low:
        locator = MaxNLocator(5)
    elif base == 10 and high < SOME * low:
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


def to_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Return a figure as an element for a page.

    Parameters
    ----------
    figure : Figure
    name : str
        Of letters and hyphens; its ids begin with it, as those of a page must differ.
    title, description : str
        What a screen reader says.

    """
    text = io.StringIO()
    with style():
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    _, start, drawing = text.getvalue().partition("<svg ")
    drawing = re.sub(r"<metadata>.*?</metadata>", "", start + drawing, flags=re.DOTALL)
    drawing = re.sub(r' id="', f' id="{name}-', drawing)
    drawing = re.sub(r'(url\(|href=")#', rf"\1#{name}-", drawing)
    for colour, variable in VARIABLES.items():
        drawing = drawing.replace(colour, f"var({variable})")
    labels = (
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-description">{escape(description)}</desc>'
    )
    head = f'<svg role="img" aria-labelledby="{name}-title {name}-description" '
    # What a browser is to make of the width is the style sheet's business.
    opening, rest = drawing.split(">", 1)
    opening = re.sub(r' (width|height)="[^"]*"', "", opening).replace("<svg ", head, 1)
    return f"{opening}>{labels}{rest}".strip()
