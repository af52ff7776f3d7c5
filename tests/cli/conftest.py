"""The command line in a process of its own, and in this one where that adds nothing."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fastnn.cli import main

ROOT = Path(__file__).parents[2]
# A network that takes no time to train.
SMALL = ("--hidden", "8", "--epochs", "3", "--kernel", "numpy")


@dataclass
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self):
        (line,) = self.out.splitlines()
        return json.loads(line, parse_constant=pytest.fail)

    def assert_error(self, *parts):
        """Nothing on stdout, and one line on stderr that holds `parts`."""
        assert (self.status, self.out) == (2, ""), self
        (line,) = self.err.splitlines()
        assert line.startswith("fastnn: error: ")
        for part in parts:
            assert part in line


@pytest.fixture
def fastnn(capfd):
    """Run a command line in this process."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        return Result(status, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def everywhere():
    """Return an environment in which a process finds the package, wherever it is started."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture
def environment(everywhere, tmp_path):
    """Return such an environment, with the test's own cache directory."""
    return everywhere | {"XDG_CACHE_HOME": str(tmp_path)}


@pytest.fixture
def start(environment, tmp_path):
    """Start a command line in a process, which is killed at the end of the test at the latest."""
    processes = []

    def popen(*arguments, **options):
        # A signal that is ignored here, as in a job of a shell script, would be ignored there.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "fastnn", *map(str, arguments)],
                **{
                    "cwd": tmp_path,
                    "env": environment,
                    "stdin": subprocess.DEVNULL,
                    "stdout": subprocess.PIPE,
                    "stderr": subprocess.PIPE,
                    "text": True,
                }
                | options,
            )
        finally:
            signal.signal(signal.SIGINT, before)
        processes.append(process)
        return process

    yield popen
    for process in processes:
        with process:
            process.kill()


@pytest.fixture
def process(start):
    """Run a command line in a process to its end."""

    def run(*arguments, timeout=60, **options):
        running = start(*arguments, **options)
        out, err = running.communicate(timeout=timeout)
        return Result(running.returncode, out, err)

    return run


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "digits"
    options = ["--hidden", "16", "--epochs", "5", "--kernel", "numpy", "--seed", "3"]
    assert main(["train", *options, "--out", str(run)]) == 0
    return run


@pytest.fixture
def named(tmp_path, fastnn):
    """Return a CSV file with two classes by name, and a run on it."""
    data, run = tmp_path / "points.csv", tmp_path / "run"
    rows = np.random.default_rng(0).normal(size=(100, 2))
    data.write_text("".join(f"{a},{b},{'low' if a < 0 else 'high'}\n" for a, b in rows))
    options = ("--learning-rate", "0.03", "--kernel", "numpy", "--seed", "4")
    assert fastnn("train", *options, "--data", data, "--out", run).status == 0
    return data, run
