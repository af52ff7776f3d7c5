"""``fastnn compare``."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from fastnn.cli import options as o
from fastnn.cli.console import duration, show, show_json, show_table
from fastnn.experiment import Experiment, read_settings


def compare(
    context: typer.Context,
    only: Annotated[
        str | None,
        typer.Option(
            "--kernels", metavar="NAMES", help="Kernels, separated by commas; all without."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(help="How often each is timed; the median counts.")] = 5,
    seconds: Annotated[float, typer.Option(help="About how long each is timed in a round.")] = 0.3,
    data: o.Data = None,
    data_dir: o.DataDir = None,
    hidden: o.Hidden = None,
    activation: o.Activation = None,
    batch_size: o.BatchSize = None,
    optimizer: o.Optimizer = None,
    threads: o.Threads = None,
    dtype: o.DType = None,
    seed: o.Seed = None,
    config: o.Config = None,
    json: o.Json = False,
) -> None:
    """Train one network under several kernels: the same losses, and what each costs.

    First the losses of a few steps are compared; a kernel that differs by more than rounding
    is an error. Then each kernel is timed in turn. A slow one is timed over a few steps, and
    its epoch extrapolated.
    """
    import kernels as ladder
    from fastnn.cli.progress import count_bar
    from fastnn.comparison import Comparison

    settings = (read_settings(config) if config else {}) | o.given_settings(context.params)
    names = ladder.names() if only is None else only.split(",")
    comparison = Comparison(Experiment(**settings), names, rounds=rounds, seconds=seconds)
    comparison.verify()
    with count_bar(rounds * len(comparison.measured)) as advance:
        comparison.measure(advance)
    report = comparison.report()
    if json:
        show_json(report)
        return
    _show(report, comparison.data.description)


def _show(report: Mapping[str, Any], description: str) -> None:
    layers = "-".join(map(str, report["sizes"]))
    blas = " ".join(filter(None, report["machine"]["blas"].values()))
    show(
        f"{report['data']}: {description}",
        f"{layers} network in {report['dtype']}, batch size {report['batch_size']}, "
        f"threads {report['threads']}, {report['machine']['processor']}, BLAS {blas}",
        f"losses of {report['steps_verified']} steps agree to {report['loss_difference']:.1e}",
    )
    show_table(
        ("kernel", "loss", "epoch", "ratio", "inference a sample", "ratio"),
        [
            [
                row["kernel"],
                f"{row['loss']:.6f}",
                duration(row["epoch_seconds"]),
                f"{row['ratio']:,.2f}",
                duration(row["inference_seconds"]),
                f"{row['inference_ratio']:,.2f}",
            ]
            for row in report["kernels"]
            if not row["skipped"]
        ],
    )
    show(*(f"{row['kernel']}: {row['skipped']}" for row in report["kernels"] if row["skipped"]))
