import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def run_python():
    """Run a script in a new process, with additions to the environment; return what it prints."""

    def run(script, **environment):
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    return run


@pytest.fixture(scope="session")
def run_side_by_side(run_python):
    """Run scripts, each with its environment, at the same time, since they compile for seconds."""

    def run(*calls):
        with ThreadPoolExecutor() as pool:
            running = [pool.submit(run_python, script, **more) for script, more in calls]
            return [each.result() for each in running]

    return run
