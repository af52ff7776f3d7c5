"""``fastnn kernels``."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from fastnn.cli import options as o
from fastnn.cli.console import show, show_json, show_table, warn
from fastnn.experiment import Experiment, ExperimentError


def kernels(
    context: typer.Context,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure each at squares and at a network's products.")
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(
            "--kernels", metavar="NAMES", help="To measure, separated by commas; all without."
        ),
    ] = None,
    threads: o.Threads = None,
    dtype: o.DType = None,
    json: o.Json = False,
) -> None:
    """List the kernels: what each is, and whether it works here; or measure them.

    With --measure each product of a kernel is verified and then timed, in turns with NumPy's.
    What is shown are medians: operations a second, what they are of the machine's peak (as
    many multiply-adds as its vector units do), and the ratio to NumPy's with its middle half.
    Products that a kernel would take too long for are left out.
    """
    if measure:
        settings = Experiment(**o.given_settings(context.params)).resolved()
        _measure(settings, only, json)
    elif given := [name for name in ("only", "threads", "dtype") if context.params[name]]:
        option = "kernels" if given[0] == "only" else given[0]
        raise ExperimentError(f"--{option} says how to measure; it needs --measure")
    else:
        _list(json)


def _list(json: bool) -> None:
    import kernels as ladder
    from fastnn.comparison import find_fault

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


def _measure(settings: Experiment, only: str | None, json: bool) -> None:
    import kernels as ladder
    from fastnn.cli.progress import count_bar
    from fastnn.environment import blas_restraints
    from fastnn.measuring import measure_ladder

    if settings.threads is not None:
        ladder.set_num_threads(settings.threads)
    names = ladder.names() if only is None else only.split(",")
    for name, value in blas_restraints().items():
        warn(f"{name}={value} is set, which may hold BLAS below the processor: unset it to compare")
    with count_bar(1 + len(names)) as advance:
        report = measure_ladder(settings.dtype, names, begins=advance)
    if json:
        show_json(report)
    else:
        _show(report)


def _show(report: Mapping[str, Any]) -> None:
    machine, measured = report["machine"], report["ceilings"]
    blas = " ".join(filter(None, machine["blas"].values()))
    (ceilings,) = measured["ceilings"]
    sizes = (f"{measured['caches'][level] // 1024:,} KiB" for level in ("l1", "l2", "l3"))
    show(
        f"{machine['processor']}, {measured['vector_unit']}, caches {', '.join(sizes)}",
        f"{report['dtype']}, threads {report['threads']}, BLAS {blas}",
        f"FMA peak {ceilings[report['dtype']]['median'] / 1e9:.1f} GFLOP/s, memory "
        f"{ceilings['read']['median'] / 1e9:.1f} GB/s read, "
        f"{ceilings['copy']['median'] / 1e9:.1f} GB/s read and written in a copy",
    )
    show_table(
        ("kernel", "product", "GFLOP/s", "% peak", "× numpy", "middle half"),
        [
            [
                speed["kernel"],
                speed["product"],
                f"{speed['flops']['median'] / 1e9:.3g}",
                f"{100 * speed['share']['median']:.3g}",
                f"{speed['ratio']['median']:.3g}",
                f"{speed['ratio']['low']:.2g}–{speed['ratio']['high']:.2g}",
            ]
            for speed in report["speeds"]
        ],
    )
