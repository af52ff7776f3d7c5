"""The processes of the libraries, each of which is stopped while others have their turn."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from fastnn.environment import blas_restraints

ROOT = Path(__file__).parents[2]
TIMEOUT = 300  # seconds of one answer, compilation included
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class WorkerError(RuntimeError):
    """A library could not do a task; the text says why."""


def environment(threads):
    """Return the environment of a process that uses some threads, and BLAS at its best."""
    kept = {name: value for name, value in os.environ.items() if name not in blas_restraints()}
    return kept | dict.fromkeys(THREADS, str(threads)) | {"JAX_PLATFORMS": "cpu", "DEV": "CPU"}


class Process:
    """A Python process that answers lines of JSON, and is stopped (SIGSTOP) between its answers.

    So its idle threads cannot spin while others work, and need no setting that would slow them.

    Parameters
    ----------
    module : str
        Which one it runs.
    arguments : sequence of str
    threads : int
        For all libraries that it may use.

    """

    def __init__(self, module, arguments, threads):
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=environment(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.communicate()
        self.log.close()

    def ask(self, **message):
        """Let the process work until it has answered; return the answer."""
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
        except BrokenPipeError:
            ready = [self.process.stdout]
        if not ready:
            self.process.kill()
            raise WorkerError(f"no answer in {TIMEOUT} seconds")
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(f"the process ended: {self._last_words()}")
        self.process.send_signal(signal.SIGSTOP)
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def _last_words(self):
        self.log.seek(0)
        lines = self.log.read().strip().splitlines()
        return lines[-1] if lines else f"exit status {self.process.wait()}"


class Worker(Process):
    """The process of a library."""

    def __init__(self, library, threads, directory):
        self.library = library
        arguments = (library.module, json.dumps(library.options), str(directory), str(threads))
        super().__init__("benchmarks.peers.worker", arguments, threads)

    def begin(self, task):
        """Begin a task; return the first answer."""
        return self.ask(task=asdict(task))
