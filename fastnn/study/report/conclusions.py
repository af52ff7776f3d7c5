"""What the figures say, in words. Every number here comes from the measurements.

Names of kernels are set between backticks.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from fastnn.formats import duration, percent, significant
from fastnn.study.report import Report
from fastnn.study.report.figures import epoch_seconds, intensity, training_seconds
from fastnn.study.tables import measured, slowest_and_quickest

ROUNDING = 1e-3  # relative: losses that differ by less have not parted
LEVEL = 0.03  # closer than this two speeds are called the same
# What each step up the ladder does, from one kernel to another.
RUNGS = (
    ("naive", "numba-naive", "compiling the triple loop"),
    ("numba-naive", "numba-blocked", "going through it in tiles that fit the caches"),
    ("numba-blocked", "numba", "keeping a tile in vector registers"),
)


def _rows(comparison: Report) -> dict[str, Report]:
    return {row["kernel"]: row for row in measured(comparison)}


def _faster(ratio: float) -> str:
    """Return how a speed compares with another one: ``1.5 times as fast as``."""
    if abs(ratio - 1) < LEVEL:
        return "as fast as"
    return f"{significant(ratio)} times as fast as"


def _list(parts: Sequence[str]) -> str:
    """Return an enumeration."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _step(row: Report) -> float:
    return float(row["step_seconds"]["median"])


def summary(data: Report) -> list[str]:
    """Return the answers to the question of the study."""
    comparison = data["comparison"]
    rows = _rows(comparison)
    slowest, quickest = slowest_and_quickest(measured(comparison))
    gain = _step(slowest) / _step(quickest)
    if slowest is quickest:
        return [
            f"Under `{quickest['kernel']}` the matrix products are "
            f"{percent(quickest['product_share'])} of the time of a step's calls."
        ]
    ends = [row["inference"][0]["seconds"]["median"] for row in (slowest, quickest)]
    return [
        f"The choice of the matrix product alone changes the time of a training step by a factor "
        f"of {significant(gain)}, from {duration(_step(slowest))} under `{slowest['kernel']}` to "
        f"{duration(_step(quickest))} under `{quickest['kernel']}`, and the inference of "
        f"{_samples(comparison['inference'][0])} by a factor of "
        f"{significant(ends[0] / ends[1])}.",
        *_against_blas(rows),
        f"Under `{slowest['kernel']}` the matrix products are "
        f"{percent(slowest['product_share'])} of the time of a step's calls; under "
        f"`{quickest['kernel']}` they are {percent(quickest['product_share'])}, so that a product "
        f"which took no time at all would make the calls {significant(quickest['amdahl'])} times "
        "as fast, and no more (Amdahl's law).",
    ]


def _samples(number: int) -> str:
    return "one sample" if number == 1 else f"{number:,} samples"


def _against_blas(rows: Mapping[str, Report]) -> list[str]:
    if not {"numba", "numpy"} <= rows.keys():
        return []
    ratio = rows["numba"]["speedup"]["numpy"]
    sentence = (
        f"Training on `numba`, which is Python compiled, is {_faster(ratio['median'])} on BLAS, "
        f"which `numpy` calls"
    )
    if ratio["low"] != ratio["high"]:
        sentence += f"; half of the rounds lie between {ratio['low']:.2f} and {ratio['high']:.2f}"
    return [sentence + "."]


def ladder(data: Report) -> list[str]:
    """Return what each step up the ladder brings."""
    rows = _rows(data["comparison"])
    gains = [
        f"{what} ×{significant(_step(rows[below]) / _step(rows[above]))}"
        for below, above, what in RUNGS
        if below in rows and above in rows
    ]
    if not gains:
        return []
    threads = data["comparison"]["threads"]
    where = "one thread" if threads == 1 else f"{threads} threads where a kernel uses them"
    return [f"What each step up makes of the speed of training, on {where}: {_list(gains)}."]


def speeds(data: Report) -> list[str]:
    """Return how near the kernels come to the peak at square products."""
    best = {
        name: max(
            (speed for speed in data["speeds"] if speed["kernel"] == name),
            key=lambda speed: float(speed["share"]["median"]),
        )
        for name in dict.fromkeys(speed["kernel"] for speed in data["speeds"])
    }
    top = max(best.values(), key=lambda speed: float(speed["share"]["median"]))
    low = min(best.values(), key=lambda speed: float(speed["share"]["median"]))
    sentence = (
        f"The nearest to the peak is `{top['kernel']}`, with "
        f"{significant(top['flops']['median'] / 1e9)} GFLOP/s at n = {top['n']:,}, or "
        f"{percent(top['share']['median'])} of it."
    )
    if low is not top:
        sentence += f" The best of `{low['kernel']}` is {percent(low['share']['median'])}."
    return [sentence]


