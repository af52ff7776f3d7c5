"""What a run ran on: versions and machine, so that its figures can be judged later."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import threadpoolctl

import fastnn
import kernels


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package, and of what the figures depend on."""
    return {
        "fastnn": fastnn.__version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
    }


def machine() -> dict[str, Any]:
    """Return the processor, its cores, the system, and the BLAS in use with its architecture.

    A BLAS may have been told to take another architecture than the processor's (OpenBLAS by
    ``OPENBLAS_CORETYPE``), which makes comparisons with it worthless unless it is seen.
    """
    pools = threadpoolctl.threadpool_info()
    blas = next((pool for pool in pools if pool["user_api"] == "blas"), {})  # NumPy's: the first
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": kernels.get_num_threads(),
        "blas": {key: blas.get(key) for key in ("internal_api", "version", "architecture")},
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if sys.platform == "linux" and cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
