"""What asv has kept of earlier commits: a benchmark's times, a line for each kernel."""

import math
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from fastnn.study.report.requirements import require

Past = list[dict[str, Any]]


def read_past(directory: str | Path) -> Past:
    """Read asv's results for the machine and the environment of the newest commit.

    Parameters
    ----------
    directory : path-like
        Of asv's results; there may be none.

    Returns
    -------
    list of dict
        For each timed benchmark whose first parameter is the kernel: ``benchmark``, its name;
        ``commits``, the oldest first; ``kernels``, by name the geometric mean in seconds over
        those other parameters that all commits have been timed with, None where a commit has
        not.

    Raises
    ------
    ValueError
        There are results, but asv is not installed.

    """
    directory = Path(directory)
    if not any(directory.glob("*/machine.json")):
        return []
    results = require("asv.results", "bench")
    kept = sorted(results.iter_results(str(directory)), key=lambda result: result.date)
    if not kept:
        return []
    newest = kept[-1]
    place = newest.params.get("machine"), newest.env_name
    kept = [each for each in kept if (each.params.get("machine"), each.env_name) == place]
    names = sorted({name for result in kept for name in result.get_all_result_keys()})
    return [
        past
        for name in names
        if name.split(".")[-1].startswith("time_") and (past := _benchmark(name, kept))
    ]


def _benchmark(name: str, kept: Iterable[Any]) -> dict[str, Any] | None:
    commits: dict[str, dict[str, dict[tuple[str, ...], float]]] = {}
    for result in kept:
        if name in result.get_all_result_keys():
            times = _times(result, name)
            if times:
                commits.setdefault(result.commit_hash[:8], {}).update(times)
    kernels = list(dict.fromkeys(kernel for times in commits.values() for kernel in times))
    if not kernels:
        return None
    return {
        "benchmark": name,
        "commits": list(commits),
        "kernels": {
            kernel: _means([times.get(kernel, {}) for times in commits.values()])
            for kernel in kernels
        },
    }


def _times(result: Any, name: str) -> dict[str, dict[tuple[str, ...], float]]:  # noqa: ANN401
    """Return by kernel, and by the other parameters, what was timed."""
    parameters = result.get_result_params(name)
    if not parameters:
        return {}
    values = result.get_result_value(name, parameters)
    times: dict[str, dict[tuple[str, ...], float]] = {}
    for (kernel, *others), value in zip(product(*parameters), values, strict=True):
        if kernel[:1] in "'\"" and value is not None and math.isfinite(value):
            times.setdefault(kernel.strip("'\""), {})[tuple(others)] = value
    return times


def _means(commits: list[Mapping[tuple[str, ...], float]]) -> list[float | None]:
    """Return the geometric mean of each commit's times that all commits with any have."""
    common = set.intersection(*(set(times) for times in commits if times))
    if not common:
        return [None] * len(commits)
    return [
        math.exp(math.fsum(math.log(times[key]) for key in common) / len(common)) if times else None
        for times in commits
    ]
