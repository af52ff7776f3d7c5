"""How results are written: strict JSON, tables, numbers with units."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

NOTHING = "–"  # in a cell


class Number(str):
    """A number as a table shows it, with the value that the column is sorted by."""

    value: float

    def __new__(cls, text: str, value: float) -> "Number":
        """Return `text`, with its value."""
        self = super().__new__(cls, text)
        self.value = value
        return self


class Table(NamedTuple):
    """Titles of columns, and rows of as many cells: a `Number` or other text each."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def to_markdown(
    columns: Sequence[str], rows: Iterable[Sequence[object]], texts: Iterable[int] = (0,)
) -> str:
    """Return a Markdown table; columns are aligned right, except those numbered in `texts`."""
    ruler = ["--:"] * len(columns)
    for number in texts:
        ruler[number] = "---"
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (columns, ruler, *rows))


def to_json(report: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Return strict JSON; numbers that are not finite become null."""
    return json.dumps(_finite(report), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def significant(value: float) -> str:
    """Return a number to about three digits, without an exponent."""
    if value < 0:
        return f"-{significant(-value)}"
    value = float(f"{value:.3g}") if value < 1000 else value
    if 0 < value < 0.1:
        return f"{value:.{2 - math.floor(math.log10(value))}f}"
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def duration(seconds: float) -> str:
    """Return a duration to about three digits, in the unit that suits it."""
    units = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
    scale, unit = next((pair for pair in units if seconds >= pair[0]), units[-1])
    return f"{significant(seconds / scale)} {unit}"


def percent(share: float) -> str:
    """Return a share in per cent, to one decimal or, below 1 %, to about three digits."""
    return f"{100 * share:.1f}%" if share >= 0.01 or share <= 0 else f"{significant(100 * share)}%"
