"""How results are written: strict JSON (``run.json``, ``--json``), Markdown tables, numbers."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def to_json(report: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Return strict JSON, in which a number that is not finite is null."""
    return json.dumps(_finite(report), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_markdown(
    columns: Sequence[str], rows: Iterable[Sequence[object]], texts: Iterable[int] = (0,)
) -> str:
    """Return a table; the columns numbered in `texts` are aligned left, all others right."""
    ruler = ["--:"] * len(columns)
    for number in texts:
        ruler[number] = "---"
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (columns, ruler, *rows))


def significant(value: float) -> str:
    """Return a number to about three digits, without an exponent."""
    if value < 0:
        return f"-{significant(-value)}"
    value = float(f"{value:.3g}") if value < 1000 else value
    if 0 < value < 0.1:
        return f"{value:.{2 - math.floor(math.log10(value))}f}"
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def duration(seconds: float) -> str:
    """Return seconds to about three digits, in the unit that suits them."""
    units = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
    scale, unit = next((pair for pair in units if seconds >= pair[0]), units[-1])
    return f"{significant(seconds / scale)} {unit}"


def percent(share: float) -> str:
    """Return a share in hundredths, to a tenth of one or, where that says nothing, finer."""
    return f"{100 * share:.1f}%" if share >= 0.01 or share <= 0 else f"{significant(100 * share)}%"