def roofline(data: Report) -> list[str]:
    """Return what bounds the network's products."""
    comparison = data["comparison"]
    (ceilings,) = comparison["ceilings"]["ceilings"]
    ridge = ceilings[comparison["dtype"]]["median"] / ceilings["read"]["median"]
    products = [line for line in measured(comparison)[0]["lines"] if line["flops"]]
    below = [line for line in products if intensity(line) < ridge]
    low, high = (significant(f(map(intensity, products))) for f in (min, max))
    fits = max(line["bytes"] for line in products) <= comparison["ceilings"]["caches"]["l3"]
    where = "they come from the caches, so points may" if fits else "those that fit caches may"
    return [
        f"Where the roof bends, a product makes {significant(ridge)} operations for each byte. "
        f"This network's products make {low} to {high}: {len(below)} of {len(products)} would "
        f"be bound by the memory if their matrices came from there; {where} lie above the slope."
    ]


def step(data: Report) -> list[str]:
    """Return what else than products a step consists of."""
    _, quickest = slowest_and_quickest(measured(data["comparison"]))
    lines = quickest["lines"]
    whole = sum(line["seconds"] for line in lines)
    longest = max(lines, key=lambda line: float(line["seconds"]))
    others = [line for line in lines if not line["flops"]]
    sentence = (
        f"Under `{quickest['kernel']}` the longest line is {longest['call']} {longest['shapes']} "
        f"in {longest['layer'] or longest['part']}, {percent(longest['seconds'] / whole)} of the "
        "step"
    )
    if others:
        other = max(others, key=lambda line: float(line["seconds"]))
        sentence += (
            f"; of all that are no products it is {other['call']}, "
            f"{percent(other['seconds'] / whole)}"
        )
    sentences = [sentence + "."]
    if quickest["python_share"] is not None:
        sentences.append(
            f"Between the lines, Python takes {percent(quickest['python_share'])} of such a step; "
            "an epoch as one compiled call has none of it."
        )
    return sentences


def inference(data: Report) -> list[str]:
    """Return what a batch is worth."""
    _, quickest = slowest_and_quickest(measured(data["comparison"]))
    each = [entry["seconds"]["median"] / entry["batch_size"] for entry in quickest["inference"]]
    sizes = [entry["batch_size"] for entry in quickest["inference"]]
    best = min(range(len(each)), key=each.__getitem__)
    return [
        f"Under `{quickest['kernel']}` a sample takes {duration(each[0])} where "
        f"{sizes[0]:,} {'is' if sizes[0] == 1 else 'are'} given at once, and "
        f"{duration(each[best])} where {sizes[best]:,} are: weights that have been read serve "
        f"the whole batch, a factor of {significant(each[0] / each[best])}."
    ]


def curves(data: Report) -> list[str]:
    """Return whether all kernels learn the same, and how long each takes to."""
    every = {curve["kernel"]: curve for curve in data["curves"]}
    whole = {name: c for name, c in every.items() if len(c["history"]) == c["epochs"]}
    sentences = [_agreement(every)] if len(every) > 1 else []
    if whole:
        seconds = {name: training_seconds(c["history"]) for name, c in whole.items()}
        quickest = min(seconds, key=seconds.__getitem__)
        sentences.append(
            f"`{quickest}` makes all {whole[quickest]['epochs']} epochs in "
            f"{duration(seconds[quickest])}{_accuracy(whole[quickest])}."
        )
    for name, curve in every.items():
        if name not in whole:
            done = f"{len(curve['history'])} of {curve['epochs']} epochs"
            sentences.append(f"`{name}` stopped after {done}: {curve['stopped']}.")
    absent = [f"`{row['kernel']}`" for row in measured(data["comparison"])]
    absent = [name for name in absent if name.strip("`") not in every]
    if absent:
        sentences.append(f"{_list(absent)} would take too long for an epoch.")
    return sentences


def _agreement(every: Mapping[str, Report]) -> str:
    """Return how far the losses after the same epoch differ from the reference's."""
    difference = 0.0
    for curve in every.values():
        pairs = zip(curve["history"], every["numpy"]["history"], strict=False)
        for own, other in ((a["loss"], b["loss"]) for a, b in pairs):
            if own is None or other is None or not math.isfinite(own + other):
                return f"Under `{curve['kernel']}` or `numpy` a loss is no finite number."
            difference = max(difference, abs(own - other) / (max(abs(own), abs(other)) or 1.0))
    found = f"after the same epoch they differ from `numpy`'s by {difference:.0e} at most"
    if difference < ROUNDING:
        return f"The losses of all kernels are the same: {found}, relatively, which is rounding."
    return f"The losses of the kernels part, as rounding grows: {found}, relatively."


