"""``python -m benchmarks.readme [NAME ...]``: run what README.md names, and fill in its blocks.

Every table and picture there stands between two markers, the first of which names commands (see
`benchmarks.markers`). They are run as they stand, with the programs of this interpreter's
environment, and what they say becomes the block. Without names all blocks are made.
"""

import datetime
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .bars import bar
from .markers import fill, find_blocks
from .peers import report as peer_reports

with suppress(ImportError):  # asv imports every file here, on commits without the packages too
    from fastnn.checkpoint import load_network
    from fastnn.formats import duration, percent, significant, to_markdown
    from fastnn.study.report.drawing import legend_below, new_figure, style
    from fastnn.study.report.figures import (
        descent_curves,
        draw_ladder,
        draw_losses,
        draw_sine,
        training_seconds,
    )
    from fastnn.study.tables import measured

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
FIGURES = Path(__file__).parent / "figures"

# These make NumPy's BLAS run code for another processor than it would choose.
HANDICAPS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


@dataclass(frozen=True)
class Output:
    """What a command printed, where it ran, and how long it took from its start to its end."""

    text: str
    directory: Path
    seconds: float

    @property
    def json(self):
        return json.loads(self.text)


def run(command, directory):
    """Run a command; ``python`` and ``fastnn`` are those of this environment."""
    program, *arguments = shlex.split(command)
    environment = {name: value for name, value in os.environ.items() if name not in HANDICAPS}
    print(f"$ {command}", file=sys.stderr, flush=True)
    began = time.perf_counter()
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        cwd=directory,
        env=environment | {"COLUMNS": "90"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Output(done.stdout, directory, time.perf_counter() - began)


def as_printed(outputs):
    lines = [line.rstrip() for line in outputs[0].text.rstrip().splitlines()]
    return "\n".join(["```text", *lines, "```"])


def ladder(outputs):
    report = outputs[0].json
    rows = [
        (
            f"`{result['kernel']}`",
            result["summary"],
            duration(result["epoch_seconds"]["median"]),
            significant(result["speedup"]["naive"]["median"]),
            significant(result["speedup"]["numpy"]["median"]),
            percent(result["peak_share"]["median"]),
            percent(result["product_share"]),
            duration(result["inference"][0]["seconds"]["median"]),
        )
        for result in measured(report)
    ]
    header = ("kernel", "what it is", "an epoch", "× `naive`", "× `numpy`", "of the peak")
    header = (*header, "in products", "inference, a sample")
    with style():
        figure, (axes,) = new_figure(2.6, width=8)
        draw_ladder(axes, report)
        axes.set_title("One epoch on the digits, under each kernel")
    description = "Seconds of an epoch under each kernel"
    return table(header, rows, left=2) + picture(figure, "ladder", description)


def peak(outputs):
    """Return the speed of each kernel at three products, and what it is of the ceiling."""
    report = outputs[0].json
    chosen = list(dict.fromkeys(speed["product"] for speed in report["speeds"]))
    chosen = [product for product in chosen if product in PEAK_PRODUCTS]
    speeds = {(speed["kernel"], speed["product"]): speed for speed in report["speeds"]}
    rows = []
    for name in dict.fromkeys(speed["kernel"] for speed in report["speeds"]):
        row = [f"`{name}`"]
        for product in chosen:
            speed = speeds.get((name, product))
            row.append(
                f"{significant(speed['flops']['median'] / 1e9)} "
                f"({percent(speed['share']['median'])})"
                if speed
                else "–"
            )
        rows.append(row)
    ceiling = report["ceilings"]["ceilings"][0][report["dtype"]]["median"] / 1e9
    where = f"On one thread; the FMA peak, measured too, is {ceiling:.0f} GFLOP/s in float32."
    return table(("GFLOP/s (share of the FMA peak)", *chosen), rows) + where


def bars(outputs):
    report = json.loads(Path(outputs[0].directory, "bars.json").read_text(encoding="utf-8"))
    rows = [
        (
            outcome["work"],
            outcome["dtype"],
            outcome["threads"],
            f"{outcome['mean']:.2f}",
            bar(outcome["mean_bar"]),
            f"{outcome['worst']['median']:.2f}",
            bar(outcome["worst_bar"]),
            f"{outcome['spread']:.0%}",
        )
        for outcome in report["outcomes"]
    ]
    header = ("times as fast as NumPy", "dtype", "threads", "mean", "bar", "worst", "bar", "spread")
    return table(header, rows)


def peers(outputs):
    path = Path(outputs[0].directory, "peers.json")
    return peer_reports.markdown(json.loads(path.read_text(encoding="utf-8")))


def gradient_descent(outputs):
    reports = [output.json for output in outputs]
    rows = [
        (
            report["gradient_descent"],
            f"{report['batch_size']:,}",
            f"{report['updates']:,}",
            f"{report['history'][-1]['loss']:.4f}",
            percent(report["test_accuracy"]),
            duration(training_seconds(report["history"])),
        )
        for report in reports
    ]
    header = ("gradient descent", "samples a step", "updates", "loss", "test accuracy", "time")
    with style():
        figure, panels = new_figure(3.4, width=8, columns=2)
        for axes, over in zip(panels, ("epochs", "seconds"), strict=True):
            draw_losses(axes, descent_curves(reports), over=over)
            axes.set_title(f"Loss after so many {over}")
        legend_below(figure, panels[0])
    description = "Loss over epochs and over seconds, each way"
    return picture(figure, "gradient-descent", description) + table(header, rows)


def sine(outputs):
    report = outputs[0].json
    net = load_network(outputs[0].directory / "runs" / "sine" / "weights.safetensors")
    end = np.sqrt(3)  # inputs of the data set lie between -√3 and √3, one period
    x = np.linspace(-2 * end, 2 * end, 401)
    with style():
        figure, (axes,) = new_figure(3.4, width=8)
        answers = {"the network": net(x[:, None])[:, 0]}
        draw_sine(axes, x, np.sin(np.pi * x / end), answers, (-end, end))
        axes.set_title("A sine, and what a network makes of it")
        legend_below(figure, axes)
    error = f"Mean squared error on points in between, kept for the test: {report['test_loss']:.1e}"
    seconds = duration(training_seconds(report["history"]))
    updates = f"after {report['updates']:,} updates in {seconds}."
    return picture(figure, "sine", "A sine and its approximation") + f"{error}, {updates}"


def scratch(outputs):
    text, report = outputs[0].text, outputs[1].json
    seconds, share, speed = re.search(r"([\d.]+) s, (\d+%).* ([\d.]+) GFLOP/s", text).groups()
    accuracy = float(re.findall(r"test accuracy ([\d.]+)", text)[-1])
    rows = [
        ("`scratch.py`", duration(float(seconds)), duration(outputs[0].seconds), percent(accuracy)),
        (
            f"FastNN, kernel `{report['kernel']}`",
            duration(training_seconds(report["history"])),
            duration(outputs[1].seconds),
            percent(report["test_accuracy"]),
        ),
    ]
    header = ("the same training in", "training", "with start and end", "test accuracy")
    where = f"`scratch.py` spends {share} of its time in matrix products, at {speed} GFLOP/s."
    return table(header, rows) + where


def accuracy(outputs):
    rows = [
        (
            f"`{report['data']}`",
            "-".join(map(str, report["sizes"])),
            len(report["history"]),
            percent(report["test_accuracy"]),
            f"{report['test_loss']:.3f}",
            duration(training_seconds(report["history"])),
        )
        for report in (output.json for output in outputs)
    ]
    return table(("data", "network", "epochs", "test accuracy", "test loss", "training"), rows)


def machine(outputs):
    report = outputs[0].json
    machine, versions = report["machine"], report["versions"]
    blas = "{internal_api} {version} ({architecture})".format(**machine["blas"])
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, "
        f"{machine['system']}; Python {versions['python']}, NumPy {versions['numpy']} with "
        f"{blas}, Numba {versions['numba']}; {datetime.datetime.now(datetime.UTC).date()}."
    )


