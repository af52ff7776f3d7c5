"""``python -m benchmarks.machine``: one line on the machine that figures come from."""

import datetime
import os
import platform
from pathlib import Path

import numba
import numpy as np
from threadpoolctl import threadpool_info


def cpu_model():
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def blas():
    """Return NumPy's BLAS, and the processor whose code it has chosen."""
    for library in threadpool_info():
        if library["user_api"] == "blas":
            architecture = library.get("architecture", "unknown")
            return f"{library['internal_api']} {library['version']} for {architecture}"
    return "an unknown BLAS"


def describe():
    """Return the line."""
    cores = os.cpu_count()
    return (
        f"{cpu_model()}, {cores} core{'s' if cores != 1 else ''}; "
        f"Python {platform.python_version()}, NumPy {np.__version__} with {blas()}, "
        f"Numba {numba.__version__}; {datetime.datetime.now(datetime.UTC).date()}"
    )


if __name__ == "__main__":
    print(describe())
