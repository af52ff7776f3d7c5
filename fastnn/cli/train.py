"""``fastnn train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastnn.cli import options as o
from fastnn.cli.console import figure, show, show_json, show_result, show_table
from fastnn.cli.signals import Interrupted
from fastnn.experiments.settings import Experiment, ExperimentError

if TYPE_CHECKING:
    from fastnn.experiments.run import Run

ROWS_SHOWN = 8


@o.takes_settings()
def train(
    given: dict[str, Any],
    config: o.Config = None,
    out: o.Out = None,
    resume: o.Resume = None,
    json: o.Json = False,
) -> None:
    """Train a network and test it.

    Without options, it learns the handwritten digits that come with the package. Progress goes to
    stderr, the result to stdout. Ctrl-C stops the training; with --out, the last complete epoch is
    kept, and --resume continues from there.
    """
    if resume:
        run = _resume(resume, given, config, out)
    else:
        run = _begin(o.given_experiment(given, config), out)
    _train(run)
    if json:
        show_json(run.report())
    else:
        _show(run)


def _begin(experiment: Experiment, out: Path | None) -> "Run":
    from fastnn.experiments.directory import check_free
    from fastnn.experiments.run import Run

    if out is not None:
        check_free(out)  # before the data, which may take long
    run = Run.prepare(experiment)
    if out is not None:
        run.keep_in(out)
    return run


def _resume(directory: Path, given: dict[str, Any], config: Path | None, out: Path | None) -> "Run":
    others = {name: value for name, value in given.items() if name != "epochs"}
    others |= {name: value for name, value in (("config", config), ("out", out)) if value}
    if others:
        names = ", ".join("--" + name.replace("_", "-") for name in others)
        raise ExperimentError(
            "a run continues with its own settings: with --resume, "
            f"--epochs is allowed, not {names}"
        )
    from fastnn.experiments.run import Run

    return Run.resume(directory, epochs=given.get("epochs"))


def _train(run: "Run") -> None:
    """Train with a progress bar; add to an interruption what becomes of the work."""
    from fastnn.cli.progress import epoch_bar

    epochs = run.experiment.epochs
    try:
        with epoch_bar(len(run.history), epochs) as callbacks:
            run.train(callbacks)
    except Interrupted as interrupted:
        if run.directory is None:
            interrupted.add_note("nothing is kept without --out")
        else:
            interrupted.add_note(
                f"{run.directory} keeps the last complete epoch; "
                f"fastnn train --resume {run.directory} continues from it"
            )
        raise


def _show(run: "Run") -> None:
    report = run.report()
    layers = "-".join(map(str, report["sizes"]))
    show(
        f"{report['data']}: {run.data.description}",
        f"{layers} network, {report['parameters']:,} parameters in {report['dtype']}, "
        f"kernel {report['kernel']}, threads {report['threads']}, seed {report['seed']}",
    )
    history = run.history
    every = -(-len(history) // ROWS_SHOWN)
    shown = [e for e in history if e.epoch % every == 0 or e.epoch in (1, len(history))]
    columns = ("epoch", "loss", "accuracy", "val. loss", "val. accuracy", "seconds")
    rows = [
        [
            str(e.epoch),
            *(figure(value) for value in (e.loss, e.accuracy, e.val_loss, e.val_accuracy)),
            figure(e.seconds),
        ]
        for e in shown
    ]
    show_table(columns, rows)
    assert run.test is not None
    show_result(run.test, run.loss)
    if run.directory is not None:
        show(f"kept in {run.directory}")
