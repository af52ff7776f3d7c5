"""What was measured, held against the bars it is to reach."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from statistics import geometric_mean, median

with suppress(ImportError):  # asv imports every file here, on commits without the packages too
    from fastnn.cli.console import show_table
    from fastnn.kernels.measuring.timing import Spread


WIDTH = 100  # characters


@dataclass(frozen=True)
class Outcome:
    """A bar, and what was measured for it.

    Attributes
    ----------
    work : str
        What was measured, and where that is not BLAS, by what.
    dtype : str
    threads : int
    ratios : dict of str to Spread
        How many times as fast, for each shape; medians and quartiles over rounds.
    mean_bar, worst_bar : float or None
        What the geometric mean and what every ratio is to reach.

    """

    work: str
    dtype: str
    threads: int
    ratios: dict[str, Spread]
    mean_bar: float | None = None
    worst_bar: float | None = None

    @property
    def mean(self) -> float:
        return geometric_mean(ratio.median for ratio in self.ratios.values())

    @property
    def worst(self) -> tuple[str, Spread]:
        return self.lowest(1)[0]

    def lowest(self, number: int) -> list[tuple[str, Spread]]:
        """Return so many shapes with the lowest ratios, the lowest first."""
        return sorted(self.ratios.items(), key=lambda item: item[1].median)[:number]

    @property
    def spread(self) -> float:
        """The middle half of the rounds of a typical shape, as a share of its median."""
        return median((each.high - each.low) / each.median for each in self.ratios.values())

    @property
    def holds(self) -> bool:
        return (self.mean_bar is None or self.mean >= self.mean_bar) and (
            self.worst_bar is None or self.worst[1].median >= self.worst_bar
        )

    def report(self) -> dict[str, object]:
        shape, worst = self.worst
        return asdict(self) | {
            "mean": self.mean,
            "worst": {"shape": shape, **asdict(worst)},
            "spread": self.spread,
            "holds": self.holds,
        }


def print_outcomes(outcomes: list[Outcome]) -> None:
    show_table(
        ("work", "dtype", "threads", "mean", "bar", "worst", "bar", "spread", "holds"),
        [
            [
                outcome.work,
                outcome.dtype,
                str(outcome.threads),
                f"{outcome.mean:.2f}",
                bar(outcome.mean_bar),
                f"{outcome.worst[1].median:.2f}",
                bar(outcome.worst_bar),
                f"{outcome.spread:.1%}",
                "yes" if outcome.holds else "NO",
            ]
            for outcome in outcomes
        ],
        width=WIDTH,
    )


def print_worst(outcomes: list[Outcome], number: int = 3) -> None:
    """Print the shapes with the lowest ratios of each outcome."""
    show_table(
        ("worst shapes of", "dtype", "threads", "shape", "ratio", "middle half"),
        [
            [
                outcome.work,
                outcome.dtype,
                str(outcome.threads),
                shape,
                f"{ratio.median:.2f}",
                f"{ratio.low:.2f}–{ratio.high:.2f}",
            ]
            for outcome in outcomes
            for shape, ratio in outcome.lowest(number)
        ],
        width=WIDTH,
    )


def bar(value: float | None) -> str:
    """Return what a table says of a bar that there may not be."""
    return "–" if value is None else f"{value:.2f}"
