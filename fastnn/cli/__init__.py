"""The command line, the only part of the package that prints.

A result goes to stdout; progress, and an error in one line, to stderr. The exit status is 0,
1 for a kernel that a check finds wrong, 2 for a wrong argument, setting or file, and 130 or 143
after a signal. A bug shows its traceback.

A command is a file of its name, which is imported when the command is looked up. The files import
inside functions what takes long to import, above all Numba, so that help comes at once.
"""

import os
import sys
from collections import UserDict
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

import fastnn
from fastnn.cli.console import fail
from fastnn.cli.signals import Interrupted, interruptible

COMMANDS = {
    "train": "Train a network and test it.",
    "evaluate": "Test a trained network.",
    "predict": "Print the predictions of a trained network.",
    "compare": "Train one network under several kernels and compare them.",
    "report": "Measure everything and write a page with the results.",
    "kernels": "List, measure or check kernels.",
    "data": "List, describe or download data sets.",
}
FAILED = 2
BROKEN_PIPE = 1  # as in Typer, which handles most of them


class _Commands(UserDict[str, Any]):
    """Maps names to commands, and imports a command when it is looked up."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(COMMANDS))

    def __getitem__(self, name: str) -> TyperCommand | TyperGroup:
        if self.data[name] is None:
            self.data[name] = _load(name)
        command: TyperCommand | TyperGroup = self.data[name]
        return command


def _load(name: str) -> TyperCommand | TyperGroup:
    """Import a command: the function of this name, or the `app` with its subcommands."""
    module = import_module(f"{__name__}.{name}")
    parent = typer.Typer(rich_markup_mode="markdown")
    parent.callback()(lambda: None)  # makes it a group, even of a single command
    if hasattr(module, "app"):
        parent.add_typer(module.app, name=name)
    else:
        parent.command(name)(getattr(module, name))
    group = typer.main.get_command(parent)
    assert isinstance(group, TyperGroup)
    command = group.commands[name]
    assert isinstance(command, TyperCommand | TyperGroup)
    return command


class _Group(TyperGroup):
    """The commands of `COMMANDS`."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - as Typer gives them
        super().__init__(**attributes | {"commands": _Commands()})

    def format_help(self, *arguments: Any) -> None:  # noqa: ANN401 - as Typer gives them
        """Print the help, with the commands as the table has them, none imported."""
        commands = self.commands
        self.commands = {
            name: TyperCommand(name, help=summary) for name, summary in COMMANDS.items()
        }
        super().format_help(*arguments)
        self.commands = commands


app = typer.Typer(
    name="fastnn",
    cls=_Group,
    help="A neural network from scratch, on a matrix product that can be swapped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


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
            sys.stdout.flush()  # so that a full disk is noticed here, not at exit
    except Interrupted as interrupted:
        print(f"fastnn: {interrupted}", file=sys.stderr)
        return interrupted.status
    except typer.TyperException as error:
        fail(error.format_message())
    except BrokenPipeError:
        # The reader has gone (`fastnn predict … | head`); Python must not flush again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        reason = error.strerror or str(error)
        fail(f"{error.filename}: {reason}" if error.filename else reason)
    except MemoryError as error:
        fail(f"out of memory: {error}")
    except (ValueError, NotImplementedError) as error:  # the latter: a class lacks a method
        fail(str(error))
    else:
        return status or 0
    return FAILED
