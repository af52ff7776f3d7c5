"""Whole processes: how long a training takes from its start to its end, and how much memory."""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from .compare import spread
from .names import FASTNN
from .processes import Worker, WorkerError, environment
from .rows import EPOCH, shortened

SCRIPT = Path(__file__).with_name("digits_with_sklearn.py")
COMMANDS = {
    FASTNN: [str(Path(sys.executable).with_name("fastnn")), "train"],
    "scikit-learn": [sys.executable, str(SCRIPT)],
}
DIGITS = "fastnn train on digits, the whole process"
MEMORY = "peak memory of an epoch of Fashion-MNIST, 784-128-10"


def digits_process(names, threads, rounds):
    """Time ``fastnn train`` and a script with scikit-learn, by turns, Numba's cache warm."""
    row = {"name": DIGITS, "threads": threads}
    results = {name: {"seconds": []} for name in COMMANDS if name in names}
    try:
        accuracies = {name: _run(COMMANDS[name], threads)[1] for name in results}  # fills the cache
        for _ in range(rounds):
            for name, result in results.items():
                result["seconds"].append(_run(COMMANDS[name], threads)[0])
    except WorkerError as error:
        results = {name: {"error": str(error)} for name in results}
        return row | {"results": results, "bars": {"scikit-learn": 1.0}, "holds": {}}
    fastnn = results[FASTNN]["seconds"]
    for name, result in results.items():
        result |= {"median": median(result["seconds"]), "spread": spread(result["seconds"])}
        result["accuracy"] = accuracies[name]
        if name != FASTNN:
            ratios = [s / f for s, f in zip(result["seconds"], fastnn, strict=True)]
            result |= {"ratio": median(ratios), "ratio_spread": spread(ratios)}
    return row | {
        "bars": {"scikit-learn": 1.0},
        "results": results,
        "holds": {"scikit-learn": _ratio_holds(results.get("scikit-learn"), 1.0)},
    }


def _run(command, threads):
    """Return the seconds of a command and the test accuracy that it printed."""
    with tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment(threads),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - began
    if done.returncode:
        raise WorkerError(f"{command[0]}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    accuracy = re.search(r"test accuracy ([\d.]+)", done.stdout)
    return seconds, float(accuracy[1])


def peak_memory(libraries, threads, directory, *, quick):
    """Return the most memory that a fresh process held, for an epoch of Fashion-MNIST."""
    task = shortened(EPOCH) if quick else EPOCH
    results = {}
    for library in libraries:
        with Worker(library, threads, directory) as worker:
            try:
                answer = worker.begin(task)
                if answer is not None:
                    results[library.name] = {"bytes": answer["peak_memory"]}
            except WorkerError as error:
                results[library.name] = {"error": str(error)}
    own = results.get(FASTNN, {}).get("bytes")
    for name, result in results.items():
        if own and name != FASTNN and "bytes" in result:
            result["ratio"] = result["bytes"] / own
    bars = {"PyTorch": 1.0, "scikit-learn": 1.0}
    return {
        "name": MEMORY,
        "threads": threads,
        "bars": bars,
        "results": results,
        "holds": {name: _ratio_holds(results.get(name), least) for name, least in bars.items()},
    }


def _ratio_holds(result, least):
    return result["ratio"] >= least if result and "ratio" in result else None
