"""The study of speed: what the matrix product makes of a network, measured and reported."""

from collections.abc import Callable
from typing import TypeAlias

REFERENCE = "numpy"  # the kernel that all others are compared with
SPECIFICATION = "naive"  # the bottom rung, which gains are counted from
Progress: TypeAlias = Callable[[str], object]  # called with the name of what begins
