"""``fastnn compare``."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from fastnn.cli import options as o
from fastnn.cli.console import show, show_json, show_table, warn, warn_of_restraints
from fastnn.cli.speeds import blas
from fastnn.experiments.settings import ExperimentError
from fastnn.formats import to_markdown
from fastnn.study import denormals_mode
from fastnn.study.tables import (
    EXTRAPOLATED,
    comparison_tables,
    doubts,
    has_extrapolated,
    measured,
)


@o.takes_settings(
    *("data", "data_dir", "hidden", "activation", "batch_size", "optimizer"),
    *("threads", "dtype", "flush_denormals", "seed"),
)
def compare(
    given: dict[str, Any],
    only: o.Kernels = None,
    rounds: Annotated[int, typer.Option(help="How often each is timed; the median counts.")] = 5,
    seconds: Annotated[float, typer.Option(help="About how long each is timed in a round.")] = 0.3,
    inference: Annotated[
        str, typer.Option(metavar="SIZES", help="Batch sizes of inference, separated by commas.")
    ] = "1,32,1024",
    config: o.Config = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print tables in Markdown.")] = False,
    json: o.Json = False,
) -> None:
    """Train one network under several kernels: the same losses, and what each costs.

    The losses of a few steps and the gradients of a batch are compared first; a kernel that
    differs by more than rounding is an error. Then steps of training, and inference, are timed by
    turns. Products: their operations by the time of the whole step, the share of the machine's
    peak, their share of the time of a step's calls, and how many times as fast the calls would be
    if products took no time (Amdahl's law). A slow kernel is timed over fewer steps or samples,
    and what is extrapolated is marked.
    """
    if json and markdown:
        raise ExperimentError("--json and --markdown exclude each other")
    from fastnn.cli.progress import count_bar
    from fastnn.study.comparison import Comparison

    comparison = Comparison(
        o.given_experiment(given, config),
        o.kernel_names(only),
        rounds=rounds,
        seconds=seconds,
        inference=_sizes(inference),
    )
    warn_of_restraints()
    comparison.verify()
    with count_bar(comparison.parts) as progress:
        comparison.measure(progress)
    report = comparison.report()
    if report["busy"]:
        warn(
            f"the machine is busy: the middle half of the rounds of a step is "
            f"{report['noise']:.0%} wide; take more --rounds or --seconds, or a quieter moment"
        )
    if json:
        show_json(report)
    else:
        _show(report, comparison.data.description, markdown)


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(map(int, text.split(","))))
    except ValueError:
        raise ExperimentError(
            f"--inference must be whole numbers separated by commas, not {text!r}"
        ) from None


def _show(report: Mapping[str, Any], description: str, markdown: bool) -> None:
    layers = "-".join(map(str, report["sizes"]))
    peak = report["ceilings"][report["dtype"]]["median"] / 1e9
    head = [
        f"{report['data']}: {description}",
        f"{layers} network in {report['dtype']}, batch size {report['batch_size']}, "
        f"threads {report['threads']}, {report['machine']['processor']}, BLAS {blas(report)}, "
        f"FMA peak {peak:.1f} GFLOP/s, {denormals_mode(report['flush_denormals'])}",
        f"losses of {report['steps_verified']} steps agree to {report['loss_difference']:.1e}; "
        f"medians of {report['rounds']} rounds",
    ]
    rows = measured(report)
    tables = comparison_tables(rows)
    foot = [f"{row['kernel']}: {row['skipped']}" for row in report["kernels"] if row["skipped"]]
    foot += [f"{kernel}: {doubt}" for kernel, doubt in doubts(rows).items()]
    if has_extrapolated(tables):
        foot.append(
            f"{EXTRAPOLATED} extrapolated from fewer than the {report['steps_per_epoch']} steps of "
            "an epoch, or from a smaller batch"
        )
    if markdown:
        show("\n\n".join([*head, *(to_markdown(*table) for table in tables.values()), *foot]))
        return
    show(*head)
    for table in tables.values():
        show_table(*table)
    show(*foot)
