"""The tables of a study, for a terminal, for Markdown and for a page."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from fastnn.formats import NOTHING, Number, Table, duration, percent, significant
from fastnn.study import REFERENCE, SPECIFICATION

EXTRAPOLATED = "†"
Row = Mapping[str, Any]
LINE_COLUMNS = (
    *("", "part", "layer", "call", "shapes", "flops", "bytes"),
    *("time", "share", "GFLOP/s", "GB/s"),
)


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
    others = (SPECIFICATION, REFERENCE)
    return Table(
        ("training", "step", "epoch", *(f"× {other}" for other in others)),
        [
            [
                row["kernel"],
                _number(row["step_seconds"]["median"], duration),
                _marked(_number(row["epoch_seconds"]["median"], duration), row),
                *(_ratio(row["speedup"][other]) for other in others),
            ]
            for row in rows
        ],
    )


def _products(rows: Sequence[Row]) -> Table:
    return Table(
        ("products", "GFLOP/s", "% peak", "% of calls", "left to gain"),
        [
            [
                row["kernel"],
                _number(row["flops"]["median"], _giga),
                _number(row["peak_share"]["median"], lambda share: f"{100 * share:.3g}"),
                _number(row["product_share"], lambda share: f"{100 * share:.1f}"),
                _number(row["amdahl"], lambda gain: f"{gain:,.1f} ×"),
            ]
            for row in rows
        ],
    )


def _inference(rows: Sequence[Row]) -> Table:
    return Table(
        ("inference", "batch", "latency", "samples/s", f"× {REFERENCE}"),
        [
            [
                row["kernel"],
                _number(entry["batch_size"], "{:,}".format),
                _marked(_number(entry["seconds"]["median"], duration), entry),
                _number(entry["samples_per_second"]["median"], "{:,.0f}".format),
                _ratio(entry["speedup"]),
            ]
            for row in rows
            for entry in row["inference"]
        ],
    )


def lines_table(row: Row) -> Table:
    """Return the lines of a step: the work, the time, and the rates of each."""
    whole = sum(line["seconds"] for line in row["lines"])
    return Table(
        LINE_COLUMNS,
        [
            [
                _number(place, str),
                *(line[key] for key in ("part", "layer", "call", "shapes")),
                _number(line["flops"], lambda flops: f"{flops:,}" if flops else NOTHING),
                _number(line["bytes"], "{:,}".format),
                _number(line["seconds"], duration),
                _number(line["seconds"] / whole, percent),
                _number(line["flops"] / line["seconds"], _giga),
                _number(line["bytes"] / line["seconds"], _giga),
            ]
            for place, line in enumerate(row["lines"], 1)
        ],
    )


def curves_table(curves: Sequence[Row]) -> Table:
    """Return what the training under each kernel came to."""
    return Table(
        ("kernel", "epochs", "training", "test loss", "test accuracy"),
        [
            [
                curve["kernel"],
                _number(len(curve["history"]), f"{{}} of {curve['epochs']}".format),
                _number(training_seconds(curve["history"]), duration),
                _number(curve["test_loss"], _loss),
                _number(curve["test_accuracy"], percent),
            ]
            for curve in curves
        ],
    )


def descents_table(descents: Sequence[Row]) -> Table:
    """Return what each way of gradient descent came to."""
    return Table(
        ("gradient descent", "updates", "training", "loss", "test accuracy"),
        [
            [
                each["gradient_descent"],
                _number(each["updates"], "{:,}".format),
                _number(training_seconds(each["history"]), duration),
                _number(each["history"][-1]["loss"], _loss),
                _number(each["test_accuracy"], percent),
            ]
            for each in descents
        ],
    )


def epoch_seconds(history: Sequence[Row]) -> list[float]:
    """Return the seconds of each epoch, without the time for which the first loaded code."""
    first, *others = [record["seconds"] for record in history]
    return [min(first, median(others or [first])), *others]


def training_seconds(history: Sequence[Row]) -> float:
    """Return the sum of `epoch_seconds`."""
    return sum(epoch_seconds(history))


def _number(value: float | None, write: Callable[[Any], str]) -> Number:
    return Number(NOTHING, 0.0) if value is None else Number(write(value), value)


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
