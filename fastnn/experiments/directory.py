"""The directory that keeps a run: five files, each of them replaced as a whole.

- ``config.toml``: the experiment, with every setting;
- ``run.json``: what the run ran on and, once it has ended, its results;
- ``history.csv``: one line per epoch;
- ``weights.safetensors``: the network, see `fastnn.checkpoint.load_network`;
- ``training.safetensors``: what it takes to continue bit for bit.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastnn import datasets
from fastnn.checkpoint import write_atomically
from fastnn.experiments.settings import SETTINGS, Experiment, read_settings
from fastnn.formats import to_json
from fastnn.kernels.finding import absolute

CONFIG, REPORT, LOG = "config.toml", "run.json", "history.csv"
WEIGHTS, TRAINING = "weights.safetensors", "training.safetensors"
FILES = (CONFIG, REPORT, LOG, WEIGHTS, TRAINING)


class RunError(ValueError):
    """A run cannot begin, continue or end properly; the text says why."""


def check_free(directory: Path) -> None:
    """Raise `RunError` if `directory` holds a run, or part of one."""
    held = [name for name in FILES if (directory / name).exists()]
    if held:
        raise RunError(
            f"{directory} already holds a run ({', '.join(held)}), which is not overwritten; "
            "name another directory, or resume that run"
        )


def check_holds(directory: Path, *names: str) -> None:
    """Raise `RunError` if `directory` lacks one of some files."""
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        raise RunError(f"{directory} does not hold a run: there is no {', '.join(missing)}")


def read_config(directory: Path) -> Experiment:
    """Return the experiment of a run."""
    return Experiment(**read_settings(directory / CONFIG))


def write_config(directory: Path, experiment: Experiment) -> None:
    """Write the experiment, so that the run can be continued from any working directory.

    Paths become absolute; a module that was found in the working directory keeps its name.
    """
    settings = experiment.as_dict()
    changes = {name: absolute(settings[name]) for name, each in SETTINGS.items() if each.code}
    if experiment.data not in datasets.names():
        changes["data"] = str(Path(experiment.data).absolute())
    if experiment.data_dir is not None:
        changes["data_dir"] = str(Path(experiment.data_dir).absolute())
    write_atomically(directory / CONFIG, experiment.replace(**changes).to_toml().encode())


def read_report(directory: Path) -> dict[str, Any]:
    """Return what the directory says of the run, see `fastnn.experiments.run.Run.report`."""
    path = directory / REPORT
    try:
        report = json.loads(path.read_bytes())
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error
    if not isinstance(report, dict):
        raise RunError(f"{path} is damaged: it does not hold a JSON object")
    return report


def write_report(directory: Path, report: Mapping[str, Any]) -> None:
    """Write what there is to say of the run."""
    write_atomically(directory / REPORT, (to_json(report, indent=2) + "\n").encode())
