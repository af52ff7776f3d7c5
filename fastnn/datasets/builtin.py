"""Data that needs no file of the user's: the digits in the package, a sine and spirals.

The split of the digits is fixed, and simple enough to restate without NumPy::

    seen, train, test = Counter(), [], []
    for *pixels, label in rows:  # in file order
        (train if seen[label] % 5 else test).append((pixels, label))
        seen[label] += 1

It mixes the writers: those who wrote test digits wrote training digits too, so accuracy is
higher here than on the digits of a new writer.
"""

import gzip
from importlib import resources

import numpy as np
import numpy.typing as npt

from fastnn.datasets.dataset import Dataset, every_fifth, random_fifth

DIGITS_SOURCE = (
    "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning "
    "Repository, doi:10.24432/C50P49, CC BY 4.0; the test writers' part, as scikit-learn ships it"
)
GREY_LEVELS = 16  # each of the 8×8 values counts the ink in a 4×4 block of a bitmap: 0 to 16
SINE_POINTS = 4000
SPIRAL_ARMS = 3
POINTS_PER_ARM = 1000
SPIRAL_NOISE = 0.05  # standard deviation of each coordinate; neighbouring turns are 0.6 apart


def digits(dtype: npt.DTypeLike) -> Dataset:
    """Return the 1,797 digits of 8×8 pixels, ``x`` from 0 (paper) to 1 (ink) in `dtype`."""
    packed = resources.files("fastnn.datasets").joinpath("digits.csv.gz").read_bytes()
    lines = gzip.decompress(packed).decode("ascii").splitlines()
    rows = np.loadtxt(lines, dtype=np.int64, delimiter=",")
    x, y = rows[:, :-1].astype(dtype) / GREY_LEVELS, rows[:, -1]
    classes = tuple("0123456789")
    return Dataset.split("digits", x, y, every_fifth(y), classes=classes, source=DIGITS_SOURCE)


def sine(dtype: npt.DTypeLike) -> Dataset:
    """Return ``y = sin(t)`` at 4,000 equidistant points t in [-π, π], without noise.

    The input is ``x = √3·t/π``, which has mean 0 and variance 1. Every fifth point is for the
    test, which therefore asks for interpolation.
    """
    t = np.linspace(-np.pi, np.pi, SINE_POINTS)[:, None]
    x, y = (np.sqrt(3) / np.pi * t).astype(dtype), np.sin(t).astype(dtype)
    source = "generated: y = sin(πx/√3), from -π to π"
    return Dataset.split("sine", x, y, every_fifth(y), classes=None, source=source)


def spirals(dtype: npt.DTypeLike, rng: np.random.Generator) -> Dataset:
    """Return points along three interleaved spirals of one turn, each of which is a class."""
    along = np.linspace(0, 1, POINTS_PER_ARM)
    arm = np.repeat(np.arange(SPIRAL_ARMS), POINTS_PER_ARM)
    angle = 2 * np.pi * (np.tile(along, SPIRAL_ARMS) + arm / SPIRAL_ARMS)
    radius = np.tile(0.2 + 1.8 * along, SPIRAL_ARMS)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    x = (x + rng.normal(scale=SPIRAL_NOISE, size=x.shape)).astype(dtype)
    classes = tuple(f"arm {i}" for i in range(SPIRAL_ARMS))
    y = arm.astype(np.int64)
    source = f"generated: {SPIRAL_ARMS} spirals of one turn, with normal noise"
    return Dataset.split("spirals", x, y, random_fifth(y, rng), classes=classes, source=source)
