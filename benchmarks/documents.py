"""``python -m benchmarks.documents [NAME ...]``: make the generated blocks of all documents anew.

Every table and figure stands between two markers, the first of which names the commands that make
it (see `benchmarks.markers`). They run as they stand, with the programs of this interpreter's
environment, and what they print or write becomes the block. With names, only those blocks are
made, and the ones that share a command with them.
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
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from pathlib import Path
from statistics import geometric_mean

import numpy as np

from fastnn.checkpoint import load_network
from fastnn.environment import blas_restraints
from fastnn.formats import NOTHING, duration, percent, significant, to_markdown
from fastnn.study.report import figures
from fastnn.study.report.drawing import legend_below, new_figure, style
from fastnn.study.tables import measured, training_seconds

from . import denormals, turns
from .markers import fill, find_blocks
from .peers import report as peer_reports

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "benchmarks" / "figures"
NAMES = ("README.md", "fastnn/README.md", "kernels/README.md")
DOCUMENTS = [ROOT / name for name in (*NAMES, "benchmarks/README.md", "benchmarks/RESULTS.md")]
PRODUCTS = ("256×256·256×256", "64×784·784×128", "64×128·128×10")
LIBRARIES = ("PyTorch", "JAX", "scikit-learn", "onnxruntime")


@dataclass(frozen=True)
class Output:
    """What a command printed, where it ran, and how long it took from start to end."""

    text: str
    directory: Path
    seconds: float

    def json(self, name=None):
        """Return what was printed, or written to the file of this name."""
        return json.loads((self.directory / name).read_text("utf-8") if name else self.text)


def run(command, directory):
    """Run a command; ``python`` and ``fastnn`` are those of this environment."""
    program, *arguments = shlex.split(command)
    for name in ("fastnn", "benchmarks"):  # for what runs as a file or as a module
        (directory / name).symlink_to(ROOT / name)
    print(f"$ {command}", file=sys.stderr, flush=True)
    began = time.perf_counter()
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        cwd=directory,
        env={k: v for k, v in os.environ.items() if k not in blas_restraints()} | {"COLUMNS": "90"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Output(done.stdout, directory, time.perf_counter() - began)


def as_printed(output):
    lines = [line.rstrip() for line in output.text.strip("\n").splitlines()]
    return "\n".join(["```text", *lines, "```"])


def machine(output):
    machine, versions = (output.json()[key] for key in ("machine", "versions"))
    blas = "{internal_api} {version} ({architecture})".format(**machine["blas"])
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, "
        f"{machine['system']}; Python {versions['python']}, NumPy {versions['numpy']} with "
        f"{blas}, Numba {versions['numba']}; {datetime.datetime.now(datetime.UTC).date()}."
    )


def ladder(output):
    report = output.json()
    columns = {
        "kernel": lambda row: f"`{row['kernel']}`",
        "what it is": lambda row: row["summary"],
        "an epoch": lambda row: duration(row["epoch_seconds"]["median"]),
        "× `naive`": lambda row: significant(row["speedup"]["naive"]["median"]),
        "× `numpy`": lambda row: significant(row["speedup"]["numpy"]["median"]),
        "of the peak": lambda row: percent(row["peak_share"]["median"]),
        "in products": lambda row: NOTHING if row["doubt"] else percent(row["product_share"]),
        "inference, a sample": lambda row: duration(row["inference"][0]["seconds"]["median"]),
    }
    with style():
        figure, (axes,) = new_figure(2.6, width=8)
        figures.draw_ladder(axes, report)
        axes.set_title("One epoch on the digits, under each kernel")
    text = table(columns, measured(report), left=(0, 1))
    return text + picture(figure, "ladder", "Time of an epoch under each kernel")


def results(peers, products):
    """Return, for each that FastNN is compared with, the mean and the worst case for FastNN."""
    compared = {library: {} for library in LIBRARIES}
    for row in peers.json("peers.json")["rows"]:
        for library, result in peer_reports.by_column(row).items():
            if library in LIBRARIES and {"median", "ratio"} <= result.keys():
                compared[library][f"{row['name']}, threads {row['threads']}"] = result["ratio"]
    outcome = products.json("products.json")["outcomes"][0]
    ratios = {shape: ratio["median"] for shape, ratio in outcome["ratios"].items()}
    compared[f"NumPy's BLAS, {outcome['work']}, {outcome['dtype']}"] = ratios
    compared = {name: ratios for name, ratios in compared.items() if ratios}
    lowest = {name: min(ratios, key=ratios.__getitem__) for name, ratios in compared.items()}
    columns = {
        "times as fast as": lambda name: name,
        "measurements": lambda name: len(compared[name]),
        "geometric mean": lambda name: f"{geometric_mean(compared[name].values()):.2f}",
        "lowest": lambda name: f"{compared[name][lowest[name]]:.2f}",
        "at": lowest.__getitem__,
    }
    return table(columns, compared, left=(0, 4))


def gradient_descent(*outputs):
    reports = [output.json() for output in outputs]
    columns = {
        "gradient descent": lambda report: report["gradient_descent"],
        "batch size": lambda report: f"{report['batch_size']:,}",
        "updates": lambda report: f"{report['updates']:,}",
        "loss": lambda report: f"{report['history'][-1]['loss']:.4f}",
        "test accuracy": test_accuracy,
        "time": training_time,
    }
    with style():
        figure, panels = new_figure(3.4, width=8, columns=2)
        for axes, over in zip(panels, ("epochs", "seconds"), strict=True):
            figures.draw_losses(axes, figures.descent_curves(reports), over=over)
            axes.set_title(f"Loss after so many {over}")
        legend_below(figure, panels[0])
    description = "Loss over epochs and over seconds, each way"
    return picture(figure, "gradient-descent", description) + table(columns, reports)


def sine(output):
    report = output.json()
    net = load_network(output.directory / "runs" / "sine" / "weights.safetensors")
    end = np.sqrt(3)  # inputs of the data set lie between -√3 and √3, one period
    x = np.linspace(-2 * end, 2 * end, 401)
    with style():
        figure, (axes,) = new_figure(3.4, width=8)
        answers = {"the network": net(x[:, None])[:, 0]}
        figures.draw_sine(axes, x, np.sin(np.pi * x / end), answers, (-end, end))
        axes.set_title("A sine, and what a network makes of it")
        legend_below(figure, axes)
    return picture(figure, "sine", "A sine and its approximation") + (
        f"Mean squared error on points in between, kept for the test: {report['test_loss']:.1e}, "
        f"after {report['updates']:,} updates in {training_time(report)}."
    )


def scratch(by_hand, in_fastnn):
    said = re.search(r"([\d.]+) s, (\d+%).* ([\d.]+) GFLOP/s", by_hand.text)
    accuracy = re.findall(r"test accuracy ([\d.]+)", by_hand.text)[-1]
    report = in_fastnn.json()
    columns = {
        "the same training in": ["`scratch.py`", f"FastNN, kernel `{report['kernel']}`"],
        "training": [duration(float(said[1])), training_time(report)],
        "with start and end": [duration(by_hand.seconds), duration(in_fastnn.seconds)],
        "test accuracy": [percent(float(accuracy)), test_accuracy(report)],
    }
    columns = {title: cells.__getitem__ for title, cells in columns.items()}
    where = f"`scratch.py` spends {said[2]} of its time in matrix products, at {said[3]} GFLOP/s."
    return table(columns, range(2)) + where


def peak(output):
    """Return the speed of each kernel at three products, and its share of the ceiling."""
    report = output.json()
    cells = {}
    for speed in report["speeds"]:
        flops, share = (speed[key]["median"] for key in ("flops", "share"))
        cells[speed["kernel"], speed["product"]] = f"{significant(flops / 1e9)} ({percent(share)})"
    columns = {"GFLOP/s (share of the FMA peak)": lambda kernel: f"`{kernel}`"}
    for product in PRODUCTS:
        columns[product] = lambda kernel, product=product: cells[kernel, product]
    ceiling = report["ceilings"][report["dtype"]]["median"] / 1e9
    where = f"On one thread; the FMA peak, measured too, is {ceiling:.0f} GFLOP/s in float32."
    return table(columns, dict.fromkeys(kernel for kernel, _ in cells)) + where


def products(output):
    columns = {
        "times as fast as NumPy": itemgetter("work"),
        "dtype": itemgetter("dtype"),
        "threads": itemgetter("threads"),
        "mean": lambda outcome: f"{outcome['mean']:.2f}",
        "lowest": lambda outcome: f"{outcome['worst']['median']:.2f}",
        "at": lambda outcome: outcome["worst"]["shape"],
        "of the peak": lambda outcome: percent(outcome["share"]),
        "spread": lambda outcome: f"{outcome['spread']:.0%}",
    }
    return table(columns, output.json("products.json")["outcomes"])


def peers(output):
    return peer_reports.markdown(output.json("peers.json"))


def epochs(output):
    return peer_reports.in_markdown(peer_reports.epochs(output.json("peers.json"), "<br>"))


def denormal_epochs(output):
    report = output.json("denormals.json")
    with style():
        figure, (shares, seconds) = new_figure(3.6, width=8, columns=2)
        denormals.draw_shares(shares, report)
        shares.set_title("Adam's means that are denormal")
        denormals.draw_epochs(seconds, report)
        seconds.set_title("An epoch, denormals flushed or kept")
        legend_below(figure, seconds)
    text = picture(figure, "denormals", "Denormal means, and seconds of an epoch, over epochs")
    made = denormals.table_of_epochs(report)
    trainings = len(report["epochs"][0]["seconds"])
    where = f"{report['machine']['processor']}, one thread; medians of {trainings} trainings."
    return f"{text}{to_markdown(*made, texts=(0, 1))}\n\n{where}"


def denormal_arithmetic(output):
    report = output.json("denormals.json")
    factors = ", ".join(
        f"{name} {by['denormal, kept'] / by['normal']:.1f}"
        for name, by in report["arithmetic"].items()
    )
    made = denormals.table_of_arithmetic(report)
    return f"{to_markdown(*made)}\n\nTimes as long on denormal numbers that are kept: {factors}."


def ways_to_take_turns(output):
    report = output.json("turns.json")
    where = (
        f"{report['machine']['processor']}, threads {report['threads']}, {report['dtype']}; "
        f"medians of {report['rounds']} rounds, and the middle half of them."
    )
    return f"{to_markdown(*turns.table_of_ratios(report))}\n\n{where}"


def accuracy(output):
    columns = {
        "data": lambda report: f"`{report['data']}`",
        "network": lambda report: "-".join(map(str, report["sizes"])),
        "epochs": lambda report: len(report["history"]),
        "test accuracy": test_accuracy,
        "test loss": lambda report: f"{report['test_loss']:.3f}",
        "training": training_time,
    }
    return table(columns, [output.json()])


# What makes a block of its commands' outputs.
BLOCKS = {
    "train": as_printed,
    "ladder": ladder,
    "machine": machine,
    "results": results,
    "gradient-descent": gradient_descent,
    "sine": sine,
    "plan": as_printed,
    "scratch": scratch,
    "peak": peak,
    "products": products,
    "peers": peers,
    "epochs": epochs,
    "denormal-epochs": denormal_epochs,
    "denormal-arithmetic": denormal_arithmetic,
    "turns": ways_to_take_turns,
    "accuracy": accuracy,
    "fashion-mnist": accuracy,
}
# These need data, or libraries, that may be missing.
OPTIONAL = (
    *("fashion-mnist", "peers", "epochs", "results"),
    *("denormal-epochs", "denormal-arithmetic"),
)


def training_time(report):
    return duration(training_seconds(report["history"]))


def test_accuracy(report):
    return percent(report["test_accuracy"])


def table(columns, items, left=(0,)):
    """Return a Markdown table of the items; `columns` says by title what is shown of each."""
    rows = [[show(item) for show in columns.values()] for item in items]
    return to_markdown(list(columns), rows, left) + "\n\n"


def picture(figure, name, description):
    """Write a figure, on white for readers of dark pages; return its Markdown."""
    with style():
        figure.savefig(FIGURES / f"{name}.svg", facecolor="white", metadata={"Date": None})
    return f"![{description}]({FIGURES}/{name}.svg)\n\n"


def put(name, content):
    """Replace a block in every document that has it."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        if name in find_blocks(text):
            here = content.replace(f"({FIGURES}/", f"({os.path.relpath(FIGURES, path.parent)}/")
            path.write_text(fill(text, {name: here}), encoding="utf-8")


def main(names):
    found = [find_blocks(path.read_text(encoding="utf-8")) for path in DOCUMENTS]
    commands = {name: block.commands for blocks in found for name, block in blocks.items()}
    wanted = {command for name in names or commands for command in commands[name]}
    with tempfile.TemporaryDirectory() as root:
        # Blocks that share a command show the same run of it.
        output = cache(lambda command: run(command, Path(tempfile.mkdtemp(dir=root))))
        for name in (name for name in commands if not wanted.isdisjoint(commands[name])):
            try:
                put(name, BLOCKS[name](*map(output, commands[name])))
            except subprocess.CalledProcessError:
                if name not in OPTIONAL:
                    raise
                print(f"{name} stays as it is", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
