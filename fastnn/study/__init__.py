"""The study of speed: what the matrix product makes of a network, measured and reported."""

from collections.abc import Callable
from typing import TypeAlias

REFERENCE = "numpy"  # the kernel that all others are compared with
SPECIFICATION = "naive"  # the bottom rung, which gains are counted from
Progress: TypeAlias = Callable[[str], object]  # called with the name of what begins


def denormals_mode(flush_denormals: bool) -> str:
    """Return what a table says about the arithmetic that was timed."""
    return "denormals flushed to zero" if flush_denormals else "denormals kept"
