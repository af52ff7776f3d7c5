"""``fastnn predict``."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from fastnn.cli import options as o
from fastnn.cli.console import show, show_json
from fastnn.cli.evaluate import open_model


@o.takes_settings("data_dir", **o.OF_MODEL)
def predict(
    given: dict[str, Any],
    model: o.Model,
    data: Annotated[
        str,
        typer.Option(
            help="A .csv or .npz file with features, or a data set, whose test samples are taken.",
            rich_help_panel="Data",
        ),
    ],
    json: o.Json = False,
) -> None:
    """Print the predictions of a trained network, one line for each sample.

    A prediction is the name of a class or, for a regression, the values of the outputs. A run that
    uses code of your own (a kernel, a layer, an activation) does not import it unasked: name it
    again to allow that.
    """
    opened = open_model(model, given | {"loss": "auto"})  # predictions need no loss
    predictions, outputs = opened.predict(opened.load_features(data, given.get("data_dir")))
    if json:
        show_json(
            {
                **opened.report(),
                "data": data,
                "samples": len(predictions),
                "predictions": predictions,
                "outputs": outputs.tolist(),
            }
        )
    else:
        show(*map(_line, predictions, outputs))


def _line(prediction: object, outputs: Iterable[object]) -> str:
    """Return a prediction as text; numbers with the digits of their dtype, not of a double."""
    return ",".join(map(str, outputs)) if isinstance(prediction, list) else str(prediction)
