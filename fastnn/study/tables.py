"""The tables of a study, for a terminal, for Markdown and for a page."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from statistics import median
from typing import Any

from fastnn.formats import NOTHING, Number, Table, duration, percent, significant
from fastnn.study import REFERENCE, SPECIFICATION

EXTRAPOLATED = "†"
Row = Mapping[str, Any]


def measured(comparison: Row) -> list[Row]:
    """Return the rows of the kernels that were not skipped."""
    return [row for row in comparison["kernels"] if not row["skipped"]]


def slowest_and_quickest(rows: Sequence[Row]) -> tuple[Row, Row]:
    """Return the ends of the ladder by the time of a step; a single row is both."""
    by_time = sorted(rows, key=lambda row: float(row["step_seconds"]["median"]), reverse=True)
    return by_time[0], by_time[-1]


def comparison_tables(rows: Sequence[Row]) -> dict[str, Table]:
    """Return the tables of training, of the products in it, and of inference."""
    return {
        "training": _training(rows),
        "products": _products(rows),
        "inference": _inference(rows),
    }


def has_extrapolated(tables: Mapping[str, Table]) -> bool:
    """Whether a cell is marked as extrapolated."""
    return any(
        EXTRAPOLATED in cell for table in tables.values() for row in table.rows for cell in row
    )


def _training(rows: Sequence[Row]) -> Table:
    return _table(
        {
            "training": itemgetter("kernel"),
            "step": lambda row: _number(row["step_seconds"]["median"], duration),
            "epoch": lambda row: _marked(_number(row["epoch_seconds"]["median"], duration), row),
            f"× {SPECIFICATION}": lambda row: _ratio(row["speedup"][SPECIFICATION]),
            f"× {REFERENCE}": lambda row: _ratio(row["speedup"][REFERENCE]),
        },
        rows,
    )


def _products(rows: Sequence[Row]) -> Table:
    return _table(
        {
            "products": itemgetter("kernel"),
            "GFLOP/s": lambda row: _number(row["flops"]["median"], _giga),
            "% peak": lambda row: _number(100 * row["peak_share"]["median"], "{:.3g}".format),
            "% of calls": lambda row: _number(_percentage(row["product_share"]), "{:.1f}".format),
            "left to gain": lambda row: _number(row["amdahl"], "{:,.1f} ×".format),
        },
        rows,
    )


def _inference(rows: Sequence[Row]) -> Table:
    return _table(
        {
            "inference": itemgetter("kernel"),
            "batch": lambda entry: _number(entry["batch_size"], "{:,}".format),
            "latency": lambda entry: _marked(_number(entry["seconds"]["median"], duration), entry),
            "samples/s": lambda entry: _number(
                entry["samples_per_second"]["median"], "{:,.0f}".format
            ),
            f"× {REFERENCE}": lambda entry: _ratio(entry["speedup"]),
        },
        [{"kernel": row["kernel"], **entry} for row in rows for entry in row["inference"]],
    )


def doubts(rows: Sequence[Row]) -> dict[str, str]:
    """Return by kernel why nothing follows from the lines of its step, where that is so."""
    return {row["kernel"]: row["doubt"] for row in rows if row["doubt"]}


def lines_table(row: Row) -> Table:
    """Return the lines of a step: the work, the time, and the rates of each."""
    whole = None if row["doubt"] else sum(line["seconds"] for line in row["lines"])
    return _table(
        {
            "": lambda line: _number(line["place"], str),
            **{key: itemgetter(key) for key in ("part", "layer", "call", "shapes")},
            "flops": lambda line: _number(line["flops"] or None, "{:,}".format),
            "bytes": lambda line: _number(line["bytes"], "{:,}".format),
            "time": lambda line: _number(line["seconds"], duration),
            "share": lambda line: _number(whole and line["seconds"] / whole, percent),
            "GFLOP/s": lambda line: _number(line["flops"] / line["seconds"], _giga),
            "GB/s": lambda line: _number(line["bytes"] / line["seconds"], _giga),
        },
        [{"place": place, **line} for place, line in enumerate(row["lines"], 1)],
    )


def curves_table(curves: Sequence[Row]) -> Table:
    """Return what the training under each kernel came to."""
    return _table(
        {
            "kernel": itemgetter("kernel"),
            "epochs": lambda curve: _number(
                len(curve["history"]), f"{{}} of {curve['epochs']}".format
            ),
            "training": lambda curve: _number(training_seconds(curve["history"]), duration),
            "test loss": lambda curve: _number(curve["test_loss"], _loss),
            "test accuracy": lambda curve: _number(curve["test_accuracy"], percent),
        },
        curves,
    )


def descents_table(descents: Sequence[Row]) -> Table:
    """Return what each way of gradient descent came to."""
    return _table(
        {
            "gradient descent": itemgetter("gradient_descent"),
            "updates": lambda each: _number(each["updates"], "{:,}".format),
            "training": lambda each: _number(training_seconds(each["history"]), duration),
            "loss": lambda each: _number(each["history"][-1]["loss"], _loss),
            "test accuracy": lambda each: _number(each["test_accuracy"], percent),
        },
        descents,
    )


def _table(columns: Mapping[str, Callable[[Row], str]], rows: Sequence[Row]) -> Table:
    """Return a table from what makes the cells of each column."""
    return Table(list(columns), [[cell(row) for cell in columns.values()] for row in rows])


def epoch_seconds(history: Sequence[Row]) -> list[float]:
    """Return the seconds of each epoch, without the time for which the first loaded code."""
    first, *others = [record["seconds"] for record in history]
    return [min(first, median(others or [first])), *others]


def training_seconds(history: Sequence[Row]) -> float:
    """Return the sum of `epoch_seconds`."""
    return sum(epoch_seconds(history))


def _number(value: float | None, write: Callable[[Any], str]) -> Number:
    return Number(NOTHING, 0.0) if value is None else Number(write(value), value)


def _percentage(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _giga(rate: float) -> str:
    return significant(rate / 1e9) if rate else NOTHING


def _loss(value: float) -> str:
    return f"{value:.1e}" if value < 1e-3 else f"{value:.3g}"


def _marked(number: Number, row: Row) -> Number:
    return Number(number + EXTRAPOLATED, number.value) if row["extrapolated"] else number


def _ratio(speedup: Mapping[str, float] | None) -> Number:
    """Return a ratio to three digits without an exponent."""
    ratio = None if speedup is None else speedup["median"]
    return _number(ratio, lambda x: f"{x:,.0f}" if x >= 100 else f"{x:#.3g}")
