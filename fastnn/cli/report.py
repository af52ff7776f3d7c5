"""``fastnn report``."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fastnn.cli import options as o
from fastnn.cli.console import show, warn, warn_of_restraints
from fastnn.experiments.settings import ExperimentError

ASV_RESULTS = Path(".asv/results")


@o.takes_settings(
    *("data", "data_dir", "hidden", "activation", "epochs", "batch_size", "optimizer"),
    *("threads", "dtype", "flush_denormals", "seed"),
)
def report(
    given: dict[str, Any],
    out: Annotated[Path, typer.Option(help="The page; an older report is replaced.")] = Path(
        "report.html"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="Measure little, in a minute.")] = False,
    only: o.Kernels = None,
    asv: Annotated[
        Path | None, typer.Option(help="Where asv keeps its results. Default: .asv/results.")
    ] = None,
    config: o.Config = None,
) -> None:
    """Measure everything, and write one page with figures and tables.

    The page needs neither a network nor other files. It shows one network under each kernel: the
    time of an epoch, where the time of a step goes, speeds against the machine's ceilings,
    inference, trainings, and the history that asv has kept, if any. Needs the extra `report`.
    """
    from fastnn.study.report import require

    page = require("fastnn.study.report.page", "report")
    check_replaceable(out, page.GENERATOR)
    from fastnn.checkpoint import write_atomically
    from fastnn.cli.progress import count_bar
    from fastnn.study.report.history import read_history
    from fastnn.study.report.measurements import QUICK, THOROUGH, Study

    experiment = o.given_experiment(given, config)
    try:
        history = read_history(asv or ASV_RESULTS)
    except ValueError as error:
        if asv:
            raise
        history = []
        warn(f"{ASV_RESULTS} is left out: {error}")
    study = Study(experiment, o.kernel_names(only), QUICK if quick else THOROUGH)
    warn_of_restraints()
    with count_bar(study.parts) as progress:
        data = study.measure(progress)
    command = shlex.join(["fastnn", *sys.argv[1:]])
    text = page.render(data, history, command, quick=quick)
    write_atomically(out, text.encode())
    show(f"{out}: {len(text) // 1024:,} KiB, measured in {data['seconds']:.0f} s")


def check_replaceable(path: Path, generator: str) -> None:
    """Raise `ExperimentError` if `path` cannot be written, or is not a report."""
    if not os.access(path.parent, os.W_OK) or not path.parent.is_dir():
        raise ExperimentError(f"{path.parent} is not a directory that can be written to")
    if not path.exists():
        return
    head = b""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(1000)
    if f'<meta name="generator" content="{generator} '.encode() not in head:
        raise ExperimentError(f"{path} is not a report and is not overwritten; name another --out")
