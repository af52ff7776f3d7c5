"""``fastnn data fetch``."""

import sys
from typing import Annotated

import typer

from fastnn.cli import options as o
from fastnn.cli.console import show, show_json


def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="mnist or fashion-mnist.")],
    data_dir: o.DataDir = None,
    json: o.Json = False,
) -> None:
    """Download a data set and verify it.

    It is kept in the user's cache, where training finds it, or in --data-dir.
    """
    from fastnn import datasets

    directory = datasets.fetch(name, data_dir=data_dir, progress=sys.stderr.isatty())
    if json:
        show_json({"name": name, "directory": str(directory)})
    else:
        show(str(directory))
