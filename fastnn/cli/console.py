"""How the command line prints: results on stdout, everything else on stderr."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastnn.formats import NOTHING, to_json

if TYPE_CHECKING:
    from fastnn.history import Evaluation
    from fastnn.losses import Loss


def show_json(report: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    print(to_json(report))


def show(*lines: str) -> None:
    """Print lines on stdout."""
    for line in lines:
        print(line)


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = None
) -> None:
    """Print a table on stdout, as wide as the terminal if `width` is not given.

    Numbers are aligned right, except in the first column.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, title in enumerate(columns):
        cells = [row[number] for row in rows]
        right = number > 0 and all(cell[:1].isdigit() or cell in ("", NOTHING) for cell in cells)
        table.add_column(
            title, justify="right" if right else "left", no_wrap=right, overflow="fold"
        )
    for row in rows:
        table.add_row(*map(Text, row))  # not interpreted as markup
    console = Console(highlight=False, width=width)
    with console.capture() as captured:  # Rich would exit the process if the reader has gone
        console.print(table)
    print(captured.get(), end="")


def show_result(test: "Evaluation", loss: "Loss") -> None:
    """Print the loss and the accuracy on the test samples."""
    from fastnn.losses import MeanSquaredError

    if test.accuracy is not None:
        show(f"test accuracy {test.accuracy:.4f}, test loss {test.loss:.4f}")
    elif isinstance(loss, MeanSquaredError):
        show(f"test mean squared error {test.loss:.6f}")
    else:
        show(f"test loss {test.loss:.6f}")


def figure(value: float | None, digits: int = 4) -> str:
    """Return a number to some digits after the point, a dash for None."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def warn(message: str) -> None:
    """Print a warning in one line on stderr."""
    print(f"fastnn: warning: {' '.join(message.split())}", file=sys.stderr)


def warn_of_restraints() -> None:
    """Warn of each environment variable that holds BLAS back."""
    from fastnn.environment import blas_restraints

    for name, value in blas_restraints().items():
        warn(f"{name}={value} is set, which may slow BLAS down: unset it for a fair comparison")


def fail(message: str) -> None:
    """Print an error in one line on stderr."""
    print(f"fastnn: error: {' '.join(message.split())}", file=sys.stderr)
