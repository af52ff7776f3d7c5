"""The options of the commands: one for each setting of an `Experiment`, and a few more.

No option has a default. What is not given is left to the configuration file, and then to
`Experiment`, whose default the help shows.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from fastnn.experiments.fields import CODE, Setting
from fastnn.experiments.settings import (
    SETTINGS,
    Experiment,
    read_settings,
)
from fastnn.optimizers import OPTIMIZERS

Config = Annotated[Path | None, typer.Option(help="TOML file with settings; options override it.")]
Out = Annotated[Path | None, typer.Option(help="New directory that keeps the run and its weights.")]
Resume = Annotated[
    Path | None,
    typer.Option(help="Continue the run in this directory, up to --epochs if that is given."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object; nothing on an error.")]
DataDir = Annotated[
    str | None, typer.Option(help="Directory of the files, instead of the user's cache.")
]
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Directory of a run, or a .safetensors file.")
]
# Help texts for what opens a trained network.
OF_MODEL = {
    "layer": f"Allow a layer of your own: its {CODE}.",
    "activation": f"Allow an activation of your own: its {CODE}.",
    "kernel": f"Kernel of the matrix products: a name, {CODE}. Default: the run's own.",
    "threads": "Threads of a matrix product. Default: all cores.",
}
Kernels = Annotated[
    str | None,
    typer.Option(
        "--kernels",
        metavar="NAMES",
        help=f"Kernels, separated by commas: names, {CODE}. Default: all with a name.",
    ),
]


def takes_settings(
    *names: str, **texts: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each of some settings.

    The command's first parameter receives what was given, a dict from names to values.

    Parameters
    ----------
    *names : str
        The settings; all of them if neither names nor texts are given.
    **texts : str
        Further settings, with a help text to replace that of `Experiment`.

    """
    chosen = [name for name in SETTINGS if name in (*names, *texts) or not (names or texts)]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_options(**arguments: Any) -> None:  # noqa: ANN401
            given = {name: arguments.pop(name) for name in chosen}
            command(
                {
                    name: value if isinstance(value, bool) else SETTINGS[name].parse(value)
                    for name, value in given.items()
                    if value is not None
                },
                **arguments,
            )

        _, *others = inspect.signature(command).parameters.values()
        options = [_option(SETTINGS[name], texts.get(name)) for name in chosen]
        with_options.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [*(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in others), *options]
        )
        return with_options

    return decorate


def _option(setting: Setting, text: str | None) -> inspect.Parameter:
    """Return the parameter of a command that Typer makes the option from."""
    # All but switches arrive as text, since Typer's errors do not say what is allowed.
    kind = bool if setting.kind is bool else str
    metavar = "<int,...>" if setting.kind is tuple else f"<{setting.kind.__name__}>"
    info = typer.Option(metavar=metavar, help=text or _help(setting), rich_help_panel=setting.panel)
    return inspect.Parameter(
        setting.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, info],
    )


def _help(setting: Setting) -> str:
    """Return the help text of a setting, with what is allowed and its default."""
    parts = [setting.text]
    if setting.choices:
        parts.append(f"{setting.allowed.replace('one', 'One', 1)}.")
    elif setting.bounds and setting.kind is not tuple:
        parts.append(f"{setting.bounds.removeprefix('of ').capitalize()}.")
    if default := _default(setting.name):
        parts.append(f"Default: {default}.")
    return " ".join(parts)


def _default(name: str) -> str:
    """Return the default of a setting, for each optimizer where that decides; or nothing."""
    default = getattr(Experiment().resolved(), name)
    if name in ("learning_rate", "weight_decay"):
        found: dict[float, list[str]] = {}
        for optimizer in OPTIMIZERS:
            value = getattr(Experiment(optimizer=optimizer).resolved(), name)
            found.setdefault(value, []).append(optimizer)
        return "; ".join(f"{value:g} for {', '.join(them)}" for value, them in found.items())
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return "" if default is None else str(default)


def given_experiment(given: dict[str, Any], config: Path | None = None) -> Experiment:
    """Return what options and a configuration file set; the options override the file."""
    return Experiment(**(read_settings(config) if config else {}) | given)


def kernel_names(only: str | None) -> Sequence[str]:
    """Return what ``--kernels`` names, or all kernels that have a name."""
    from fastnn import kernels

    return kernels.names() if only is None else only.split(",")
