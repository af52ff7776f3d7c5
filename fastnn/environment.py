"""The machine and the versions that figures depend on, so that they can be judged later."""

import os
import platform
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

from fastnn import __version__, kernels
from fastnn.kernels.runtime.hardware import caches, vector_unit

# Variables that may make OpenBLAS, MKL or BLIS run code for a lesser processor.
BLAS_RESTRAINTS = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "BLIS_ARCH_TYPE",
)


def report() -> dict[str, Any]:
    """Return what every report of figures has: the machine, versions, and restraints of BLAS."""
    return {"machine": machine(), "versions": versions(), "blas_restraints": blas_restraints()}


def versions() -> dict[str, str]:
    """Return the versions of this package, of Python, NumPy and Numba."""
    return {
        "fastnn": __version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
    }


def machine() -> dict[str, Any]:
    """Return the processor, its vector unit, cores and caches, the system, threads and the BLAS.

    The BLAS comes with the architecture that it runs code for, which may be another one than the
    processor's: see `BLAS_RESTRAINTS`.
    """
    blas = _blas()
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "processor": _processor(),
        "vector_unit": vector_unit().name,
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "caches": asdict(caches()),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": kernels.get_num_threads(),
        "blas": {key: blas.get(key) for key in ("internal_api", "version", "architecture")},
    }


def blas_restraints() -> dict[str, str]:
    """Return those of `BLAS_RESTRAINTS` that are set, with their values."""
    return {name: os.environ[name] for name in BLAS_RESTRAINTS if os.environ.get(name)}


def _blas() -> dict[str, Any]:
    """Describe NumPy's BLAS; there may be another one, such as SciPy's."""
    libraries = [each for each in threadpoolctl.threadpool_info() if each["user_api"] == "blas"]
    near_numpy = str(Path(np.__file__).parent)  # a wheel brings its own, in numpy.libs
    ours = [each for each in libraries if each["filepath"].startswith(near_numpy)]
    return next(iter(ours + libraries), {})


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if sys.platform == "linux" and cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
