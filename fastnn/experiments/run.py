"""`Run`: an experiment that is carried out, and kept in a directory if asked for."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from fastnn import datasets, kernels
from fastnn.callbacks import TerminateOnNaN
from fastnn.checkpoint import load_training, save_network, save_training, write_atomically
from fastnn.data import Inputs, resolve_batch_size
from fastnn.datasets import Dataset
from fastnn.environment import machine, versions
from fastnn.experiments import directory as kept
from fastnn.experiments.build import Builder, hold_out, targets_for
from fastnn.experiments.directory import RunError
from fastnn.experiments.settings import Experiment
from fastnn.history import Evaluation, History
from fastnn.losses import Loss, Targets
from fastnn.network import Sequential
from fastnn.optimizers import Optimizer
from fastnn.training import Callback, Training, evaluate, fit

__all__ = ["Run", "RunError", "load_data"]

Samples = tuple[Inputs, Targets]


@dataclass
class Run:
    """An experiment with all that it takes to carry it out.

    Attributes
    ----------
    experiment : Experiment
        Resolved.
    data : Dataset
    training : tuple of (x, y)
        The samples, with the targets as the loss takes them.
    validation : tuple of (x, y) or None
        The part of the training data that is held out, if any.
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
        Loss and accuracy on the test samples, once the run has ended.

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

        Sets the number of threads for the whole process, if the experiment has one.

        Raises
        ------
        ValueError
            A setting names something that does not exist or does not fit, or the data are
            damaged.

        """
        builder = Builder(experiment)  # before the data, which may take long
        experiment = builder.experiment
        kernel = kernels.get(experiment.kernel)
        if experiment.threads is not None:
            kernels.set_num_threads(experiment.threads)
        data = load_data(experiment)
        streams = np.random.SeedSequence(experiment.seed).spawn(3)
        for_split, for_network, for_order = map(np.random.default_rng, streams)
        held_out = hold_out(data.y_train, experiment.validation, for_split)
        loss = builder.build_loss(data)
        y_train = targets_for(loss, data.y_train, data)
        training = data.x_train[~held_out], y_train[~held_out]
        validation = data.x_train[held_out], y_train[held_out]
        samples = len(training[0])
        batch_size = resolve_batch_size(experiment.gradient_descent, experiment.batch_size, samples)
        steps_per_epoch = math.ceil(samples / batch_size)
        return cls(
            experiment,
            data,
            training,
            validation if held_out.any() else None,
            builder.build_network(data, for_network, kernel=kernel),
            loss,
            builder.build_optimizer(steps_per_epoch),
            for_order,
            batch_size,
            steps_per_epoch,
        )

    @classmethod
    def resume(cls, directory: str | Path, *, epochs: int | None = None) -> Self:
        """Return the run that `directory` keeps, as it was after its last epoch.

        Code of the user's own that the run was begun with is imported.

        Parameters
        ----------
        directory : path-like
        epochs : int, optional
            The new total number of epochs; that of the run if not given.

        Raises
        ------
        RunError
            There is no run, its data have changed, or it can't have that many epochs.
        ValueError
            A file of the directory is damaged, or a setting is not allowed.

        """
        directory = Path(directory)
        kept.check_holds(directory, kept.CONFIG, kept.REPORT, kept.TRAINING)
        run = cls.prepare(_lengthened(kept.read_config(directory), epochs))
        recorded = kept.read_report(directory).get("fingerprint")
        if recorded != run.data.fingerprint:
            raise RunError(
                f"{run.data.name} has changed since the run began: "
                f"its fingerprint was {recorded}, and is {run.data.fingerprint}"
            )
        run.rng, run.history = load_training(directory / kept.TRAINING, run.net, run.optimizer)
        done = len(run.history)
        if run.experiment.epochs < done:
            raise RunError(f"{directory} has {done} epochs already, not {epochs}")
        kept.write_config(directory, run.experiment)
        run.directory = directory
        return run

    def keep_in(self, directory: str | Path) -> None:
        """Create the directory that keeps the run, and save its beginning.

        Raises
        ------
        RunError
            It holds a run already.
        OSError
            It cannot be written to. Nothing is left behind then.

        """
        directory = Path(directory)
        kept.check_free(directory)
        existed = directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        try:
            self.directory = directory
            self._keep(self._beginning())
            kept.write_report(directory, self.report())
            kept.write_config(directory, self.experiment)
        except BaseException:
            for name in kept.FILES:
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
            The loss is no longer finite. The epoch before is kept.
        OSError
            The directory can no longer be written to; it keeps what it held before.

        """
        self.fit(callbacks)
        if self.history.stopped:
            raise RunError(self.history.stopped)
        self.test = self.evaluate()
        if self.directory is not None:
            kept.write_report(self.directory, self.report())

    def fit(self, callbacks: Iterable[Callback] = ()) -> None:
        """Train as `train` does, but do not test, and let a callback stop the training."""
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
        )

    def evaluate(self) -> Evaluation:
        """Return loss and accuracy on the test samples, with the network as it is."""
        targets = targets_for(self.loss, self.data.y_test, self.data)
        return evaluate(self.net, self.data.x_test, targets, loss=self.loss)

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
        """Save a training; the file to continue from comes last, so that none lags behind it."""
        assert self.directory is not None
        write_atomically(self.directory / kept.LOG, self.history.to_csv().encode())
        save_network(self.net, self.directory / kept.WEIGHTS)
        save_training(training, self.directory / kept.TRAINING)

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
            "settings": self.experiment.as_dict(),
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


def _lengthened(experiment: Experiment, epochs: int | None) -> Experiment:
    if epochs is None or epochs == experiment.epochs:
        return experiment
    if experiment.schedule == "cosine":
        raise RunError(
            f"the cosine schedule ends with the run's {experiment.epochs} epochs; "
            f"it can't go on to {epochs}"
        )
    return experiment.replace(epochs=epochs)
