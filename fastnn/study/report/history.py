"""What asv has kept of earlier commits: times of each benchmark, by kernel."""

import math
from itertools import product
from pathlib import Path
from statistics import geometric_mean
from typing import Any, TypeAlias

from fastnn.study.report import require

Times: TypeAlias = dict[tuple[str, ...], float]  # seconds by all parameters but the kernel
Commits: TypeAlias = dict[str, dict[str, Times]]  # by commit, the oldest first, and by kernel


def read_history(directory: str | Path) -> list[dict[str, Any]]:
    """Read the results of asv for the machine and the environment of the newest commit.

    Parameters
    ----------
    directory : path-like
        Of asv's results; it need not exist.

    Returns
    -------
    list of dict
        For each timed benchmark whose first parameter is the kernel: ``benchmark``, its name;
        ``commits``, the oldest first; ``kernels``, by name the geometric mean in seconds over the
        other parameters that were timed at every commit, None where a commit has none.

    Raises
    ------
    ValueError
        There are results, but asv is not installed.

    """
    if not any(Path(directory).glob("*/machine.json")):
        return []
    asv = require("asv.results", "bench")
    results = sorted(asv.iter_results(str(directory)), key=lambda result: result.date)
    places = [(result.params.get("machine"), result.env_name) for result in results]
    benchmarks: dict[str, Commits] = {}
    for result, place in zip(results, places, strict=True):
        if place == places[-1]:
            _collect(result, benchmarks)
    return [_benchmark(name, benchmarks[name]) for name in sorted(benchmarks)]


def _collect(result: Any, benchmarks: dict[str, Commits]) -> None:  # noqa: ANN401
    """Add the times of a commit, by benchmark."""
    for name in result.get_all_result_keys():
        parameters = result.get_result_params(name)
        if not parameters or not name.split(".")[-1].startswith("time_"):
            continue
        values = result.get_result_value(name, parameters)
        for (kernel, *others), seconds in zip(product(*parameters), values, strict=True):
            if kernel[:1] in "'\"" and seconds is not None and math.isfinite(seconds):
                times = benchmarks.setdefault(name, {}).setdefault(result.commit_hash[:8], {})
                times.setdefault(kernel.strip("'\""), {})[tuple(others)] = seconds


def _benchmark(name: str, commits: Commits) -> dict[str, Any]:
    kernels = dict.fromkeys(kernel for times in commits.values() for kernel in times)
    return {
        "benchmark": name,
        "commits": list(commits),
        "kernels": {
            kernel: _means([times.get(kernel, {}) for times in commits.values()])
            for kernel in kernels
        },
    }


def _means(commits: list[Times]) -> list[float | None]:
    """Return the mean of each commit over the parameters that all commits with times have."""
    common = set.intersection(*(set(times) for times in commits if times))
    return [
        geometric_mean(times[key] for key in common) if common and times else None
        for times in commits
    ]
