"""What a run ran on: versions and machine, so that its figures can be judged later."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

import fastnn
from fastnn import kernels

# What may hold OpenBLAS, MKL or BLIS to less than the processor has.
_RESTRAINTS = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "BLIS_ARCH_TYPE",
)


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
    blas = _blas()
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": kernels.get_num_threads(),
        "blas": {key: blas.get(key) for key in ("internal_api", "version", "architecture")},
    }


def _blas() -> dict[str, Any]:
    """Return what is known of NumPy's BLAS; there may be another one, such as SciPy's."""
    libraries = [each for each in threadpoolctl.threadpool_info() if each["user_api"] == "blas"]
    near_numpy = str(Path(np.__file__).parent)  # a wheel brings its own, in numpy.libs
    ours = [each for each in libraries if each["filepath"].startswith(near_numpy)]
    return next(iter(ours + libraries), {})


def blas_restraints() -> dict[str, str]:
    """Return the environment variables in force that may hold BLAS below the processor."""
    return {name: os.environ[name] for name in _RESTRAINTS if os.environ.get(name)}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if sys.platform == "linux" and cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
