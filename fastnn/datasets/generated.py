"""Data made by formulas: something to approximate, and something no straight line can part."""

import numpy as np
import numpy.typing as npt

from fastnn.datasets.dataset import Dataset
from fastnn.datasets.splits import every_fifth, random_fifth

SINE_POINTS = 4000
SPIRAL_ARMS = 3
SPIRAL_POINTS = 1000  # an arm
SPIRAL_NOISE = 0.05  # standard deviation of each coordinate; neighbouring turns are 0.6 apart


def sine(dtype: npt.DTypeLike) -> Dataset:
    """Return ``y = sin(t)`` at 4,000 equidistant points t in [-π, π], without noise.

    The input is ``x = √3·t/π``, which has mean 0 and variance 1. Each fifth point is for the
    test, so that the test asks for interpolation.
    """
    t = np.linspace(-np.pi, np.pi, SINE_POINTS)[:, None]
    x, y = (np.sqrt(3) / np.pi * t).astype(dtype), np.sin(t).astype(dtype)
    source = "generated: y = sin(πx/√3), from -π to π"
    return Dataset.split("sine", x, y, every_fifth(y), classes=None, source=source)


def spirals(dtype: npt.DTypeLike, rng: np.random.Generator) -> Dataset:
    """Return points along three interleaved spirals of one turn, which are the classes."""
    along = np.linspace(0, 1, SPIRAL_POINTS)
    arm = np.repeat(np.arange(SPIRAL_ARMS), SPIRAL_POINTS)
    angle = 2 * np.pi * (np.tile(along, SPIRAL_ARMS) + arm / SPIRAL_ARMS)
    radius = np.tile(0.2 + 1.8 * along, SPIRAL_ARMS)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    x = (x + rng.normal(scale=SPIRAL_NOISE, size=x.shape)).astype(dtype)
    classes = tuple(f"arm {i}" for i in range(SPIRAL_ARMS))
    y = arm.astype(np.int64)
    source = f"generated: {SPIRAL_ARMS} spirals of one turn, with normal noise"
    return Dataset.split("spirals", x, y, random_fifth(y, rng), classes=classes, source=source)
