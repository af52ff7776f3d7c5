"""``fastnn data fetch`` and ``fastnn data info``."""

import sys
from typing import Annotated, Any

import typer

from fastnn.cli import options as o
from fastnn.cli.console import show, show_json, show_table

app = typer.Typer(no_args_is_help=True, help="Data sets: what there is, and downloads.")

DataDir = Annotated[str | None, typer.Option(help="Another directory than the user's cache.")]


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="mnist or fashion-mnist.")],
    data_dir: DataDir = None,
    json: o.Json = False,
) -> None:
    """Download a data set, verified, where training finds it."""
    from fastnn import datasets

    directory = datasets.fetch(name, data_dir=data_dir, progress=sys.stderr.isatty())
    if json:
        show_json({"name": name, "directory": str(directory)})
    else:
        show(str(directory))


@app.command()
def info(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A data set, or an .npz or .csv file.")
    ] = None,
    data_dir: DataDir = None,
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


def _describe(dataset: Any) -> dict[str, Any]:  # noqa: ANN401 - a Dataset, imported when used
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
