"""The table: from what a run wrote as JSON, for a terminal and for README.md.

``python -m benchmarks.peers.report FILE ...`` prints it in Markdown, of several runs as of one.

A cell holds a library's median, and in the row below its ratio to FastNN with half of its
interquartile range.
"""

import json
import math
import sys
from contextlib import suppress
from pathlib import Path

from .names import FASTNN, JAX_WAYS, LIBRARIES
from .rows import INFERENCE_MEAN

with suppress(ImportError):  # asv imports what uses this, on commits without the packages too
    from fastnn.formats import duration, to_markdown

HEADER_BEFORE, HEADER_AFTER = ("work", "threads"), ("FMA peak", "bar", "holds")
NOTHING = "–"


def columns(report):
    """Return the names of the libraries' columns; JAX's two ways share one."""
    names = dict.fromkeys("JAX" if each.name in JAX_WAYS else each.name for each in LIBRARIES)
    used = {name for row in report["rows"] for name in _shown(row)}
    return [name for name in names if name in used or name in report["missing"]]


def lines(report, separator="\n"):
    """Return the table's rows as texts, the header first."""
    names = columns(report)
    table = [[*HEADER_BEFORE, *names, *HEADER_AFTER]]
    for row in report["rows"]:
        shown = _shown(row)
        cells = [_cell(shown.get(name), name in report["missing"], separator) for name in names]
        table.append([row["name"], str(row["threads"]), *cells, _share(row), *_verdict(row)])
    mean = inference_mean(report)
    if mean is not None:
        verdict = [f"onnxruntime ≥ {INFERENCE_MEAN:g}", _said(mean >= INFERENCE_MEAN)]
        cells = [f"{mean:.2f} ×" if name == "onnxruntime" else "" for name in names]
        table.append(["geometric mean of all inference", "", *cells, "", *verdict])
    return table


def inference_mean(report):
    """Return the geometric mean of onnxruntime's ratios, None where there are none."""
    ratios = [
        row["results"]["onnxruntime"]["ratio"]
        for row in report["rows"]
        if row.get("task", {}).get("kind") == "inference"
        and "ratio" in row["results"].get("onnxruntime", {})
    ]
    return math.exp(math.fsum(map(math.log, ratios)) / len(ratios)) if ratios else None


def failing(report):
    """Return (row's name, threads, bar) for each bar that does not hold."""
    rows = report["rows"]
    missed = [
        (row["name"], row["threads"], bar)
        for row in rows
        for bar, held in row["holds"].items()
        if held is False
    ]
    mean = inference_mean(report)
    if mean is not None and mean < INFERENCE_MEAN:
        missed.append(("geometric mean of all inference", "", "onnxruntime"))
    return missed


def markdown(report):
    """Return the table in Markdown, and below it what it was measured with."""
    header, *rows = lines(report, separator="<br>")
    return "\n".join([to_markdown(header, rows, texts=(0, -2, -1)), "", *notes(report)])


def notes(report):
    """Return what is to be said below the table."""
    versions = [f"{name} {version}" for name, version in report["versions"].items() if version]
    said = [", ".join(versions) + "."]
    if machine := report.get("machine"):
        blas = "{internal_api} {version} ({architecture})".format(**machine["blas"])
        said.insert(0, f"{machine['processor']}; NumPy with {blas}.")
    if report["missing"]:
        said.append(f"Not installed, so not measured: {', '.join(report['missing'])}.")
    if report["left_out"]:
        said.append(f"Left out, as --quick does: {', '.join(report['left_out'])}.")
    for row in report["rows"]:
        for name, result in row["results"].items():
            if "error" in result:
                said.append(f"{row['name']}, threads {row['threads']}, {name}: {result['error']}")
    return said


def _shown(row):
    """Return a row's results by column: of JAX's two ways the faster."""
    results = dict(row["results"])
    ways = [results.pop(name) for name in JAX_WAYS if name in results]
    timed = [way for way in ways if "error" not in way]
    if ways:
        results["JAX"] = min(timed, key=_amount) if timed else ways[0]
    return results


def _amount(result):
    return result.get("median", result.get("bytes", math.inf))


def _cell(result, missing, separator):
    if result is None:
        return "missing" if missing else NOTHING
    if "error" in result:
        return "failed"
    amount = (
        duration(result["median"]) if "median" in result else f"{result['bytes'] / 2**20:.0f} MiB"
    )
    if "ratio" not in result:
        own = f"± {result['spread'] / 2:.0%}" if "spread" in result else ""
        return f"{amount}{separator}{own}" if own else amount
    half = (
        f" ± {result['ratio'] * result['ratio_spread'] / 2:.2f}" if "ratio_spread" in result else ""
    )
    return f"{amount}{separator}{result['ratio']:.2f}{half} ×"


def _share(row):
    share = row["results"].get(FASTNN, {}).get("share")
    return NOTHING if share is None else f"{share:.0%}"


def _verdict(row):
    bars = [f"{name} ≥ {least:g}" for name, least in row["bars"].items()]
    if row.get("limit") is not None:
        bars.append(f"≤ {duration(row['limit'])}")
    if row.get("share_bar") is not None:
        bars.append(f"≥ {row['share_bar']:.0%} of peak")
    bars = ", ".join(bars)
    missed = [bar for bar, held in row["holds"].items() if held is False]
    unknown = [bar for bar, held in row["holds"].items() if held is None]
    if missed:
        return bars, f"no: {', '.join(missed)}"
    return bars, f"unknown: {', '.join(unknown)}" if unknown else _said(True)


def _said(held):
    return "yes" if held else "no"


def merged(measured):
    """Return several runs as one: all their rows, and the rest as the first has it."""
    first = measured[0]
    missing = dict.fromkeys(name for report in measured for name in report["missing"])
    return first | {
        "missing": list(missing),
        "rows": [row for report in measured for row in report["rows"]],
    }


if __name__ == "__main__":
    print(markdown(merged([json.loads(Path(path).read_text("utf-8")) for path in sys.argv[1:]])))
