"""The options of the commands: one for each setting of an `Experiment`, and a few more.

No setting has a default here: what is not given is left to the configuration file, and then to
`Experiment`, whose default the help shows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fastnn.experiments.settings import (
    CHOICES,
    SETTINGS,
    Experiment,
    ExperimentError,
    read_settings,
)

_DEFAULTS = Experiment()


def _setting(name: str, text: str, panel: str) -> Any:  # noqa: ANN401 - typer's own type
    default = getattr(_DEFAULTS.resolved(), name)
    if name == "hidden":
        default = ",".join(map(str, default))
    if name in CHOICES:
        text += f" One of {', '.join(CHOICES[name])}."
    if default is not None:
        text += f" Default: {default}."
    return typer.Option(help=text, rich_help_panel=panel)


_DATA, _NETWORK, _DESCENT, _MACHINE = "Data", "Network", "Gradient descent", "Machine"

Data = Annotated[
    str | None,
    _setting("data", "A data set, see `fastnn data info`, or an .npz or .csv file.", _DATA),
]
DataDir = Annotated[
    str | None, _setting("data_dir", "Where the files of mnist and fashion-mnist lie.", _DATA)
]
Validation = Annotated[
    float | None, _setting("validation", "Share of the training data held out.", _DATA)
]
Hidden = Annotated[
    str | None,
    _setting("hidden", "Units of the hidden layers, such as 128,64, or none.", _NETWORK),
]
Activation = Annotated[
    str | None, _setting("activation", "What follows each hidden layer.", _NETWORK)
]
Dropout = Annotated[
    float | None, _setting("dropout", "Share of hidden units silenced in a step.", _NETWORK)
]
Initializer = Annotated[str | None, _setting("initializer", "How the weights start.", _NETWORK)]
Epochs = Annotated[
    int | None, _setting("epochs", "Passes over the training data, in all.", _DESCENT)
]
BatchSize = Annotated[
    int | None, _setting("batch_size", "Samples a step in mini-batch descent.", _DESCENT)
]
GradientDescent = Annotated[
    str | None, _setting("gradient_descent", "What a step is made from.", _DESCENT)
]
Optimizer = Annotated[
    str | None, _setting("optimizer", "How the weights follow the gradient.", _DESCENT)
]
LearningRate = Annotated[
    float | None,
    _setting("learning_rate", "How far a step goes; each optimizer has a default.", _DESCENT),
]
Momentum = Annotated[float | None, _setting("momentum", "Of sgd.", _DESCENT)]
Nesterov = Annotated[bool | None, _setting("nesterov", "Nesterov's momentum, of sgd.", _DESCENT)]
WeightDecay = Annotated[
    float | None, _setting("weight_decay", "Pull of the weights to 0.", _DESCENT)
]
ClipNorm = Annotated[
    float | None, _setting("clip_norm", "Longest gradient; no limit without.", _DESCENT)
]
Schedule = Annotated[str | None, _setting("schedule", "How the learning rate changes.", _DESCENT)]
DecayEvery = Annotated[
    int | None, _setting("decay_every", "Epochs between steps of the step schedule.", _DESCENT)
]
DecayFactor = Annotated[
    float | None, _setting("decay_factor", "What such a step multiplies by.", _DESCENT)
]
WarmUp = Annotated[
    int | None, _setting("warmup", "Epochs over which the learning rate rises first.", _DESCENT)
]
Kernel = Annotated[
    str | None,
    _setting(
        "kernel",
        "What computes the matrix products: a name, see `fastnn kernels`, MODULE:NAME or "
        "PATH.py:NAME.",
        _MACHINE,
    ),
]
Kernels = Annotated[
    str | None,
    typer.Option(
        "--kernels",
        metavar="NAMES",
        help="Kernels, separated by commas, as `fastnn kernels check` takes them; all without.",
    ),
]
Threads = Annotated[
    int | None, _setting("threads", "Threads of a product; all there are without.", _MACHINE)
]
Engine = Annotated[str | None, _setting("engine", "What goes from step to step.", _MACHINE)]
DType = Annotated[str | None, _setting("dtype", "Of all that is computed.", _MACHINE)]
FlushDenormals = Annotated[
    bool | None,
    _setting("flush_denormals", "Take numbers below the smallest normal one as 0.", _MACHINE),
]
Seed = Annotated[int | None, _setting("seed", "Where all randomness comes from.", _MACHINE)]

Config = Annotated[
    Path | None, typer.Option(help="A TOML file with settings; options given here precede.")
]
Out = Annotated[
    Path | None, typer.Option(help="A new directory that keeps the run, weights included.")
]
Resume = Annotated[
    Path | None,
    typer.Option(help="Go on with the run of this directory, to --epochs if given."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, or nothing if it fails.")
]


def given_settings(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the settings among a command's parameters that were given."""
    given = {
        name: value for name, value in parameters.items() if name in SETTINGS and value is not None
    }
    if "hidden" in given:
        given["hidden"] = _sizes(given["hidden"])
    return given


def given_experiment(parameters: dict[str, Any], config: Path | None = None) -> Experiment:
    """Return what a command's parameters and a configuration file set; the former precede."""
    return Experiment(**(read_settings(config) if config else {}) | given_settings(parameters))


def kernel_names(only: str | None) -> Sequence[str]:
    """Return what ``--kernels`` names, or all kernels that have a name."""
    from fastnn import kernels

    return kernels.names() if only is None else only.split(",")


def _sizes(text: str) -> tuple[int, ...]:
    if text == "none":
        return ()
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise ExperimentError(
            f"hidden must be whole numbers separated by commas, or none, not {text!r}"
        ) from None
