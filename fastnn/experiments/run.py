"""`Run`: an experiment carried out, and the directory that keeps it.

A directory holds five files, each replaced as a whole:

- ``config.toml``: the experiment, every setting of it;
- ``run.json``: what it ran on, and in the end what it came to;
- ``history.csv``: one line an epoch;
- ``weights.safetensors``: the network, see `fastnn.checkpoint.load_network`;
- ``training.safetensors``: what it takes to go on bit for bit.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from fastnn import datasets, kernels
from fastnn.callbacks import TerminateOnNaN
from fastnn.checkpoint import load_training, save_network, save_training, write_atomically
from fastnn.data import Inputs
from fastnn.datasets import Dataset
from fastnn.environment import machine, versions
from fastnn.experiments.build import build_loss, build_network, build_optimizer, hold_out
from fastnn.experiments.settings import Experiment, read_settings
from fastnn.formats import to_json
from fastnn.history import Evaluation, History
from fastnn.kernels.finding import absolute
from fastnn.losses import Loss, Targets
from fastnn.network import Sequential
from fastnn.optimizers import Optimizer
from fastnn.training import Callback, Training, evaluate, fit, resolve_batch_size

CONFIG, REPORT, LOG = "config.toml", "run.json", "history.csv"
WEIGHTS, TRAINING = "weights.safetensors", "training.safetensors"
FILES = (CONFIG, REPORT, LOG, WEIGHTS, TRAINING)

Samples = tuple[Inputs, Targets]


class RunError(ValueError):
    """A run cannot begin, go on or end well; the text says why."""


@dataclass
class Run:
    """An experiment with all that it takes to carry it out.

    Attributes
    ----------
    experiment : Experiment
    data : Dataset
    training, validation : tuple of (x, y)
        The training data, and the part of them that is held out; None where there is none.
    net : Sequential
    loss : Loss
    optimizer : Optimizer
    rng : numpy.random.Generator
        Draws the order of the samples.
    batch_size, steps_per_epoch : int
    history : History
        The epochs so far.
    directory : Path or None
        Where the run is kept.
    test : Evaluation or None
        What it came to, once it has ended.

    """

    experiment: Experiment
    data: Dataset
    training: Samples
    validation: Samples | None
    net: Sequential
    loss: Loss
    optimizer: Optimizer
    rng: np.random.Generator
    batch_size: int
    steps_per_epoch: int
    history: History = field(default_factory=History)
    directory: Path | None = None
    test: Evaluation | None = None

    @classmethod
    def prepare(cls, experiment: Experiment) -> Self:
        """Load the data and build the network of an experiment.

        Sets the number of threads, where the experiment has one, for the whole process.

        Raises
        ------
        ValueError
            A setting names something that does not exist or does not fit, or the data are
            not as they should be.

        """
        experiment = experiment.resolved()
        kernel = kernels.get(experiment.kernel)  # before the data, which may take long
        if experiment.threads is not None:
            kernels.set_num_threads(experiment.threads)
        data = load_data(experiment)
        streams = np.random.SeedSequence(experiment.seed).spawn(3)
        for_split, for_network, for_order = map(np.random.default_rng, streams)
        held_out = hold_out(data.y_train, experiment.validation, for_split)
        training = data.x_train[~held_out], data.y_train[~held_out]
        validation = data.x_train[held_out], data.y_train[held_out]
        samples = len(training[0])
        batch_size = resolve_batch_size(experiment.gradient_descent, experiment.batch_size, samples)
        steps_per_epoch = math.ceil(samples / batch_size)
        return cls(
            experiment,
            data,
            training,
            validation if held_out.any() else None,
            build_network(experiment, data, for_network, kernel=kernel),
            build_loss(data),
            build_optimizer(experiment, steps_per_epoch),
            for_order,
            batch_size,
            steps_per_epoch,
        )

    @classmethod
    def resume(cls, directory: str | Path, *, epochs: int | None = None) -> Self:
        """Return the run that `directory` keeps, as it was after its last epoch.

        Parameters
        ----------
        directory : path-like
        epochs : int, optional
            How many there are to be in all, where it is to be more than at first.

        Raises
        ------
        RunError
            There is no run, its data have changed, or it can't have that many epochs.
        ValueError
            A file of the directory is damaged, or a setting is not allowed.

        """
        directory = Path(directory)
        missing = [name for name in (CONFIG, REPORT, TRAINING) if not (directory / name).is_file()]
        if missing:
            raise RunError(f"{directory} holds no run: there is no {', '.join(missing)}")
        experiment = Experiment(**read_settings(directory / CONFIG))
        run = cls.prepare(_lengthened(experiment, epochs))
        _check_fingerprint(directory, run.data)
        run.rng, run.history = load_training(directory / TRAINING, run.net, run.optimizer)
        done = len(run.history)
        if run.experiment.epochs < done:
            raise RunError(f"{directory} has {done} epochs already, not {epochs}")
        write_atomically(directory / CONFIG, run.experiment.to_toml().encode())
        run.directory = directory
        return run

    def keep_in(self, directory: str | Path) -> None:
        """Make the directory that keeps the run, and write down its beginning.

        Raises
        ------
        RunError
            It holds a run already.
        OSError
            It cannot be written to. Nothing is left behind then.

        """
        directory = Path(directory)
        check_free(directory)
        existed = directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        try:
            self.directory = directory
            self._keep(self._beginning())
            _write_json(directory / REPORT, self.report())
            write_atomically(directory / CONFIG, _movable(self.experiment).to_toml().encode())
        except BaseException:
            for name in FILES:
                (directory / name).unlink(missing_ok=True)
            if not existed:
                directory.rmdir()
            raise

    def train(self, callbacks: Iterable[Callback] = ()) -> None:
        """Train up to the experiment's number of epochs, and test.

        Parameters
        ----------
        callbacks : iterable of callables
            Called after each epoch that went well, once it is kept; see `fastnn.fit`.

        Raises
        ------
        RunError
            The loss is no finite number any more. What is kept is the epoch before.
        OSError
            The directory cannot be written to any more; it keeps what it held before.

        """
        self.fit(callbacks)
        if self.history.stopped:
            raise RunError(self.history.stopped)
        self.test = self.evaluate()
        if self.directory is not None:
            _write_json(self.directory / REPORT, self.report())

    def fit(self, callbacks: Iterable[Callback] = ()) -> None:
        """Train, until a callback ends it: see `train`, which does not take that for an end."""
        keeping = () if self.directory is None else (self._keep,)
        fit(
            self.net,
            *self.training,
            loss=self.loss,
            optimizer=self.optimizer,
            batch_size=self.experiment.batch_size,
            epochs=self.experiment.epochs,
            gradient_descent=self.experiment.gradient_descent,
            validation_data=self.validation,
            rng=self.rng,
            callbacks=(TerminateOnNaN(), *keeping, *callbacks),
            history=self.history,
            engine=self.experiment.engine,
            flush_denormals=self.experiment.flush_denormals,
        )

    def evaluate(self) -> Evaluation:
        """Return loss and accuracy on the test samples, with the network as it is."""
        return evaluate(self.net, self.data.x_test, self.data.y_test, loss=self.loss)

    def _beginning(self) -> Training:
        """Return the training as it stands before its first step."""
        return Training(
            self.net,
            self.loss,
            self.optimizer,
            self.rng,
            self.experiment.epochs,
            self.batch_size,
            self.steps_per_epoch,
            self.history,
        )

    def _keep(self, training: Training) -> None:
        """Save a training; the file to go on from comes last, so that no other one lags behind."""
        assert self.directory is not None
        write_atomically(self.directory / LOG, self.history.to_csv().encode())
        save_network(self.net, self.directory / WEIGHTS)
        save_training(training, self.directory / TRAINING)

    def report(self) -> dict[str, Any]:
        """Return all there is to say of the run, ready for `fastnn.formats.to_json`."""
        return {
            "data": self.experiment.data,
            "task": self.data.task,
            "samples": {
                "training": len(self.training[0]),
                "validation": len(self.validation[0]) if self.validation else 0,
                "test": len(self.data.x_test),
            },
            "classes": self.data.classes,
            "fingerprint": self.data.fingerprint,
            "kernel": self.net.kernel.name,
            "threads": kernels.get_num_threads(),
            "dtype": self.experiment.dtype,
            "sizes": self.net.sizes,
            "parameters": self.net.parameters.flat.size,
            "seed": self.experiment.seed,
            "gradient_descent": self.experiment.gradient_descent,
            "batch_size": self.batch_size,
            "updates": self.optimizer.steps,
            "settings": asdict(self.experiment),
            "versions": versions(),
            "machine": machine(),
            "history": self.history.as_dicts(),
            "test_loss": self.test.loss if self.test else None,
            "test_accuracy": self.test.accuracy if self.test else None,
        }


def load_data(experiment: Experiment) -> Dataset:
    """Return the data of an experiment; its seed draws what is random in them."""
    return datasets.load(
        experiment.data,
        data_dir=experiment.data_dir,
        dtype=experiment.dtype,
        rng=experiment.seed,
    )


def check_free(directory: str | Path) -> None:
    """Raise `RunError` if `directory` holds a run, or part of one."""
    held = [name for name in FILES if (Path(directory) / name).exists()]
    if held:
        raise RunError(
            f"{directory} already holds a run ({', '.join(held)}), which is not overwritten; "
            "name another directory, or resume that run"
        )


def _write_json(path: Path, report: dict[str, Any]) -> None:
    write_atomically(path, (to_json(report, indent=2) + "\n").encode())


def _lengthened(experiment: Experiment, epochs: int | None) -> Experiment:
    if epochs is None or epochs == experiment.epochs:
        return experiment
    if experiment.schedule == "cosine":
        raise RunError(
            f"the cosine schedule ends with the run's {experiment.epochs} epochs; "
            f"it can't go on to {epochs}"
        )
    return replace(experiment, epochs=epochs)


def read_report(directory: Path) -> dict[str, Any]:
    """Return what a run's directory says of the run, see `Run.report`."""
    path = directory / REPORT
    try:
        report = json.loads(path.read_bytes())
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error
    if not isinstance(report, dict):
        raise RunError(f"{path} is damaged: it holds no JSON object")
    return report


def _check_fingerprint(directory: Path, data: Dataset) -> None:
    recorded = read_report(directory).get("fingerprint")
    if recorded != data.fingerprint:
        raise RunError(
            f"{data.name} has changed since the run began: "
            f"its fingerprint was {recorded}, and is {data.fingerprint}"
        )


def _movable(experiment: Experiment) -> Experiment:
    """Make relative paths absolute, so that the run goes on from any working directory.

    A kernel's module that was found in the working directory keeps its name.
    """
    data, data_dir, kernel = experiment.data, experiment.data_dir, experiment.kernel
    if data not in datasets.names():
        data = str(Path(data).absolute())
    if data_dir is not None:
        data_dir = str(Path(data_dir).absolute())
    return replace(experiment, data=data, data_dir=data_dir, kernel=absolute(kernel))
