"""The tables of a comparison, for a terminal and for a page: cells that can be sorted."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fastnn.formats import duration, percent, significant

EXTRAPOLATED = "†"
NOTHING = "–"
Row = Mapping[str, Any]
_WORK, _RATES = ("flops", "bytes"), ("GFLOP/s", "GB/s")
LINE_COLUMNS = ("", "part", "layer", "call", "shapes", *_WORK, "time", "share", *_RATES)


class Cell(NamedTuple):
    """What a cell says, and what it is sorted by."""

    text: str
    value: float | str


class Table(NamedTuple):
    """Columns by title, and rows of as many cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    @property
    def texts(self) -> list[list[str]]:
        """What the cells say."""
        return [[cell.text for cell in row] for row in self.rows]


def measured(comparison: Row) -> list[Row]:
    """Return the rows of the kernels that were not skipped."""
    return [row for row in comparison["kernels"] if not row["skipped"]]


def slowest_and_quickest(rows: Sequence[Row]) -> tuple[Row, Row]:
    """Return the ends of the ladder by the time of a step; where there is one row, it is both."""
    by_time = sorted(rows, key=lambda row: float(row["step_seconds"]["median"]), reverse=True)
    return by_time[0], by_time[-1]


def training_table(rows: Sequence[Row]) -> Table:
    """Return what a step and an epoch take, and how many times as fast that is."""
    return Table(
        ("training", "step", "epoch", "× naive", "× numpy"),
        [
            [
                _text(row["kernel"]),
                _number(row["step_seconds"]["median"], duration),
                _marked(_number(row["epoch_seconds"]["median"], duration), row),
                *(_times(row["speedup"][other]) for other in ("naive", "numpy")),
            ]
            for row in rows
        ],
    )


def products_table(rows: Sequence[Row]) -> Table:
    """Return how fast products are, their share of a step's calls, and what they leave to gain."""
    return Table(
        ("products", "GFLOP/s", "% peak", "% of calls", "left to gain"),
        [
            [
                _text(row["kernel"]),
                _number(row["flops"]["median"], _giga),
                _number(row["peak_share"]["median"], lambda share: f"{100 * share:.3g}"),
                _number(row["product_share"], lambda share: f"{100 * share:.1f}"),
                _number(row["amdahl"], lambda gain: f"{gain:,.1f} ×"),
            ]
            for row in rows
        ],
    )


def inference_table(rows: Sequence[Row]) -> Table:
    """Return what inference takes for each batch size."""
    return Table(
        ("inference", "batch", "latency", "samples/s", "× numpy"),
        [
            [
                _text(row["kernel"]),
                _number(entry["batch_size"], lambda size: f"{size:,}"),
                _marked(_number(entry["seconds"]["median"], duration), entry),
                _number(entry["samples_per_second"]["median"], lambda rate: f"{rate:,.0f}"),
                _times(entry["speedup"]),
            ]
            for row in rows
            for entry in row["inference"]
        ],
    )


def lines_table(row: Row) -> Table:
    """Return a step line by line: its work, its time, and the rates that these make."""
    lines = row["lines"]
    whole = sum(line["seconds"] for line in lines)
    return Table(
        LINE_COLUMNS,
        [
            [
                _number(place, str),
                *(_text(line[key]) for key in ("part", "layer", "call", "shapes")),
                _number(line["flops"], lambda flops: f"{flops:,}" if flops else NOTHING),
                _number(line["bytes"], lambda size: f"{size:,}"),
                _number(line["seconds"], duration),
                _number(line["seconds"] / whole, percent),
                _number(line["flops"] / line["seconds"], _giga),
                _number(line["bytes"] / line["seconds"], _giga),
            ]
            for place, line in enumerate(lines, 1)
        ],
    )


def _text(value: str) -> Cell:
    return Cell(value, value)


def _number(value: float, write: Callable[[Any], str]) -> Cell:
    return Cell(write(value), value)


def _giga(rate: float) -> str:
    return significant(rate / 1e9) if rate else NOTHING


def _marked(cell: Cell, row: Row) -> Cell:
    return Cell(cell.text + EXTRAPOLATED, cell.value) if row["extrapolated"] else cell


def _times(speedup: Mapping[str, float] | None) -> Cell:
    """Return a ratio to three digits, with no exponent; a dash for None."""
    if speedup is None:
        return Cell(NOTHING, 0.0)
    ratio = speedup["median"]
    return Cell(f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:#.3g}", ratio)
