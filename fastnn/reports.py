"""Reports as strict JSON: what ``run.json`` holds and ``--json`` prints; tables in Markdown."""

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
