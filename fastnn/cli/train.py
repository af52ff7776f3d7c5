"""``fastnn train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fastnn.cli import options as o
from fastnn.cli.console import figure, show, show_json, show_table
from fastnn.cli.signals import Interrupted
from fastnn.experiments.settings import Experiment, ExperimentError

if TYPE_CHECKING:
    from fastnn.experiments.run import Run

ROWS_SHOWN = 8


def train(
    context: typer.Context,
    data: o.Data = None,
    data_dir: o.DataDir = None,
    validation: o.Validation = None,
    hidden: o.Hidden = None,
    activation: o.Activation = None,
    dropout: o.Dropout = None,
    initializer: o.Initializer = None,
    epochs: o.Epochs = None,
    batch_size: o.BatchSize = None,
    gradient_descent: o.GradientDescent = None,
    optimizer: o.Optimizer = None,
    learning_rate: o.LearningRate = None,
    momentum: o.Momentum = None,
    nesterov: o.Nesterov = None,
    weight_decay: o.WeightDecay = None,
    clip_norm: o.ClipNorm = None,
    schedule: o.Schedule = None,
    decay_every: o.DecayEvery = None,
    decay_factor: o.DecayFactor = None,
    warmup: o.WarmUp = None,
    kernel: o.Kernel = None,
    threads: o.Threads = None,
    engine: o.Engine = None,
    dtype: o.DType = None,
    flush_denormals: o.FlushDenormals = None,
    seed: o.Seed = None,
    config: o.Config = None,
    out: o.Out = None,
    resume: o.Resume = None,
    json: o.Json = False,
) -> None:
    """Train a network, and test it.

    Without options it learns the handwritten digits that come with the package. The progress
    is shown on stderr, what came of it on stdout. Ctrl-C ends it after the last whole epoch,
    which --out has kept, and --resume goes on from there.
    """
    if resume:
        run = _resume(resume, o.given_settings(context.params), config, out)
    else:
        run = _begin(o.given_experiment(context.params, config), out)
    _train(run)
    if json:
        show_json(run.report())
    else:
        _show(run)


def _begin(experiment: Experiment, out: Path | None) -> "Run":
    from fastnn.experiments.run import Run, check_free

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
            f"a run goes on with its own settings: with --resume, --epochs is allowed, not {names}"
        )
    from fastnn.experiments.run import Run

    return Run.resume(directory, epochs=given.get("epochs"))


def _train(run: "Run") -> None:
    """Train with a bar; say what becomes of the work if a signal ends it."""
    from fastnn.cli.progress import epoch_bar

    epochs = run.experiment.epochs
    try:
        with epoch_bar(len(run.history), epochs) as callbacks:
            run.train(callbacks)
    except Interrupted as interrupted:
        if run.directory is None:
            interrupted.add_note("nothing is kept, for want of --out")
        else:
            interrupted.add_note(
                f"{run.directory} keeps what was learnt up to the last whole epoch, "
                f"and fastnn train --resume {run.directory} goes on"
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
    if run.test.accuracy is None:
        show(f"test mean squared error {run.test.loss:.6f}")
    else:
        show(f"test accuracy {run.test.accuracy:.4f}, test loss {run.test.loss:.4f}")
    if run.directory is not None:
        show(f"kept in {run.directory}")
