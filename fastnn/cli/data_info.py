"""``fastnn data info``."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastnn.cli import options as o
from fastnn.cli.console import show_json, show_table

if TYPE_CHECKING:
    from fastnn.datasets import Dataset


def info(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Data set, or an .npz or .csv file.")
    ] = None,
    data_dir: o.DataDir = None,
    json: o.Json = False,
) -> None:
    """List the data sets, or describe one."""
    from fastnn import datasets

    if name is None:
        rows = [{"name": known, "summary": datasets.summary(known)} for known in datasets.names()]
        if json:
            show_json({"data": rows})
        else:
            show_table(("data set", "what it is"), [list(row.values()) for row in rows])
        return
    report = _describe(datasets.load(name, data_dir=data_dir))
    if json:
        show_json(report)
        return
    show_table(
        ("", name),
        [
            [key.replace("_", " "), ", ".join(value) if isinstance(value, tuple) else str(value)]
            for key, value in report.items()
            if value is not None
        ],
    )


def _describe(dataset: "Dataset") -> dict[str, Any]:
    return {
        "name": dataset.name,
        "task": dataset.task,
        "training_samples": len(dataset.x_train),
        "test_samples": len(dataset.x_test),
        "features": dataset.n_features,
        "outputs": dataset.n_outputs,
        "classes": dataset.classes,
        "source": dataset.source,
        "fingerprint": dataset.fingerprint,
    }
