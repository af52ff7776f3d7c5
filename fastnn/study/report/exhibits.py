"""The figures as a page shows them: with a title, a description for who can't see, and data."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from fastnn.study.report import Report, figures
from fastnn.study.report.drawing import legend_below, new_figure, style, to_svg
from fastnn.study.report.past import Past
from fastnn.study.tables import measured

Draw = Callable[[Axes], object]


class Exhibit(NamedTuple):
    """A figure as a page shows it, and the data that it was drawn from."""

    title: str
    svg: str
    data: Any


class Gallery:
    """Draws exhibits one by one, and keeps them by name.

    Parameters
    ----------
    said : mapping
        The conclusions by subject: what a figure shows is read out with its description.

    """

    def __init__(self, said: Mapping[str, list[str]]) -> None:
        self._said = said
        self.exhibits: dict[str, Exhibit] = {}

    def add(
        self,
        name: str,
        title: str,
        description: str,
        draw: Draw,
        *,
        of: str,
        data: Any,  # noqa: ANN401
        height: float = 3.6,
        legend: int = 3,
    ) -> None:
        """Draw an exhibit of one panel.

        Parameters
        ----------
        name : str
            Of letters and hyphens.
        title, description : str
        draw : callable
            Draws into the axes that it is given.
        of : str
            The subject of the conclusions.
        data
            What is drawn.
        height : float
            In inches.
        legend : int
            Columns of the legend below the panel; 0 for none.

        """
        description = " ".join([description, *self._said[of]]).replace("`", "")
        with style():
            figure, (axes,) = new_figure(height)
            draw(axes)
            if legend:
                legend_below(figure, axes, legend)
            self.exhibits[name] = Exhibit(title, to_svg(figure, name, title, description), data)


def draw_exhibits(data: Report, said: Mapping[str, list[str]]) -> dict[str, Exhibit]:
    """Return all figures of a report by name, but for those of the past."""
    gallery = Gallery(said)
    _add_speeds(gallery, data)
    _add_learning(gallery, data)
    return gallery.exhibits


def _add_speeds(gallery: Gallery, data: Report) -> None:
    comparison, speeds = data["comparison"], data["speeds"]
    (ceilings,) = comparison["ceilings"]["ceilings"]
    peak = ceilings[comparison["dtype"]]["median"]
    rows = measured(comparison)

    def of_kernels(*keys: str) -> list[dict[str, Any]]:
        return [{key: row[key] for key in ("kernel", *keys)} for row in rows]

    gallery.add(
        "ladder",
        "Time of an epoch under each kernel",
        "A bar for each kernel, logarithmic.",
        lambda axes: figures.draw_ladder(axes, comparison),
        of="ladder",
        data=of_kernels("epoch_seconds", "speedup"),
        height=0.9 + 0.3 * len(rows),
        legend=0,
    )
    gallery.add(
        "step",
        "The parts of a training step",
        "For each kernel a bar of a step's time, divided into its parts.",
        lambda axes: figures.draw_step(axes, comparison),
        of="step",
        data=of_kernels("step_seconds", "lines"),
        height=1.5 + 0.3 * len(rows),
    )
    gallery.add(
        "speeds",
        "Speed of square products",
        "GFLOP/s over n, a line for each kernel, both axes logarithmic.",
        lambda axes: figures.draw_speeds(axes, speeds, peak),
        of="speeds",
        data=speeds,
        height=4.2,
    )
    gallery.add(
        "roofline",
        "Roofline, with the products of this network",
        "GFLOP/s over operations a byte, the ceilings, and the network's products.",
        lambda axes: figures.draw_roofline(axes, comparison, speeds),
        of="roofline",
        data={"ceilings": ceilings, "kernels": of_kernels("lines")},
        height=4.2,
    )
    gallery.add(
        "inference",
        "Time of inference for one of so many samples",
        "Seconds a sample over the batch size, a line for each kernel, logarithmic.",
        lambda axes: figures.draw_inference(axes, comparison),
        of="inference",
        data=of_kernels("inference"),
    )


def _add_learning(gallery: Gallery, data: Report) -> None:
    trainings = {
        "curves": ("kernel", figures.kernel_curves(data["curves"])),
        "descents": ("way of gradient descent", figures.descent_curves(data["descents"])),
    }
    for name, (by, curves) in trainings.items():
        for over in ("epochs", "seconds"):
            gallery.add(
                f"{name}-over-{over}",
                f"Training loss over {over}, by {by}",
                f"A line for each {by}; the loss is logarithmic.",
                partial(figures.draw_losses, curves=curves, over=over),
                of=name,
                data=data[name],
            )
    sine = data["approximation"]
    gallery.add(
        "approximation",
        "A sine, and what a network makes of it",
        "The sine over two periods, and the network's answers as it learns.",
        lambda axes: figures.draw_sine(
            axes,
            sine["x"],
            sine["target"],
            {f"after epoch {each['epoch']}": each["values"] for each in sine["answers"]},
            sine["seen"],
        ),
        of="approximation",
        data=sine,
    )


def draw_past(past: Past, said: Mapping[str, list[str]]) -> dict[str, Exhibit]:
    """Return a figure for each benchmark of asv's, by name."""
    gallery = Gallery(said)
    for each in past:
        gallery.add(
            "past-" + re.sub("[^a-z0-9]+", "-", each["benchmark"].lower()),
            each["benchmark"],
            "Times over commits, a line for each kernel.",
            partial(figures.draw_past, series=each["kernels"], commits=each["commits"]),
            of="past",
            data=each,
        )
    return gallery.exhibits
