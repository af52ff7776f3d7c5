"""The page: figures, readings and tables, set in ``page.html``."""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from fastnn.formats import duration, percent, significant, to_json
from fastnn.kernels import DEFAULT
from fastnn.study import REFERENCE, tables
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


class Drawn(NamedTuple):
    """A figure in SVG, and the data that it was drawn from."""

    svg: str
    data: Any


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
    past = {f"past-{_slug(each['benchmark'])}": each for each in history}
    text: str = _template().render(
        data=data,
        quick=quick,
        generator=GENERATOR,
        command=command,
        sections=SECTIONS,
        tiles=_tiles(rows),
        warnings=warnings(comparison),
        readings=readings(data),
        figures=_figures(data, past),
        tables=compared
        | {
            "curves": tables.curves_table(data["curves"]),
            "descents": tables.descents_table(data["descents"]),
        },
        lines={row["kernel"]: tables.lines_table(row) for row in slowest_and_quickest(rows)},
        past={name: each["benchmark"] for name, each in past.items()},
        facts=_facts(data),
        skipped={r["kernel"]: r["skipped"] for r in comparison["kernels"] if r["skipped"]},
        extrapolated=tables.has_extrapolated(compared),
        stylesheet=_read("page.css"),
        script=_read("page.js"),
    )
    return text


def _template() -> Any:  # noqa: ANN401 - a template of Jinja's
    environment = Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["marked"] = _marked
    environment.filters["json_uri"] = _json_uri
    return environment.get_template("page.html")


def _read(name: str) -> str:
    return (files("fastnn.study.report") / name).read_text(encoding="utf-8")


def _slug(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower())


def _marked(text: str) -> Markup:
    """Return text in which what stands between backticks is code."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def _json_uri(data: Any) -> str:  # noqa: ANN401
    text = to_json({"data": data} if isinstance(data, list) else data)
    return "data:application/json;base64," + base64.b64encode(text.encode()).decode()


def _figures(data: Report, past: Mapping[str, Report]) -> dict[str, Drawn]:
    """Draw all figures, by name."""
    drawn = {}

    def add(
        name: str,
        shown: Any,  # noqa: ANN401
        draw: Callable[..., object],
        *arguments: Any,  # noqa: ANN401
        height: float = 3.6,
        legend: bool = True,
    ) -> None:
        with style():
            figure, (axes,) = new_figure(height)
            draw(axes, *arguments)
            if legend:
                legend_below(figure, axes)
            drawn[name] = Drawn(to_svg(figure, name), shown)

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
    for over in ("epochs", "seconds"):
        kernels = figures.kernel_curves(data["curves"])
        add(f"curves-over-{over}", data["curves"], figures.draw_losses, kernels, over)
        ways = figures.descent_curves(data["descents"])
        add(f"descents-over-{over}", data["descents"], figures.draw_losses, ways, over)
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
    share = percent(quick["product_share"])
    answer = duration(quick["inference"][0]["seconds"]["median"])
    size = quick["inference"][0]["batch_size"]
    return [
        *tiles,
        (share, f"of the time of a step's calls are products under `{quick['kernel']}`"),
        (answer, f"for inference at a batch size of {size} under `{quick['kernel']}`"),
    ]


def _facts(data: Report) -> list[tuple[str, str]]:
    """Return what there is to know of the machine and the measurement."""
    comparison = data["comparison"]
    machine, versions, ceilings = (comparison[key] for key in ("machine", "versions", "ceilings"))
    caches = machine["caches"].items()
    dtypes = ("float32", "float64")
    return [
        ("processor", f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"),
        ("vector unit", machine["vector_unit"]),
        ("caches", ", ".join(f"{name.upper()} {size // 1024:,} KiB" for name, size in caches)),
        *((f"FMA peak, {dtype}", _spread(ceilings, dtype, "GFLOP/s")) for dtype in dtypes),
        ("memory, read", _spread(ceilings, "read", "GB/s")),
        ("memory, copied", _spread(ceilings, "copy", "GB/s")),
        ("BLAS", " ".join(filter(None, machine["blas"].values()))),
        ("threads", f"{comparison['threads']}, of every kernel that uses any, and of BLAS"),
        ("dtype", comparison["dtype"]),
        ("data", f"{comparison['data']}: {data['description']}"),
        ("versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
        (
            "verified",
            f"losses of {comparison['steps_verified']} steps, which differ by "
            f"{comparison['loss_difference']:.0e} at most, and the gradients of a batch",
        ),
        ("rounds", f"{comparison['rounds']}; medians, with quartiles in the data"),
        ("noise", f"middle half of the noisiest step, {percent(comparison['noise'])} wide"),
        ("measured", f"{data['date']}, in {duration(data['seconds'])}"),
    ]


def _spread(ceilings: Report, name: str, unit: str) -> str:
    spread, threads = ceilings[name], ceilings["threads"]
    low, median, high = (significant(spread[key] / 1e9) for key in ("low", "median", "high"))
    return (
        f"{median} {unit} on {threads} thread{'s' * (threads != 1)} (middle half {low} to {high})"
    )
