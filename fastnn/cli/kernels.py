"""``fastnn kernels`` and ``fastnn kernels check``."""

from typing import Annotated, Any

import typer

from fastnn.cli import options as o
from fastnn.cli.console import show_json, show_table
from fastnn.cli.kernels_check import check
from fastnn.cli.speeds import measure_speeds, show_speeds
from fastnn.experiments.settings import Experiment, ExperimentError

app = typer.Typer()
app.command()(check)


@app.callback(invoke_without_command=True)
@o.takes_settings("threads", "dtype")
def kernels(
    settings: dict[str, Any],
    context: typer.Context,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure each at squares and at a network's products.")
    ] = False,
    only: o.Kernels = None,
    json: o.Json = False,
) -> None:
    """List the kernels: what each is, and whether it works here; or measure them.

    With --measure, each product of a kernel is verified and then timed, by turns with NumPy's.
    The figures are medians: operations a second, their share of the machine's peak (the
    multiply-adds of its vector units), and the ratio to NumPy's with its middle half. Products
    that would take a kernel too long are left out.
    """
    given = [name for name, value in context.params.items() if value]
    if context.invoked_subcommand is not None:
        if given:
            raise ExperimentError(
                f"{_option(given[0])} before {context.invoked_subcommand} has no meaning; "
                "options of a command follow its name"
            )
    elif measure:
        _measure(o.given_experiment(settings), only, json)
    elif given := [name for name in given if name != "json"]:
        raise ExperimentError(f"{_option(given[0])} says how to measure; it needs --measure")
    else:
        _list(json)


def _option(parameter: str) -> str:
    return "--kernels" if parameter == "only" else f"--{parameter}"


def _measure(settings: Experiment, only: str | None, json: bool) -> None:
    from fastnn.kernels import get

    report = measure_speeds(settings, [get(where) for where in o.kernel_names(only)])
    if json:
        show_json(report)
    else:
        show_speeds(report)


def _list(json: bool) -> None:
    from fastnn import kernels as ladder
    from fastnn.kernels.testing.contract import find_fault

    rows = []
    for name in ladder.names():
        fault = find_fault(name)
        kernel = ladder.get(name) if fault is None else None
        rows.append(
            {
                "name": name,
                "summary": kernel.summary if kernel else None,
                "threaded": kernel.threaded if kernel else None,
                "usable": fault is None,
                "fault": fault,
            }
        )
    if json:
        show_json({"threads": ladder.get_num_threads(), "kernels": rows})
        return
    show_table(
        ("kernel", "usable", "threads", "what it is"),
        [
            [
                str(row["name"]),
                "yes" if row["usable"] else "no",
                str(ladder.get_num_threads()) if row["threaded"] else "1",
                str(row["summary"] or row["fault"]),
            ]
            for row in rows
        ],
    )
