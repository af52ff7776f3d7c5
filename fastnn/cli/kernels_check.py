"""``fastnn kernels check``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastnn.cli import options as o
from fastnn.cli.console import show, show_json, show_table
from fastnn.cli.speeds import measure_speeds, show_speeds

if TYPE_CHECKING:
    from fastnn.kernels import Kernel
    from fastnn.kernels.testing.contract import Check
    from fastnn.kernels.testing.trials import Counterexample

BROKEN = 1
TINY = 8  # rows and columns; of larger matrices nobody reads the elements


@o.takes_settings("threads", "dtype")
def check(
    given: dict[str, Any],
    where: Annotated[
        str,
        typer.Argument(
            metavar="KERNEL",
            help="MODULE:NAME, PATH.py:NAME, or the name of a kernel of the ladder "
            "or of an installed package.",
        ),
    ],
    json: o.Json = False,
) -> None:
    """Check that a kernel keeps the contract, and measure it if it does.

    What it breaks is shown with the smallest product that does: the exit status is then 1, and
    nothing is timed. Bits that are the same again, for a row alone, and with any number of
    threads, are this project's own promise beyond the contract, and told.
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
    from fastnn.kernels.testing.contract import CONTRACT, REPRODUCIBLE

    with count_bar(len(CONTRACT) + len(REPRODUCIBLE)) as advance:
        promises = [_put(kernel, check, True, advance) for check in CONTRACT]
        if not any(promise["fault"] for promise in promises):
            promises += [_put(kernel, check, False, advance) for check in REPRODUCIBLE]
    return promises


def _put(kernel: "Kernel", check: "Check", required: bool, advance: Any) -> dict[str, Any]:  # noqa: ANN401
    from fastnn.kernels.testing.contract import examine
    from fastnn.kernels.testing.trials import Counterexample

    name = check.__name__.removeprefix("check_").replace("_", " ")
    advance(name)
    fault = examine(kernel, check)
    return {
        "promise": name,
        "what": (check.__doc__ or "").splitlines()[0].removeprefix("Check ").rstrip("."),
        "required": required,
        "fault": None if fault is None else str(fault),
        "example": _example(fault) if isinstance(fault, Counterexample) else None,
    }


def _example(found: "Counterexample") -> dict[str, Any]:
    """Return the matrices, as text where JSON has no number for an element."""
    a, b = found.trial.operands()
    matrices = {"a": a, "b": b, "expected": found.expected, "got": found.out}
    (m, k), n = a.shape, b.shape[1]
    tiny = max(m, k, n) <= TINY
    return {
        "m": m,
        "k": k,
        "n": n,
        "dtype": str(a.dtype),
        "layouts": dict(zip(("a", "b", "out"), found.trial.layouts, strict=True)),
    } | {name: matrix.astype(str).tolist() if tiny else None for name, matrix in matrices.items()}


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
    faults: dict[str, Any] = {}
    for promise in promises:
        if promise["fault"]:
            faults.setdefault(promise["fault"], []).append(promise)
    for fault, broken in faults.items():
        show(f"{', '.join(promise['promise'] for promise in broken)}: {fault}")
        _show_matrices(broken[0]["example"] or {})
        show("")


def _show_matrices(example: Mapping[str, Any]) -> None:
    for name in ("a", "b", "expected", "got"):
        rows = example.get(name) or []
        width = max((len(element) for row in rows for element in row), default=0)
        for number, row in enumerate(rows):
            title = f"{name} =" if number == 0 else ""
            show(f"{title:>12}  " + "  ".join(element.rjust(width) for element in row))
