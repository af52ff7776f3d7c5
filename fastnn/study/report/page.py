"""The page: figures, tables and conclusions, set in ``page.html``."""

import base64
import re
import shlex
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from fastnn.formats import duration, percent, significant, to_json
from fastnn.study.report import Report, conclusions
from fastnn.study.report.exhibits import draw_exhibits, draw_past
from fastnn.study.report.past import Past
from fastnn.study.tables import (
    EXTRAPOLATED,
    inference_table,
    lines_table,
    measured,
    products_table,
    slowest_and_quickest,
    training_table,
)

GENERATOR = "fastnn report"
SECTIONS = {
    "ladder": "The ladder",
    "step": "Where the time of a step goes",
    "speed": "Against the machine's ceilings",
    "inference": "Inference",
    "learning": "Learning",
    "past": "Over commits",
    "machine": "What was measured, and how",
}
SUBJECTS = (
    *("summary", "ladder", "step", "speeds", "roofline", "inference", "curves", "descents"),
    *("approximation", "fairness", "warnings"),
)


def render(data: Report, past: Past, command: str, *, quick: bool = False) -> str:
    """Return a report as one HTML page, which needs nothing else to be shown.

    Parameters
    ----------
    data : mapping
        As `fastnn.study.report.measurements.Study.measure` returns it.
    past : list of dict
        As `fastnn.study.report.past.read_past` returns it.
    command : str
        What makes it again.
    quick : bool
        Whether little was measured, which the page then says.

    """
    comparison = data["comparison"]
    rows = measured(comparison)
    said = {name: getattr(conclusions, name)(data) for name in SUBJECTS}
    said["past"] = conclusions.past(past)
    past_exhibits = draw_past(past, said)
    tables = {
        "training": training_table(rows),
        "products": products_table(rows),
        "inference": inference_table(rows),
    }
    texts = [text for table in tables.values() for row in table.texts for text in row]
    skipped = [(row["kernel"], row["skipped"]) for row in comparison["kernels"] if row["skipped"]]
    page = _environment().get_template("page.html")
    return page.render(
        data=data,
        quick=quick,
        generator=GENERATOR,
        command=command,
        sections=SECTIONS,
        conclusions=said,
        exhibits=draw_exhibits(data, said) | past_exhibits,
        past_exhibits=past_exhibits,
        tables=tables,
        lines={row["kernel"]: lines_table(row) for row in slowest_and_quickest(rows)},
        tiles=_tiles(rows),
        facts=_facts(data),
        skipped=skipped,
        extrapolated=any(EXTRAPOLATED in text for text in texts),
        stylesheet=_read("page.css"),
        script=_read("page.js"),
    )


def _read(name: str) -> str:
    return (files("fastnn.study.report") / name).read_text(encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["marked"] = _marked
    environment.filters["json_uri"] = _json_uri
    return environment


def _marked(text: str) -> Markup:
    """Return text with what stands between backticks as code."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def _json_uri(data: Any) -> str:  # noqa: ANN401
    text = to_json({"data": data} if isinstance(data, list) else data)
    return "data:application/json;base64," + base64.b64encode(text.encode()).decode()


def _tiles(rows: list[Report]) -> list[tuple[str, str]]:
    """Return the most telling numbers, each with what it is."""
    slow, quick = slowest_and_quickest(rows)
    tiles = [
        (
            percent(quick["product_share"]),
            f"of the time of a step's calls are products under `{quick['kernel']}`",
        ),
        (
            duration(quick["inference"][0]["seconds"]["median"]),
            f"for one answer under `{quick['kernel']}`",
        ),
    ]
    named = {row["kernel"]: row for row in rows}
    if "numba" in named:
        ratio = named["numba"]["speedup"]["numpy"]["median"]
        tiles.insert(0, (f"{ratio:.2f} ×", "training on `numba`, against BLAS"))
    if slow is not quick:
        gain = significant(slow["step_seconds"]["median"] / quick["step_seconds"]["median"])
        what = f"a training step, `{slow['kernel']}` to `{quick['kernel']}`"
        tiles.insert(0, (f"{gain} ×", what))
    return tiles


def _facts(data: Report) -> list[tuple[str, str]]:
    """Return what is to be known of the machine and the measurement."""
    comparison = data["comparison"]
    machine, versions, limits = (comparison[key] for key in ("machine", "versions", "ceilings"))
    (ceilings,) = limits["ceilings"]
    caches = limits["caches"].items()
    return [
        ("processor", f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"),
        ("vector unit", limits["vector_unit"]),
        ("caches", ", ".join(f"{name.upper()} {size // 1024:,} KiB" for name, size in caches)),
        *(
            (f"FMA peak, {dtype}", _spread(ceilings[dtype], "GFLOP/s", comparison["threads"]))
            for dtype in ("float32", "float64")
        ),
        ("memory, read", _spread(ceilings["read"], "GB/s", comparison["threads"])),
        ("memory, copied", _spread(ceilings["copy"], "GB/s", comparison["threads"])),
        ("BLAS", " ".join(filter(None, machine["blas"].values()))),
        ("threads", f"{comparison['threads']}, of every kernel that uses any, and of BLAS"),
        ("dtype", comparison["dtype"]),
        ("data", f"{comparison['data']}: {data['description']}"),
        ("versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
        ("rounds", f"{comparison['rounds']}; medians, with quartiles in the data"),
        ("measured", f"{data['date']}, in {duration(data['seconds'])}"),
    ]


def _spread(figure: Mapping[str, float], unit: str, threads: int) -> str:
    low, median, high = (significant(figure[key] / 1e9) for key in ("low", "median", "high"))
    return (
        f"{median} {unit} on {threads} thread{'s' * (threads != 1)} (middle half {low} to {high})"
    )


def command_line(arguments: list[str]) -> str:
    """Return what to type for ``fastnn`` with these arguments."""
    return shlex.join(["fastnn", *arguments])
