"""`SavedRun`: a trained network and the data it is used on, for ``evaluate`` and ``predict``."""

from collections.abc import Mapping
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
    loss : Loss or None
        None: the task of the data decides.
    experiment : Experiment or None
        None for the file of a network, which knows no data.
    classes : tuple of str or None
        The names of the labels, if they are known.

    """

    path: Path
    net: Sequential
    loss: Loss | None
    experiment: Experiment | None
    classes: tuple[str, ...] | None

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        layer: str | None = None,
        activation: str | None = None,
        loss: str | None = None,
        kernel: str | None = None,
    ) -> Self:
        """Open the directory of a run, or a file that `fastnn.checkpoint.save_network` wrote.

        A directory does not run code when it is read. Code that a run was trained with is imported
        only if it is named here, as ``MODULE:NAME`` or ``FILE.py:NAME``.

        Parameters
        ----------
        path : path-like
        layer, activation : str, optional
            Classes that the network is made of, if they are not FastNN's.
        loss : str, optional
            A name in `fastnn.losses.LOSSES`, ``auto``, or code; the run's own if not given.
        kernel : str, optional
            See `fastnn.kernels.get`; the run's own if not given.

        Raises
        ------
        SavedRunError
            Code must be named, or is named for a part that the network does not have.
        ValueError
            A class or a kernel is not found, or a file is damaged.
        OSError

        """
        path = Path(path)
        given = {"layer": layer, "activation": activation, "loss": loss, "kernel": kernel}
        custom = [
            _find_layer(path, name, where)
            for name, where in given.items()
            if where is not None and name in ("layer", "activation")
        ]
        if not path.is_dir():
            net = load_network(path, kernel=kernel, custom=custom)
            return cls(path, net, find_loss(loss or AUTO), None, None)
        kept.check_holds(path, kept.CONFIG)
        experiment = kept.read_config(path)
        _check_named(path, experiment, given)
        net = load_network(path / kept.WEIGHTS, kernel=kernel or experiment.kernel, custom=custom)
        net.flush_denormals = experiment.flush_denormals
        classes = kept.read_report(path).get("classes")
        return cls(
            path,
            net,
            find_loss(loss or experiment.loss),
            experiment,
            None if classes is None else tuple(classes),
        )

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

    def build_loss(self, dataset: Dataset) -> Loss:
        """Return the loss; if that is open, the one for the task of `dataset`."""
        return self.loss or loss_for(dataset)

    def evaluate(self, dataset: Dataset) -> Evaluation:
        """Return loss and accuracy on the test samples."""
        loss = self.build_loss(dataset)
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


def _check_named(path: Path, experiment: Experiment, given: Mapping[str, str | None]) -> None:
    """Raise `SavedRunError` if the run was trained with code that is not given."""
    unnamed = [
        f"--{name} {own}"
        for name, where in given.items()
        if where is None and is_code(own := getattr(experiment, name))
    ]
    if unnamed:
        raise SavedRunError(
            f"{path} was trained with code, which is imported only if it is named: "
            f"add {' '.join(unnamed)}"
        )


def _find_layer(path: Path, name: str, where: str) -> type[Layer]:
    if not is_code(where):
        raise SavedRunError(
            f"the {name} of {path} can't be changed: --{name} names code to be imported, "
            f"{CODE}, not {where!r}"
        )
    return find_class(where, Layer)
