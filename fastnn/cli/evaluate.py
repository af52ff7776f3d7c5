"""``fastnn evaluate``."""

from typing import TYPE_CHECKING, Any

from fastnn.cli import options as o
from fastnn.cli.console import show_json, show_result

if TYPE_CHECKING:
    from fastnn.experiments.saved import SavedRun


@o.takes_settings(
    "data_dir",
    data="Data set or file to test on. Default: the run's own data.",
    loss="Loss function: a name, MODULE:NAME or FILE.py:NAME. Default: the run's own.",
    **o.OF_MODEL,
)
def evaluate(given: dict[str, Any], model: o.Model, json: o.Json = False) -> None:
    """Test a trained network on the test samples of a data set.

    A run that uses code of your own (a kernel, a layer, an activation, a loss) does not import it
    unasked: name it again to allow that.
    """
    opened = open_model(model, given)
    dataset = opened.load_data(given.get("data"), given.get("data_dir"))
    result = opened.evaluate(dataset)
    if json:
        show_json(
            {
                **opened.report(),
                "data": dataset.name,
                "samples": len(dataset.x_test),
                "test_loss": result.loss,
                "test_accuracy": result.accuracy,
            }
        )
    else:
        show_result(result, opened.build_loss(dataset))


def open_model(path: str, given: dict[str, Any]) -> "SavedRun":
    """Open a run or a network with the settings that were given."""
    from fastnn import kernels
    from fastnn.experiments.saved import SavedRun

    o.given_experiment(given)  # checks them
    if "threads" in given:
        kernels.set_num_threads(given["threads"])
    code = ("layer", "activation", "loss", "kernel")
    return SavedRun.open(path, **{name: given.get(name) for name in code})
