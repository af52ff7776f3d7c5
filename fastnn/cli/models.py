"""``fastnn evaluate`` and ``fastnn predict``."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from fastnn.cli import options as o
from fastnn.cli.console import show, show_json

ModelPath = Annotated[
    str, typer.Argument(metavar="MODEL", help="A run's directory, or a network's .safetensors.")
]
KernelOfModel = Annotated[
    str | None,
    typer.Option(help="What computes the matrix products, as for train; the run's own without."),
]
ThreadsOfModel = Annotated[
    int | None, typer.Option(help="Threads of a product; all there are without.")
]
DataDirOfModel = Annotated[
    str | None, typer.Option(help="Where the files of mnist and fashion-mnist lie.")
]


def evaluate(
    model: ModelPath,
    data: Annotated[
        str | None, typer.Option(help="A data set or a file; the run's own data without.")
    ] = None,
    data_dir: DataDirOfModel = None,
    kernel: KernelOfModel = None,
    threads: ThreadsOfModel = None,
    json: o.Json = False,
) -> None:
    """Test a trained network on the test samples of a data set."""
    from fastnn import kernels
    from fastnn.experiments.saved import SavedRun

    if threads is not None:
        kernels.set_num_threads(threads)
    opened = SavedRun.open(model, kernel=kernel)
    dataset = opened.load_data(data, data_dir)
    result = opened.evaluate(dataset)
    if json:
        show_json(
            {
                **_describe(opened),
                "data": dataset.name,
                "samples": len(dataset.x_test),
                "test_loss": result.loss,
                "test_accuracy": result.accuracy,
            }
        )
    elif result.accuracy is None:
        show(f"test mean squared error {result.loss:.6f}")
    else:
        show(f"test accuracy {result.accuracy:.4f}, test loss {result.loss:.4f}")


def predict(
    model: ModelPath,
    data: Annotated[
        str,
        typer.Option(
            help="A .csv or .npz file with the features, or a data set, of which the test "
            "samples are taken."
        ),
    ],
    data_dir: DataDirOfModel = None,
    kernel: KernelOfModel = None,
    threads: ThreadsOfModel = None,
    json: o.Json = False,
) -> None:
    """Print a trained network's answers, one a line: classes, or the values of a regression."""
    from fastnn import kernels
    from fastnn.experiments.saved import SavedRun

    if threads is not None:
        kernels.set_num_threads(threads)
    opened = SavedRun.open(model, kernel=kernel)
    answers, outputs = opened.predict(opened.load_features(data, data_dir))
    if json:
        show_json(
            {
                **_describe(opened),
                "data": data,
                "samples": len(answers),
                "predictions": answers,
                "outputs": outputs.tolist(),
            }
        )
    else:
        show(*map(_line, answers, outputs))


def _describe(opened: Any) -> dict[str, Any]:  # noqa: ANN401 - a SavedRun, imported when used
    from fastnn import kernels

    return {
        "model": str(opened.path),
        "kernel": opened.net.kernel.name,
        "threads": kernels.get_num_threads(),
        "dtype": opened.net.dtype.name,
        "sizes": opened.net.sizes,
    }


def _line(answer: object, outputs: Iterable[object]) -> str:
    """Return an answer as text; numbers with the digits of their dtype, not of a double."""
    return ",".join(map(str, outputs)) if isinstance(answer, list) else str(answer)
