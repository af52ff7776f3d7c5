"""Trained networks and the data they are used on: what ``evaluate`` and ``predict`` do."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from fastnn import datasets
from fastnn.checkpoint import load_network
from fastnn.data import Inputs
from fastnn.datasets import Dataset
from fastnn.experiments.build import build_loss
from fastnn.experiments.run import CONFIG, WEIGHTS, load_data, read_report
from fastnn.experiments.settings import Experiment, read_settings
from fastnn.history import Evaluation
from fastnn.kernels.finding import is_code
from fastnn.kernels.interface import Array
from fastnn.layers import Softmax
from fastnn.network import Sequential
from fastnn.training import evaluate


class ModelError(ValueError):
    """A trained network can't be found, or does not fit the data."""


@dataclass(frozen=True)
class SavedRun:
    """A trained network, and what its run's directory tells of it.

    Attributes
    ----------
    path : Path
    net : Sequential
    experiment : Experiment or None
        None for a network's file: it knows no data.
    classes : tuple of str or None
        The names of the labels, where they are known.

    """

    path: Path
    net: Sequential
    experiment: Experiment | None
    classes: tuple[str, ...] | None

    @classmethod
    def open(cls, path: str | Path, *, kernel: str | None = None) -> Self:
        """Read a run's directory, or a file that `fastnn.checkpoint.save_network` wrote.

        Parameters
        ----------
        path : path-like
        kernel : str, optional
            See `fastnn.kernels.finding.find`. Where not given, the run's own, unless that is one to
            be imported: a directory does not run code when it is read. ``numba`` for a file.

        Raises
        ------
        ValueError
            There is no such kernel, or it must be given; or a file is damaged.
        OSError

        """
        path = Path(path)
        if not path.is_dir():
            return cls(path, load_network(path, kernel=kernel), None, None)
        if not (path / CONFIG).is_file():
            raise ModelError(f"{path} holds no run: there is no {CONFIG}")
        experiment = Experiment(**read_settings(path / CONFIG))
        if kernel is None and is_code(experiment.kernel):
            raise ModelError(
                f"{path} was trained under {experiment.kernel}, which is not imported unasked: "
                "say with --kernel whether it is to be that one or another"
            )
        net = load_network(path / WEIGHTS, kernel=kernel or experiment.kernel)
        classes = read_report(path).get("classes")
        return cls(path, net, experiment, None if classes is None else tuple(classes))

    def load_data(self, data: str | None, data_dir: str | None = None) -> Dataset:
        """Return a data set by name or file, or the one of the run, as its seed splits it.

        Raises
        ------
        ModelError
            None is named and none is known, or the network does not fit it.
        ValueError
            See `fastnn.datasets.load`.

        """
        experiment = self.experiment or Experiment(dtype=self.net.dtype.name)
        if data is not None:
            experiment = replace(experiment, data=data, data_dir=data_dir)
        elif self.experiment is None:
            raise ModelError(f"{self.path} is a network without its run: name the data to take")
        elif data_dir is not None:
            experiment = replace(experiment, data_dir=data_dir)
        dataset = load_data(experiment)
        found, needed = (dataset.n_features, dataset.n_outputs), (self.net.n_in, self.net.n_out)
        if found != needed:
            raise ModelError(
                f"the network of {self.path} takes {needed[0]} features to {needed[1]} outputs; "
                f"{dataset.name} has {found[0]} and {found[1]}"
            )
        return dataset

    def evaluate(self, dataset: Dataset) -> Evaluation:
        """Return loss and accuracy on the test samples."""
        return evaluate(self.net, dataset.x_test, dataset.y_test, loss=build_loss(dataset))

    def load_features(self, data: str, data_dir: str | None = None) -> Inputs:
        """Return samples to predict: the rows of a file, or the test samples of a named set."""
        if data in datasets.names():
            return self.load_data(data, data_dir).x_test
        return datasets.load_features(data, self.net.n_in, dtype=self.net.dtype)

    def predict(self, x: Inputs) -> tuple[list[Any], Array]:
        """Return the answers for ``x[m, n_in]``, and the outputs ``[m, n_out]`` behind them.

        An answer is a class's name, its label where the names are not known, and in regression
        the list of the outputs.
        """
        outputs = self.net(x)
        if not isinstance(self.net.layers[-1], Softmax):
            return outputs.tolist(), outputs
        labels: list[int] = np.argmax(outputs, axis=1).tolist()
        return [self.classes[i] if self.classes else i for i in labels], outputs
