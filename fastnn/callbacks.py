"""Callbacks: what `fastnn.fit` calls after each epoch, with the `Training` as it stands."""

import math
from pathlib import Path

import numpy as np

from fastnn.checkpoint import save_training, write_atomically
from fastnn.checks import check_whole
from fastnn.kernels.interface import Array
from fastnn.training import StopTraining, Training

MONITORS = ("val_loss", "loss", "val_accuracy", "accuracy")


class EarlyStopping:
    """Stop when the monitored figure has not improved for some epochs.

    It begins anew with each training, and decides as Keras's callback of this name does, but for
    three cases: any number is better than NaN (to Keras, nothing is better than a NaN of the first
    epoch), figures are compared in float64 (Keras rounds them to float32), and a figure that is not
    there is an error.

    Parameters
    ----------
    monitor : {"val_loss", "loss", "val_accuracy", "accuracy"}
        A loss should fall, an accuracy rise.
    patience : int
        Number of epochs to wait for an improvement.
    min_delta : float
        By how much a figure must be better to be an improvement; its sign does not count.
    restore_best_weights : bool
        Whether the network gets the weights of its best epoch back at the end: when it stops, but
        also after the last epoch, Ctrl-C, or a loss that is not finite.

    Attributes
    ----------
    best : float or None
        The monitored figure of the best epoch of this training.
    best_epoch : int
        0 before there is one.

    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        *,
        restore_best_weights: bool = True,
    ) -> None:
        if monitor not in MONITORS:
            raise ValueError(f"monitor must be one of {', '.join(MONITORS)}, not {monitor!r}")
        check_whole("patience", patience, at_least=0)
        if not math.isfinite(min_delta):
            raise ValueError(f"min_delta must be a finite number, not {min_delta!r}")
        self.monitor, self.patience, self.min_delta = monitor, patience, abs(min_delta)
        self.restore_best_weights = restore_best_weights
        self._begin()

    def _begin(self) -> None:
        self.best: float | None = None
        self.best_epoch = 0
        self._waited = 0
        self._best_weights: Array | None = None

    def on_train_begin(self, training: Training) -> None:
        """Forget an earlier training."""
        self._begin()

    def __call__(self, training: Training) -> None:
        """Compare the newest epoch with the best one of this training so far."""
        record = training.history[-1]
        value = getattr(record, self.monitor)
        if value is None:
            raise ValueError(f"early stopping monitors {self.monitor}, but there is none")
        self._waited += 1
        if self._is_better(value):
            self.best, self.best_epoch, self._waited = value, record.epoch, 0
            if self.restore_best_weights:
                self._best_weights = training.net.parameters.flat.copy()
        elif self._waited >= self.patience:
            raise StopTraining(f"{self.monitor} has not improved since epoch {self.best_epoch}")

    def _is_better(self, value: float) -> bool:
        if self.best is None or math.isnan(self.best):
            return self.best is None or not math.isnan(value)
        if self.monitor.endswith("accuracy"):
            return value - self.min_delta > self.best
        return value + self.min_delta < self.best

    def on_train_end(self, training: Training) -> None:
        """Bring the best weights back."""
        if self._best_weights is not None:
            training.net.parameters.flat[:] = self._best_weights
            training.has_best_weights = True
            self._best_weights = None


def _is_finite(training: Training) -> bool:
    return bool(np.isfinite(training.net.parameters.flat).all())


class TerminateOnNaN:
    """Stop when the loss or a weight becomes NaN or infinite, and say at which step it did."""

    def __call__(self, training: Training) -> None:
        """Look at the newest epoch's loss, and at the weights it left."""
        record = training.history[-1]
        if not math.isfinite(record.loss):
            raise StopTraining(
                f"the loss became {record.loss} in epoch {record.epoch}, "
                f"at step {training.finite_steps + 1} of {training.steps_per_epoch}"
            )
        if not _is_finite(training):
            steps = training.steps_per_epoch
            raise StopTraining(
                f"a weight became NaN or infinite in epoch {record.epoch}, "
                f"at step {steps} of {steps}"  # at an earlier one, the loss would have shown it
            )


class Checkpoint:
    """Save all that the training needs to continue, every `every` epochs and at the end.

    Where `EarlyStopping` has brought back the best weights, they are saved in the end.

    Parameters
    ----------
    path : path-like
        A safetensors file, replaced as a whole each time; see `fastnn.checkpoint`.
    every : int

    """

    saves = True  # its end comes after those of callbacks that change the network

    def __init__(self, path: str | Path, every: int = 1) -> None:
        check_whole("every", every, at_least=1)
        self.path, self.every = Path(path), every
        self._saved = 0  # the last epoch that was

    def on_train_begin(self, training: Training) -> None:
        """Forget an earlier training."""
        self._saved = len(training.history)

    def __call__(self, training: Training) -> None:
        """Save the training, if it is due."""
        epoch = training.history[-1].epoch
        if epoch % self.every == 0 or epoch == training.epochs:
            self._save(training)

    def on_train_end(self, training: Training) -> None:
        """Save the best weights, if they have been restored, and what a callback has ended."""
        is_new = training.history.stopped and len(training.history) > self._saved
        if training.has_best_weights or (is_new and _is_finite(training)):
            self._save(training)

    def _save(self, training: Training) -> None:
        save_training(training, self.path)
        self._saved = len(training.history)


class CSVLogger:
    """Keep the history as a CSV file, one line per epoch, complete after each.

    Parameters
    ----------
    path : path-like
        Must not exist when the training begins with its first epoch; a training that continues
        an earlier history writes the file anew with all of it.

    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __call__(self, training: Training) -> None:
        """Replace the file by one that has the newest epoch too."""
        if len(training.history) == 1 and self.path.exists():
            raise FileExistsError(f"{self.path} exists already and is not overwritten")
        write_atomically(self.path, training.history.to_csv().encode())
