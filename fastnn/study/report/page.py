"""The page: figures, readings and tables, set in ``page.html``."""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from fastnn.formats import duration, percent, significant, to_json
from fastnn.kernels import DEFAULT
from fastnn.study import REFERENCE, denormals_mode, tables
from fastnn.study.report import Report, figures
from fastnn.study.report.drawing import legend_below, new_figure, style, to_svg
from fastnn.study.report.readings import readings, warnings
from fastnn.study.tables import measured, slowest_and_quickest

GENERATOR = "fastnn report"
SECTIONS = {
    "ladder": "The ladder",
    "step": "Where the time of a step goes",
    "speed": "Against the machine's ceilings",
    "inference": "Inference",
    "learning": "Learning",
    "history": "Over commits",
    "machine": "What was measured, and how",
}


def render(data: Report, history: Sequence[Report], command: str, *, quick: bool = False) -> str:
    """Return a report as one HTML page that needs no other file.

    Parameters
    ----------
    data : mapping
        As `fastnn.study.report.measurements.Study.measure` returns it.
    history : sequence of dict
        As `fastnn.study.report.history.read_history` returns it.
    command : str
        What makes the report again.
    quick : bool
        Whether little was measured, which the page then says.

    """
    comparison = data["comparison"]
    rows = measured(comparison)
    compared = tables.comparison_tables(rows)
    trainings = {
        "curves": tables.curves_table(data["curves"]),
        "descents": tables.descents_table(data["descents"]),
    }
    past = {"past-" + re.sub("[^a-z0-9]+", "-", h["benchmark"].lower()): h for h in history}
    environment = Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined
    )
    environment.filters.update(
        marked=_marked,
        json_uri=_json_uri,
        duration=duration,
        percent=percent,
        giga=lambda value: significant(value / 1e9),
    )
    text: str = environment.get_template("page.html").render(
        data=data,
        quick=quick,
        generator=GENERATOR,
        command=command,
        sections=SECTIONS,
        tiles=_tiles(rows),
        warnings=warnings(comparison),
        readings=readings(data),
        figures=_figures(data, past),
        tables=compared | trainings,
        lines={row["kernel"]: tables.lines_table(row) for row in slowest_and_quickest(rows)},
        doubts=tables.doubts(rows),
        denormals=denormals_mode(comparison["flush_denormals"]),
        past={name: each["benchmark"] for name, each in past.items()},
        skipped={r["kernel"]: r["skipped"] for r in comparison["kernels"] if r["skipped"]},
        extrapolated=tables.has_extrapolated(compared),
        stylesheet=_read("page.css"),
        script=_read("page.js"),
    )
    return text


def _read(name: str) -> str:
    return (files("fastnn.study.report") / name).read_text(encoding="utf-8")


def _marked(text: str) -> Markup:
    """Return text in which what stands between backticks is code."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def _json_uri(data: Any) -> str:  # noqa: ANN401
    text = to_json({"data": data} if isinstance(data, list) else data)
    return "data:application/json;base64," + base64.b64encode(text.encode()).decode()


def _figures(data: Report, past: Mapping[str, Report]) -> dict[str, tuple[str, Any]]:
    """Draw all figures; return by name the SVG, and the data that it shows."""
    drawn: dict[str, tuple[str, Any]] = {}

    def add(
        name: str,
        shown: Any,  # noqa: ANN401
        draw: Callable[..., object],
        *arguments: object,
        height: float = 3.6,
        legend: bool = True,
    ) -> None:
        with style():
            figure, (axes,) = new_figure(height)
            draw(axes, *arguments)
            if legend:
                legend_below(figure, axes)
            drawn[name] = to_svg(figure, name), shown

    def of_kernels(*keys: str) -> list[dict[str, Any]]:
        return [{key: row[key] for key in ("kernel", *keys)} for row in rows]

    comparison, speeds, sine = data["comparison"], data["speeds"], data["approximation"]
    ceilings, rows = comparison["ceilings"], measured(comparison)
    peak, bars = ceilings[comparison["dtype"]]["median"], 0.3 * len(rows)
    training = of_kernels("epoch_seconds", "speedup")
    add("ladder", training, figures.draw_ladder, comparison, height=0.9 + bars, legend=False)
    steps = of_kernels("step_seconds", "lines")
    add("step", steps, figures.draw_step, comparison, height=1.5 + bars)
    add("speeds", speeds, figures.draw_speeds, speeds, peak, height=4.2)
    roofline = {"ceilings": ceilings, "kernels": of_kernels("lines")}
    add("roofline", roofline, figures.draw_roofline, comparison, speeds, height=4.2)
    add("inference", of_kernels("inference"), figures.draw_inference, comparison)
    trainings = {"curves": figures.kernel_curves, "descents": figures.descent_curves}
    for name, curves in trainings.items():
        for over in ("epochs", "seconds"):
            shown = data[name]
            add(f"{name}-over-{over}", shown, figures.draw_losses, curves(shown), over)
    answers = {f"after epoch {each['epoch']}": each["values"] for each in sine["answers"]}
    drawing = sine["x"], sine["target"], answers, sine["seen"]
    add("approximation", sine, figures.draw_sine, *drawing)
    for name, benchmark in past.items():
        add(name, benchmark, figures.draw_history, benchmark)
    return drawn


def _tiles(rows: list[Report]) -> list[tuple[str, str]]:
    """Return the most telling numbers, each with what it is."""
    slow, quick = slowest_and_quickest(rows)
    named = {row["kernel"]: row for row in rows}
    tiles = []
    if slow is not quick:
        gain = significant(slow["step_seconds"]["median"] / quick["step_seconds"]["median"])
        what = f"a training step, `{slow['kernel']}` to `{quick['kernel']}`"
        tiles.append((f"{gain} ×", what))
    if DEFAULT in named:
        ratio = named[DEFAULT]["speedup"][REFERENCE]["median"]
        tiles.append((f"{ratio:.2f} ×", f"training on `{DEFAULT}`, against BLAS"))
    if not quick["doubt"]:
        what = f"of the time of a step's calls are products under `{quick['kernel']}`"
        tiles.append((percent(quick["product_share"]), what))
    answer = duration(quick["inference"][0]["seconds"]["median"])
    size = quick["inference"][0]["batch_size"]
    return [
        *tiles,
        (answer, f"for inference at a batch size of {size} under `{quick['kernel']}`"),
    ]
