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
from fastnn.experiment import Experiment, ExperimentError, read_settings
from fastnn.formats import duration

NOISY = 0.2  # the middle half of the rounds, relative to the median
EXTRAPOLATED = "†"
Table = tuple[Sequence[str], Sequence[Sequence[str]]]  # columns and rows


def compare(
    context: typer.Context,
    only: Annotated[
        str | None,
        typer.Option(
            "--kernels",
            metavar="NAMES",
            help="Kernels, separated by commas, as `fastnn kernels check` takes them; all without.",
        ),
    ] = None,
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

    First the losses of a few steps are compared; a kernel that differs by more than rounding
    is an error. Then the kernels are timed in turns: a step of training, and inference. Of the
    matrix products are shown: their operations by the time of the whole step, what that is of
    the machine's peak, their share of the step's time, line by line, and how many times as fast
    the step would be if they took none, which is what another kernel has left to gain (Amdahl's
    law). A slow kernel is timed over fewer steps or samples, and what is extrapolated is marked.
    """
    if json and markdown:
        raise ExperimentError("--json and --markdown exclude each other")
    import kernels as ladder
    from fastnn.cli.progress import count_bar
    from fastnn.comparison import Comparison

    settings = (read_settings(config) if config else {}) | o.given_settings(context.params)
    names = ladder.names() if only is None else only.split(",")
    comparison = Comparison(
        Experiment(**settings), names, rounds=rounds, seconds=seconds, inference=_sizes(inference)
    )
    warn_of_restraints()
    comparison.verify()
    with count_bar(comparison.parts) as advance:
        comparison.measure(advance)
    report = comparison.report()
    if report["noise"] > NOISY:
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
    measured = [row for row in report["kernels"] if not row["skipped"]]
    tables = [_training(measured), _products(measured), _inference(measured)]
    foot = [f"{row['kernel']}: {row['skipped']}" for row in report["kernels"] if row["skipped"]]
    if any(EXTRAPOLATED in cell for _, rows in tables for row in rows for cell in row):
        foot.append(
            f"{EXTRAPOLATED} extrapolated, from fewer than the {report['steps_per_epoch']} steps "
            "of an epoch, or from a smaller batch"
        )
    if not markdown:
        show(*head)
        for table in tables:
            show_table(*table)
        show(*foot)
        return
    show(*_paragraphs(head))
    for table in tables:
        show_markdown(*table)
        show("")
    show(*_paragraphs(foot))


def _paragraphs(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield from (line, "")


def _training(rows: Sequence[Mapping[str, Any]]) -> Table:
    return ("training", "step", "epoch", "× naive", "× numpy"), [
        [
            row["kernel"],
            duration(row["step_seconds"]["median"]),
            _marked(duration(row["epoch_seconds"]["median"]), row),
            *(_times(row["speedup"][other]) for other in ("naive", "numpy")),
        ]
        for row in rows
    ]


def _products(rows: Sequence[Mapping[str, Any]]) -> Table:
    return ("products", "GFLOP/s", "% peak", "% of step", "left to gain"), [
        [
            row["kernel"],
            f"{row['flops']['median'] / 1e9:.3g}",
            f"{100 * row['peak_share']['median']:.3g}",
            f"{100 * row['product_share']:.1f}",
            f"{row['amdahl']:,.1f} ×",
        ]
        for row in rows
    ]


def _inference(rows: Sequence[Mapping[str, Any]]) -> Table:
    return ("inference", "batch", "latency", "samples/s", "× numpy"), [
        [
            row["kernel"],
            f"{entry['batch_size']:,}",
            _marked(duration(entry["seconds"]["median"]), entry),
            f"{entry['samples_per_second']['median']:,.0f}",
            _times(entry["speedup"]),
        ]
        for row in rows
        for entry in row["inference"]
    ]


def _marked(text: str, figures: Mapping[str, Any]) -> str:
    return text + EXTRAPOLATED if figures["extrapolated"] else text


def _times(speedup: Mapping[str, float] | None) -> str:
    """Return a ratio to three digits, with no exponent; a dash for None."""
    if speedup is None:
        return "–"
    ratio = speedup["median"]
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:#.3g}"