PEAK_PRODUCTS = ("256×256·256×256", "64×784·784×128", "64×128·128×10")

# What makes a block of its commands' outputs.
BLOCKS = {
    "train": as_printed,
    "ladder": ladder,
    "machine": machine,
    "gradient-descent": gradient_descent,
    "sine": sine,
    "plan": as_printed,
    "peak": peak,
    "bars": bars,
    "peers": peers,
    "scratch": scratch,
    "accuracy": accuracy,
    "fashion-mnist": accuracy,
}
# These stay as they are where the data are not there, or no other library.
NEEDY = ("fashion-mnist", "peers")


def table(header, rows, left=1):
    """Return a Markdown table; all but the first `left` columns are aligned right."""
    return to_markdown(header, rows, range(left)) + "\n\n"


def picture(figure, name, description):
    """Write a picture, on a white ground, readable where a page is dark; return its Markdown."""
    FIGURES.mkdir(exist_ok=True)
    with style():
        figure.savefig(FIGURES / f"{name}.svg", facecolor="white", metadata={"Date": None})
    return f"![{description}](benchmarks/figures/{name}.svg)\n\n"


def main(names):
    text = README.read_text(encoding="utf-8")
    blocks = find_blocks(text)
    contents = {}
    for name in names or blocks:
        # Somewhere else, so that a run that a command keeps is a new one.
        with tempfile.TemporaryDirectory() as directory:
            for name_of_folder in ("fastnn", "benchmarks"):  # for what is run as a file or module
                Path(directory, name_of_folder).symlink_to(ROOT / name_of_folder)
            try:
                outputs = [run(command, Path(directory)) for command in blocks[name].commands]
            except subprocess.CalledProcessError:
                if name not in NEEDY:
                    raise
                print(f"{name} stays as it is", file=sys.stderr)
                continue
            contents[name] = BLOCKS[name](outputs)
    README.write_text(fill(text, contents), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
