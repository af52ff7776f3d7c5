"""``fastnn compare``."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from fastnn.cli import options as o
from fastnn.cli.console import (
    show,
    show_json,
    show_markdown,
    show_table,
    warn,
    warn_of_restraints,
)
from fastnn.experiments.settings import ExperimentError
from fastnn.study.tables import (
    EXTRAPOLATED,
    inference_table,
    measured,
    products_table,
    training_table,
)


def compare(
    context: typer.Context,
    only: o.Kernels = None,
    rounds: Annotated[int, typer.Option(help="How often each is timed; the median counts.")] = 5,
    seconds: Annotated[float, typer.Option(help="About how long each is timed in a round.")] = 0.3,
    inference: Annotated[
        str, typer.Option(metavar="SIZES", help="Batch sizes of inference, separated by commas.")
    ] = "1,32,1024",
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
    markdown: Annotated[bool, typer.Option("--markdown", help="Print tables in Markdown.")] = False,
    json: o.Json = False,
) -> None:
    """Train one network under several kernels: the same losses, and what each costs.

    First the losses of a few steps and the gradients of a batch are compared; a kernel that
    differs by more than rounding is an error. Then the kernels are timed in turns: a step of
    training, and inference. Of the matrix products are shown: their operations by the time of
    the whole step, what that is of the machine's peak, their share of the time of a step's
    calls, and how many times as fast these would be if products took none, which is what
    another kernel has left to gain (Amdahl's law). A slow kernel is timed over fewer steps or
    samples, and what is extrapolated is marked.
    """
    if json and markdown:
        raise ExperimentError("--json and --markdown exclude each other")
    from fastnn.cli.progress import count_bar
    from fastnn.study.comparison import Comparison

    comparison = Comparison(
        o.given_experiment(context.params, config),
        o.kernel_names(only),
        rounds=rounds,
        seconds=seconds,
        inference=_sizes(inference),
    )
    warn_of_restraints()
    comparison.verify()
    with count_bar(comparison.parts) as advance:
        comparison.measure(advance)
    report = comparison.report()
    if report["busy"]:
        warn(
            f"the machine is busy: half of the rounds of a step lie {report['noise']:.0%} apart; "
            "more --rounds or --seconds, or a quieter moment, make the figures worth more"
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
    machine = report["machine"]
    layers = "-".join(map(str, report["sizes"]))
    blas = " ".join(filter(None, machine["blas"].values()))
    (ceilings,) = report["ceilings"]["ceilings"]
    head = (
        f"{report['data']}: {description}",
        f"{layers} network in {report['dtype']}, batch size {report['batch_size']}, "
        f"threads {report['threads']}, {machine['processor']}, BLAS {blas}, "
        f"FMA peak {ceilings[report['dtype']]['median'] / 1e9:.1f} GFLOP/s",
        f"losses of {report['steps_verified']} steps agree to {report['loss_difference']:.1e}; "
        f"medians of {report['rounds']} rounds",
    )
    rows = measured(report)
    tables = [make(rows) for make in (training_table, products_table, inference_table)]
    foot = [f"{row['kernel']}: {row['skipped']}" for row in report["kernels"] if row["skipped"]]
    if any(EXTRAPOLATED in text for table in tables for row in table.texts for text in row):
        foot.append(
            f"{EXTRAPOLATED} extrapolated, from fewer than the {report['steps_per_epoch']} steps "
            "of an epoch, or from a smaller batch"
        )
    if not markdown:
        show(*head)
        for table in tables:
            show_table(table.columns, table.texts)
        show(*foot)
        return
    show(*_paragraphs(head))
    for table in tables:
        show_markdown(table.columns, table.texts)
        show("")
    show(*_paragraphs(foot))


def _paragraphs(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield from (line, "")
