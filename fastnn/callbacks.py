"""Callbacks: what `fastnn.fit` calls after each epoch, with the `Training` as it stands."""

import math
from pathlib import Path

import numpy as np

from fastnn.checkpoint import save_training, write_atomically
from fastnn.training import StopTraining, Training


class EarlyStopping:
    """Stop when the monitored figure has not improved for some epochs.

    Parameters
    ----------
    monitor : {"val_loss", "loss", "val_accuracy", "accuracy"}
        A loss should fall, an accuracy rise.
    patience : int
        Number of epochs to wait for an improvement.
    min_delta : float
        An improvement must be larger than this.
    restore_best_weights : bool
        Whether the network gets the weights of its best epoch back when it stops.

    Attributes
    ----------
    best : float
        The monitored figure of the best epoch of this training.
    best_epoch : int

    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        *,
        restore_best_weights: bool = True,
    ) -> None:
        allowed = ("val_loss", "loss", "val_accuracy", "accuracy")
        if monitor not in allowed:
            raise ValueError(f"monitor must be one of {', '.join(allowed)}, not {monitor!r}")
        if patience < 0:
            raise ValueError(f"patience must be at least 0, not {patience}")
        self.monitor, self.patience, self.min_delta = monitor, patience, min_delta
        self.restore_best_weights = restore_best_weights
        self._rises = monitor.endswith("accuracy")
        self._training: Training | None = None
        self._start_anew()

    def _start_anew(self) -> None:
        self.best, self.best_epoch = -math.inf if self._rises else math.inf, 0

    def __call__(self, training: Training) -> None:
        """Compare the newest epoch with the best one of this training so far."""
        if training is not self._training:
            self._training = training
            self._start_anew()
        record = training.history[-1]
        value = getattr(record, self.monitor)
        if value is None:
            raise ValueError(f"early stopping monitors {self.monitor}, but there is none")
        is_better = (
            value > self.best + self.min_delta
            if self._rises
            else value < self.best - self.min_delta
        )
        if is_better:
            self.best, self.best_epoch = value, record.epoch
            self.best_weights = training.net.parameters.flat.copy()
        elif record.epoch - self.best_epoch >= max(self.patience, 1):
            if self.restore_best_weights and self.best_epoch:
                training.net.parameters.flat[:] = self.best_weights
            raise StopTraining(f"{self.monitor} has not improved since epoch {self.best_epoch}")


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
        if not np.isfinite(training.net.parameters.flat).all():
            steps = training.steps_per_epoch
            raise StopTraining(
                f"a weight became NaN or infinite in epoch {record.epoch}, "
                f"at step {steps} of {steps}"  # at an earlier one, the loss would have shown it
            )


class Checkpoint:
    """Save all that the training needs to continue, every `every` epochs and at the end.

    Parameters
    ----------
    path : path-like
        A safetensors file, replaced as a whole each time; see `fastnn.checkpoint`.
    every : int

    """

    def __init__(self, path: str | Path, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        self.path, self.every = Path(path), every

    def __call__(self, training: Training) -> None:
        """Save the training, if it is due."""
        epoch = training.history[-1].epoch
        if epoch % self.every == 0 or epoch == training.epochs:
            save_training(training, self.path)


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
