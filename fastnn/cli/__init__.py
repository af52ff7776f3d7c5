"""The command line, the only part of the package that prints.

A result goes to stdout; progress, and an error in one line, to stderr. The exit status is 0,
1 for a kernel that a check finds wrong, 2 for whatever is wrong with what was asked or given, and
130 or 143 after a signal. What can't happen, a bug, shows its traceback.

Modules that compile or load much are imported by the commands that need them, so that help
comes at once.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import fastnn
from fastnn.cli import data, kernels
from fastnn.cli.compare import compare
from fastnn.cli.console import fail
from fastnn.cli.models import evaluate, predict
from fastnn.cli.report import report
from fastnn.cli.signals import Interrupted, interruptible
from fastnn.cli.train import train

WRONG = 2
BROKEN_PIPE = 1  # as Typer has it, which meets most of them

app = typer.Typer(
    name="fastnn",
    help="A neural network from scratch, on a matrix product that can be swapped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for command in (train, evaluate, predict, compare, report):
    app.command()(command)
app.add_typer(kernels.app, name="kernels")
app.add_typer(data.app, name="data")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(fastnn.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version)
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own, and return its exit status."""
    try:
        with interruptible():
            status = app(arguments, prog_name="fastnn", standalone_mode=False)
            sys.stdout.flush()  # a full disk is found out here, not at exit
    except Interrupted as interrupted:
        print(f"fastnn: {interrupted}", file=sys.stderr)
        return interrupted.status
    except typer.TyperException as error:
        fail(error.format_message())
    except BrokenPipeError:
        # The reader has gone (`fastnn predict … | head`); Python is not to try again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        reason = error.strerror or str(error)
        fail(f"{error.filename}: {reason}" if error.filename else reason)
    except MemoryError as error:
        fail(f"out of memory: {error}")
    except (ValueError, NotImplementedError) as error:  # the latter of denormals to be flushed
        fail(str(error))
    else:
        return status or 0
    return WRONG
