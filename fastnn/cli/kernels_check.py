"""``fastnn kernels check``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastnn.cli import options as o
from fastnn.cli.console import show, show_json, show_table
from fastnn.cli.speeds import measure_speeds, show_speeds
from fastnn.experiments.fields import CODE

if TYPE_CHECKING:
    from fastnn.kernels import Kernel
    from fastnn.kernels.testing.trials import Counterexample

BROKEN = 1
MAX_SIZE_SHOWN = 8  # rows and columns; the elements of larger matrices tell a reader little


@o.takes_settings("threads", "dtype")
def check(
    given: dict[str, Any],
    where: Annotated[
        str,
        typer.Argument(
            metavar="KERNEL",
            help=f"The name of a kernel of the ladder or of an installed package, {CODE}.",
        ),
    ],
    json: o.Json = False,
) -> None:
    """Check that a kernel keeps the contract, and measure it if it does.

    What it breaks is shown with the smallest product found that does: the exit status is then 1,
    and nothing is timed. Beyond the contract, the same bits again, for a row alone and with any
    number of threads, are promises of this project's own; a kernel may break them.
    """
    from fastnn import kernels

    settings = o.given_experiment(given)
    kernel = kernels.get(where)
    promises = _examine(kernel)
    broken = any(promise["required"] and promise["fault"] for promise in promises)
    speeds = None if broken else measure_speeds(settings, [kernel])
    if json:
        show_json(
            {
                "kernel": kernel.name,
                "summary": kernel.summary,
                "keeps_contract": not broken,
                "promises": promises,
                "measured": speeds,
            }
        )
    else:
        show(f"{kernel.name}: {kernel.summary}")
        _show(promises)
        if speeds:
            show_speeds(speeds)
    if broken:
        raise typer.Exit(BROKEN)


def _examine(kernel: "Kernel") -> list[dict[str, Any]]:
    """Run all checks; those beyond the contract only on a kernel that keeps it."""
    from fastnn.cli.progress import count_bar
    from fastnn.kernels.testing.contract import CONTRACT, REPRODUCIBLE, examine
    from fastnn.kernels.testing.trials import Counterexample

    promises: list[dict[str, Any]] = []
    with count_bar(len(CONTRACT) + len(REPRODUCIBLE)) as progress:
        for check in (*CONTRACT, *REPRODUCIBLE):
            required = check in CONTRACT
            if not required and any(
                promise["fault"] for promise in promises if promise["required"]
            ):
                break
            name = check.__name__.removeprefix("check_").replace("_", " ")
            progress(name)
            fault = examine(kernel, check)
            what = (check.__doc__ or "").splitlines()[0]
            promises.append(
                {
                    "promise": name,
                    "what": what.removeprefix("Check ").rstrip("."),
                    "required": required,
                    "fault": None if fault is None else str(fault),
                    "example": _example(fault) if isinstance(fault, Counterexample) else None,
                }
            )
    return promises


def _example(found: "Counterexample") -> dict[str, Any]:
    """Return the matrices of a small product, their elements as text since JSON has no NaN."""
    a, b = found.trial.operands()
    matrices = {"a": a, "b": b, "expected": found.expected, "got": found.out}
    (m, k), n = a.shape, b.shape[1]
    is_small = max(m, k, n) <= MAX_SIZE_SHOWN
    return {
        "m": m,
        "k": k,
        "n": n,
        "dtype": str(a.dtype),
        "layouts": dict(zip(("a", "b", "out"), found.trial.layouts, strict=True)),
    } | {name: each.astype(str).tolist() if is_small else None for name, each in matrices.items()}


def _show(promises: list[dict[str, Any]]) -> None:
    show_table(
        ("promise", "kept", "what it says"),
        [
            [
                promise["promise"],
                "no" if promise["fault"] else "yes",
                promise["what"] + ("" if promise["required"] else " (beyond the contract)"),
            ]
            for promise in promises
        ],
    )
    broken: dict[str, list[dict[str, Any]]] = {}  # by what is wrong
    for promise in promises:
        if promise["fault"]:
            broken.setdefault(promise["fault"], []).append(promise)
    for fault, breaking in broken.items():
        show(f"{', '.join(promise['promise'] for promise in breaking)}: {fault}")
        _show_matrices(breaking[0]["example"] or {})
        show("")


def _show_matrices(example: Mapping[str, Any]) -> None:
    for name in ("a", "b", "expected", "got"):
        rows = example.get(name) or []
        width = max((len(element) for row in rows for element in row), default=0)
        for number, row in enumerate(rows):
            title = f"{name} =" if number == 0 else ""
            show(f"{title:>12}  " + "  ".join(element.rjust(width) for element in row))
