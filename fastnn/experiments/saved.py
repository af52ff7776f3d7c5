"""`SavedRun`: a trained network and the data it is used on, for ``evaluate`` and ``predict``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from fastnn import datasets, kernels
from fastnn.checkpoint import load_network
from fastnn.data import Inputs
from fastnn.datasets import Dataset
from fastnn.experiments import directory as kept
from fastnn.experiments.build import find_loss, loss_for, targets_for
from fastnn.experiments.fields import CODE
from fastnn.experiments.run import load_data
from fastnn.experiments.settings import AUTO, Experiment
from fastnn.history import Evaluation
from fastnn.kernels.finding import find_class, is_code
from fastnn.kernels.interface import Array
from fastnn.layers import Layer, Softmax
from fastnn.losses import Loss
from fastnn.network import Sequential
from fastnn.training import evaluate


class SavedRunError(ValueError):
    """A trained network can't be found or opened, or does not fit the data."""


@dataclass(frozen=True)
class SavedRun:
    """A trained network, and what the directory of its run says of it.

    Attributes
    ----------
    path : Path
    net : Sequential
    experiment : Experiment or None
        None for the file of a network, which knows no data.
    classes : tuple of str or None
        The names of the labels, if they are known.

    """

    path: Path
    net: Sequential
    experiment: Experiment | None
    classes: tuple[str, ...] | None

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        kernel: str | None = None,
        activation: str | None = None,
        layer: str | None = None,
    ) -> Self:
        """Open the directory of a run, or a file that `fastnn.checkpoint.save_network` wrote.

        A directory does not run code when it is read. Where a run used code of the user's own,
        it must be named here to be imported.

        Parameters
        ----------
        path : path-like
        kernel : str, optional
            See `fastnn.kernels.get`; without, the kernel of the run.
        activation, layer : str, optional
            Where the network's own classes are, as ``MODULE:NAME`` or ``FILE.py:NAME``.

        Raises
        ------
        ValueError
            A class or a kernel is not found, or must be named; or a file is damaged.
        OSError

        """
        path, experiment, classes = Path(path), None, None
        weights = path
        if path.is_dir():
            kept.check_holds(path, kept.CONFIG)
            experiment, weights = kept.read_config(path), path / kept.WEIGHTS
            kernel = _allowed(path, "kernel", experiment.kernel, kernel)
            _allowed(path, "layer", experiment.layer, layer)
            _allowed(path, "activation", experiment.activation, activation)
            names = kept.read_report(path).get("classes")
            classes = None if names is None else tuple(names)
        custom = [
            _find_layer(path, name, where)
            for name, where in (("layer", layer), ("activation", activation))
            if where is not None
        ]
        return cls(path, load_network(weights, kernel=kernel, custom=custom), experiment, classes)

    def load_data(self, data: str | None, data_dir: str | None = None) -> Dataset:
        """Return a data set by name or file, or the one of the run, as its seed splits it.

        Raises
        ------
        SavedRunError
            None is named and none is known, or the network does not fit it.
        ValueError
            See `fastnn.datasets.load`.

        """
        experiment = self.experiment or Experiment(dtype=self.net.dtype.name)
        if data is not None:
            experiment = experiment.replace(data=data, data_dir=data_dir)
        elif self.experiment is None:
            raise SavedRunError(f"{self.path} is a network without its run: name the data")
        elif data_dir is not None:
            experiment = experiment.replace(data_dir=data_dir)
        dataset = load_data(experiment)
        found, needed = (dataset.n_features, dataset.n_outputs), (self.net.n_in, self.net.n_out)
        if found != needed:
            raise SavedRunError(
                f"the network of {self.path} takes {needed[0]} features to {needed[1]} outputs; "
                f"{dataset.name} has {found[0]} and {found[1]}"
            )
        return dataset

    def find_loss(self, dataset: Dataset, loss: str | None = None) -> Loss:
        """Return a loss by name, or that of the run; `SavedRunError` if it must be named."""
        own = self.experiment.loss if self.experiment else AUTO
        return find_loss(_allowed(self.path, "loss", own, loss)) or loss_for(dataset)

    def evaluate(self, dataset: Dataset, loss: Loss) -> Evaluation:
        """Return loss and accuracy on the test samples."""
        targets = targets_for(loss, dataset.y_test, dataset)
        return evaluate(self.net, dataset.x_test, targets, loss=loss)

    def load_features(self, data: str, data_dir: str | None = None) -> Inputs:
        """Return samples to predict: the rows of a file, or the test samples of a named set."""
        if data in datasets.names():
            return self.load_data(data, data_dir).x_test
        return datasets.load_features(data, self.net.n_in, dtype=self.net.dtype)

    def predict(self, x: Inputs) -> tuple[list[Any], Array]:
        """Return a prediction for each row of ``x[m, n_in]``, and the outputs ``[m, n_out]``.

        A prediction is the name of a class, its label if names are not known, and in regression
        the list of the outputs.
        """
        outputs = self.net(x)
        if self.classes is None and not isinstance(self.net.layers[-1], Softmax):
            return outputs.tolist(), outputs
        labels: list[int] = np.argmax(outputs, axis=1).tolist()
        return [self.classes[i] if self.classes else i for i in labels], outputs

    def report(self) -> dict[str, Any]:
        """Return what there is to say of the network, ready for `fastnn.formats.to_json`."""
        return {
            "model": str(self.path),
            "kernel": self.net.kernel.name,
            "threads": kernels.get_num_threads(),
            "dtype": self.net.dtype.name,
            "sizes": self.net.sizes,
        }


def _allowed(path: Path, name: str, own: str, given: str | None) -> str:
    """Return what is given, or else the run's own, unless that is code."""
    if given is None and is_code(own):
        raise SavedRunError(
            f"{path} was trained with the {name} {own}, and code is imported only if it is named: "
            f"add --{name} {own}"
        )
    return own if given is None else given


def _find_layer(path: Path, name: str, where: str) -> type[Layer]:
    if not is_code(where):
        raise SavedRunError(
            f"the {name} of {path} stays the one it was trained with: "
            f"--{name} must be {CODE}, and allows that code to be imported, not {where!r}"
        )
    return find_class(where, Layer)
