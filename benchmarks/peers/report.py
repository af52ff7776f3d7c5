"""The tables of a comparison, from its JSON: for a terminal and for Markdown.

A cell holds a library's median and, below it, its ratio to FastNN's with half the width of the
middle half of the rounds. Above 1, FastNN is ahead.

``python -m benchmarks.peers.report FILE ...`` prints several runs as one, in Markdown.
"""

import json
import math
import sys
from pathlib import Path
from statistics import geometric_mean

from fastnn.formats import NOTHING, Table, duration, to_markdown

from .libraries import COLUMNS, FASTNN

MEANS = {"training": ("training", "gradient"), "inference": ("inference",)}


def tables(report, separator="\n"):
    """Return the tables that have rows."""
    made = (make(report, separator) for make in (table, epochs))
    return [each for each in made if each.rows]


def table(report, separator="\n"):
    """Return the table; `separator` stands between the two lines of a cell."""
    rows = [row for row in report["rows"] if row["task"]["kind"] != "epoch"]
    shown = [by_column(row) for row in rows]
    used = {*report["missing"], *(name for results in shown for name in results)}
    names = [name for name in dict.fromkeys(COLUMNS.values()) if name in used]
    lines = _lines(rows, shown, names, report["missing"], separator)
    for title, kinds in MEANS.items():
        means = {name: {"ratio": mean} for name, mean in geometric_means(report, kinds).items()}
        if means:
            cells = [f"{means[name]['ratio']:.2f} ×" if name in means else "" for name in names]
            lines.append([f"geometric mean of {title}", "", *cells, "", ahead(means)])
    return Table(("work", "threads", *names, "FMA peak", "ahead"), lines)


def epochs(report, separator="\n"):
    """Return the table of epochs on real data, whose columns say what becomes of denormals."""
    rows = [row for row in report["rows"] if row["task"]["kind"] == "epoch"]
    shown = [_fastest(row, _with_mode) for row in rows]
    names = [*dict.fromkeys(name for results in shown for name in results)]
    lines = _lines(rows, shown, names, (), separator)
    return Table(("work", "threads", *names, "FMA peak", "ahead"), lines)


def _lines(rows, shown, names, missing, separator):
    """Return the lines of a table: `shown` has a result by column for each of the `rows`."""
    lines = []
    for row, results in zip(rows, shown, strict=True):
        cells = [
            "missing" if name in missing else _cell(results.get(name), separator) for name in names
        ]
        share = row["results"].get(FASTNN, {}).get("share")
        share = NOTHING if share is None else f"{share:.0%}"
        lines.append([row["name"], str(row["threads"]), *cells, share, ahead(by_column(row))])
    return lines


def by_column(row):
    """Return a row's results by column, of a library's several ways the fastest.

    FastNN's is its default, the first.
    """
    return _fastest(row, lambda name, result: COLUMNS[name])


def _with_mode(name, result):
    return ", ".join([COLUMNS[name], *([result["denormals"]] if "denormals" in result else [])])


def _fastest(row, column_of):
    best = {}
    for name, result in row["results"].items():
        column = column_of(name, result)
        if column not in best or (column != FASTNN and _amount(result) < _amount(best[column])):
            best[column] = result
    return best


def ratios(report, kinds=None):
    """Return by column the ratios in the rows of some kinds of task, or of all."""
    found = {}
    for row in report["rows"]:
        if kinds is None or row["task"]["kind"] in kinds:
            for name, result in by_column(row).items():
                if "ratio" in result:
                    found.setdefault(name, []).append(result["ratio"])
    return found


def geometric_means(report, kinds=None):
    """Return the geometric mean of each column's `ratios`."""
    return {name: geometric_mean(values) for name, values in ratios(report, kinds).items()}


def ahead(results):
    """Return the column that is ahead of all, "even" where two are closer than the rounds."""
    others = {name: result for name, result in results.items() if "ratio" in result}
    if not others:
        return NOTHING
    best = min(others, key=lambda name: others[name]["ratio"])
    ratio = others[best]["ratio"]
    if abs(ratio - 1) < ratio * others[best].get("ratio_spread", 0.0) / 2:
        return "even"
    return FASTNN if ratio > 1 else best


def markdown(report):
    """Return the table in Markdown and, below it, what it was measured with."""
    return "\n".join([in_markdown(table(report, separator="<br>")), "", *notes(report)])


def in_markdown(made):
    """Return one of the tables in Markdown."""
    return to_markdown(*made, texts=(0, len(made.columns) - 1))


def notes(report):
    """Return the lines below the table: who is ahead, the machine, and what is missing and why."""
    lines = []
    if found := ratios(report):
        wins = [
            f"{name} in {sum(ratio > 1 for ratio in each)} of {len(each)}"
            for name, each in found.items()
        ]
        wins[0] += " rows"
        lines.append(f"FastNN is ahead of {', of '.join(wins)}.")
    if machine := report.get("machine"):
        blas = "{internal_api} {version} ({architecture})".format(**machine["blas"])
        lines.append(f"{machine['processor']}; NumPy with {blas}.")
    versions = [f"{name} {version}" for name, version in report["versions"].items() if version]
    lines.append(f"{', '.join(versions)}.")
    if report["missing"]:
        lines.append(f"Not installed, so not measured: {', '.join(report['missing'])}.")
    if report["left_out"]:
        lines.append(f"Left out, as --quick does: {', '.join(report['left_out'])}.")
    for reason in report["missing_data"]:
        lines.append(f"Rows left out: {reason}.")
    for row in report["rows"]:
        for name, result in row["results"].items():
            if "error" in result:
                lines.append(f"{row['name']}, threads {row['threads']}, {name}: {result['error']}")
    return lines


def _amount(result):
    """Return the median seconds or the bytes; infinity where there are none."""
    return result.get("median", result.get("bytes", math.inf))


def _cell(result, separator):
    if result is None:
        return NOTHING
    if "error" in result:
        return "failed"
    if "bytes" in result:
        lines = [f"{result['bytes'] / 2**20:.0f} MiB"]
    else:
        lines = [duration(result["median"])]
    if "ratio" not in result:
        lines += [f"± {result['spread'] / 2:.0%}"] if "spread" in result else []
    elif "ratio_spread" in result:
        half = result["ratio"] * result["ratio_spread"] / 2
        lines.append(f"{result['ratio']:.2f} ± {half:.2f} ×")
    else:
        lines.append(f"{result['ratio']:.2f} ×")
    return separator.join(lines)


def merged(reports):
    """Return several reports as one: all their rows, and the rest as the first has it."""
    missing = dict.fromkeys(name for report in reports for name in report["missing"])
    rows = [row for report in reports for row in report["rows"]]
    return reports[0] | {"missing": list(missing), "rows": rows}


if __name__ == "__main__":
    report = merged([json.loads(Path(path).read_text("utf-8")) for path in sys.argv[1:]])
    print(*map(in_markdown, tables(report, "<br>")), "\n".join(notes(report)), sep="\n\n")
