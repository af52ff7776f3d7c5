"""``fastnn data`` and its commands."""

import typer

from fastnn.cli.data_fetch import fetch
from fastnn.cli.data_info import info

app = typer.Typer(no_args_is_help=True, help="List, describe or download data sets.")
app.command()(info)
app.command()(fetch)