def _accuracy(curve: Report) -> str:
    if curve["test_accuracy"] is None:
        return f", with a mean squared error of {curve['test_loss']:.1e} on test samples"
    return f", and is then right on {percent(curve['test_accuracy'])} of the test samples"


def descents(data: Report) -> list[str]:
    """Return how the three ways of gradient descent compare, by epochs and by time."""
    every = {each["gradient_descent"]: each for each in data["descents"]}
    first_way = data["descents"][0]
    epochs = len(first_way["history"])
    ends = [
        f"{name} descent at a loss of {_loss(each['history'][-1]['loss'])} after "
        f"{each['updates']:,} updates"
        for name, each in every.items()
    ]
    spent = {name: training_seconds(each["history"]) for name, each in every.items()}
    first = min(spent, key=spent.__getitem__)
    reached = {name: _reached(each["history"], spent[first]) for name, each in every.items()}
    known = {name: loss for name, loss in reached.items() if loss is not None}
    ahead = min(known, key=known.__getitem__)
    return [
        f"This is always the same network, {'-'.join(map(str, first_way['sizes']))} on "
        f"{first_way['data']}, with {first_way['optimizer']} under `{first_way['kernel']}`. Its "
        f"{epochs} epochs end with {_list(ends)}.",
        f"In the {duration(spent[first])} that {first} descent takes for all of them, "
        + _list([f"{name} descent reaches {_loss(loss)}" for name, loss in known.items()])
        + f": by the clock, {ahead} descent is ahead there.",
    ]


def _loss(value: float) -> str:
    return f"{value:.1e}" if value < 1e-3 else f"{value:.3g}"


def _reached(history: Iterable[Report], seconds: float) -> float | None:
    """Return the loss of the last epoch that had ended by then; None if the first had not."""
    records = list(history)
    spent, loss = 0.0, None
    for record, taken in zip(records, epoch_seconds(records), strict=True):
        spent += taken
        if spent > seconds * (1 + 1e-9):
            break
        loss = record["loss"]
    return loss


def approximation(data: Report) -> list[str]:
    """Return how well the sine is approximated, where points were seen and elsewhere."""
    sine = data["approximation"]
    low, high = sine["seen"]
    errors: dict[bool, float] = {True: 0.0, False: 0.0}
    for x, target, value in zip(
        sine["x"], sine["target"], sine["answers"][-1]["values"], strict=True
    ):
        inside = low <= x <= high
        errors[inside] = max(errors[inside], abs(value - target))
    return [
        f"After {sine['updates']:,} updates it is nowhere off by more than "
        f"{significant(errors[True])} between the points that it was shown. Outside of them it "
        f"has learnt nothing, and is off by up to {significant(errors[False])}."
    ]


def past(benchmarks: Sequence[Report]) -> list[str]:
    """Return what has changed most between the first and the last time that it was measured."""
    changes = {
        (each["benchmark"], kernel): known[-1] / known[0]
        for each in benchmarks
        for kernel, values in each["kernels"].items()
        if len(known := [value for value in values if value is not None]) > 1
    }
    if not changes:
        return ["Nothing was measured for two commits so far, so there is no change to be seen."]
    name, kernel = max(changes, key=lambda key: abs(math.log(changes[key])))
    change = changes[name, kernel]
    if abs(change - 1) < LEVEL:
        return [f"Nothing has changed by more than {LEVEL:.0%} since it was first measured."]
    how = "as slow as" if change > 1 else "as fast as"
    return [
        f"What has changed most since it was first measured is `{kernel}` in {name}: it is "
        f"{significant(max(change, 1 / change))} times {how} it was."
    ]


def fairness(data: Report) -> list[str]:
    """Return what the figures are worth."""
    comparison = data["comparison"]
    sentences = [
        f"Before anything was timed, the losses of {comparison['steps_verified']} steps under all "
        "kernels were compared, and the gradients of a batch; the losses agree to "
        f"{comparison['loss_difference']:.0e}. Each kernel "
        f"then had its turn in each of {comparison['rounds']} rounds; what is shown are medians. "
        f"In the most uncertain of them, half of the rounds lie {percent(comparison['noise'])} "
        "apart: a difference that is smaller is none."
    ]
    if not comparison["blas_restraints"]:
        sentences.append("No environment variable held BLAS back.")
    return sentences


def warnings(data: Report) -> list[str]:
    """Return what makes the figures worth less than they could be."""
    comparison = data["comparison"]
    sentences = []
    if comparison["busy"]:
        sentences.append(
            f"The machine was busy: half of the rounds of a step lie "
            f"{percent(comparison['noise'])} apart. A quieter moment would tell more."
        )
    if restraints := comparison["blas_restraints"]:
        named = _list([f"{name}={value}" for name, value in restraints.items()])
        sentences.append(f"BLAS was held back: {named} was set. Comparisons with it are unfair.")
    return sentences
