"""The record of a training: one entry per epoch."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple, overload


class Evaluation(NamedTuple):
    """The mean loss on a data set, and the share of correct answers (None in regression)."""

    loss: float
    accuracy: float | None


@dataclass(frozen=True)
class Epoch:
    """The record of one epoch.

    Attributes
    ----------
    epoch : int
        Number of the epoch, from 1.
    loss, accuracy : float
        Means over the epoch's samples, each computed just before its batch's step; the accuracy
        is None in regression.
    val_loss, val_accuracy : float or None
        The same of the validation data, after the epoch; None without such data.
    seconds : float
        Duration of the epoch's steps, without validation and callbacks.

    """

    epoch: int
    loss: float
    accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    seconds: float


@dataclass
class History(Sequence[Epoch]):
    """The records of all epochs, and why training stopped before the last one, if it did."""

    records: list[Epoch] = field(default_factory=list)
    stopped: str | None = None

    @overload
    def __getitem__(self, index: int) -> Epoch: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Epoch]: ...
    def __getitem__(self, index: int | slice) -> Epoch | Sequence[Epoch]:
        return self.records[index]

    def __len__(self) -> int:
        return len(self.records)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the records as dictionaries, for JSON."""
        return [asdict(record) for record in self.records]

    def to_csv(self) -> str:
        """Return a header and one line per epoch; None becomes an empty cell."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [f.name for f in fields(Epoch)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.as_dicts())
        return text.getvalue()
