"""Progress bars on stderr, if that is a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fastnn.training import Callback, Training

REDRAWN_AFTER = 0.1  # seconds


class _EpochBar:
    """A callback that moves a bar with each step and shows the results of the last epoch."""

    def __init__(self, progress: Progress, done: int, epochs: int) -> None:
        self._progress = progress
        self._task = progress.add_task(
            f"epoch {done + 1} of {epochs}", total=epochs, completed=done
        )
        self._done, self._steps, self._drawn = done, 0, 0.0

    def on_step(self, training: Training) -> None:
        """Move on, but redraw only now and then: a step may take microseconds."""
        self._steps += 1
        now = time.monotonic()
        if now - self._drawn > REDRAWN_AFTER:
            self._drawn = now
            completed = self._done + self._steps / training.steps_per_epoch
            self._progress.update(self._task, completed=completed, refresh=True)

    def __call__(self, training: Training) -> None:
        newest = training.history[-1]
        self._done, self._steps = newest.epoch, 0
        text = f"epoch {newest.epoch} of {training.epochs}: loss {newest.loss:.4f}"
        if newest.accuracy is not None:
            text += f", accuracy {newest.accuracy:.4f}"
        if newest.val_accuracy is not None:
            text += f", validation {newest.val_accuracy:.4f}"
        self._progress.update(self._task, description=text, completed=newest.epoch)


@contextmanager
def epoch_bar(done: int, epochs: int) -> Iterator[tuple[Callback, ...]]:
    """Yield the callbacks that draw a bar over the epochs; none unless stderr is a terminal."""
    if not sys.stderr.isatty():
        yield ()
        return
    # Not redrawn by a thread of its own, which would take time from the training.
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        auto_refresh=False,
    ) as progress:
        yield (_EpochBar(progress, done, epochs),)


@contextmanager
def count_bar(total: int) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows, in a bar, the name of the part of `total` that begins."""
    if not sys.stderr.isatty():
        yield lambda name: None
        return
    with Progress(
        BarColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
    ) as progress:
        task = progress.add_task("", total=total, completed=-1)
        yield lambda name: progress.update(task, advance=1, description=name, refresh=True)
