"""Initial weights: functions of a random generator and a shape.

Values are drawn in float64 and rounded to the network's dtype afterwards, so that a seed gives
the same weights in float32 and in float64.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fastnn.kernels.arrays import check_numbers


class Initializer(Protocol):
    """A function that makes the ``(n_in, n_out)`` weights of a layer."""

    def __call__(
        self, rng: np.random.Generator, shape: tuple[int, ...]
    ) -> npt.NDArray[np.float64]: ...


@dataclass(frozen=True)
class Constant:
    """Give every weight one value. Units that start with equal weights stay equal."""

    value: float

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        return np.full(shape, self.value, np.float64)


class Zeros(Constant):
    """Start at 0, which suits a bias."""

    def __init__(self) -> None:
        super().__init__(0.0)


@dataclass(frozen=True, eq=False)
class Given:
    """Start with the given values, of the shape of the weights."""

    values: npt.ArrayLike

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        values = check_numbers("weights", self.values).astype(np.float64)
        if values.shape != shape:
            raise ValueError(f"the given values have shape {values.shape}; {shape} is needed")
        return values


@dataclass(frozen=True)
class RandomUniform:
    """Draw uniformly from ``[low, high)``."""

    low: float = -0.05
    high: float = 0.05

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        return rng.uniform(self.low, self.high, shape)


@dataclass(frozen=True)
class RandomNormal:
    """Draw from a normal distribution with mean 0 and standard deviation `std`."""

    std: float = 0.05

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        return rng.normal(0.0, self.std, shape)


@dataclass(frozen=True)
class GlorotUniform:
    """Draw uniformly with variance ``2 / (n_in + n_out)``: the default of Keras and scikit-learn.

    This keeps the variance of activations and of gradients about the same from layer to layer
    (Glorot and Bengio, 2010).
    """

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        limit = np.sqrt(6.0 / sum(shape))
        return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True)
class GlorotNormal:
    """Draw normally with variance ``2 / (n_in + n_out)``; see `GlorotUniform`."""

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        return rng.normal(0.0, np.sqrt(2.0 / sum(shape)), shape)


@dataclass(frozen=True)
class HeNormal:
    """Draw normally with variance ``2 / n_in``: Glorot's idea for ReLU.

    The 2 makes up for the half of its inputs that a ReLU sets to 0 (He et al., 2015).
    """

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        return rng.normal(0.0, np.sqrt(2.0 / shape[0]), shape)


@dataclass(frozen=True)
class HeUniform:
    """Draw uniformly with variance ``2 / n_in``; see `HeNormal`."""

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        limit = np.sqrt(6.0 / shape[0])
        return rng.uniform(-limit, limit, shape)


# The names are those of the command line and of configuration files.
INITIALIZERS: dict[str, Callable[[], Initializer]] = {
    "glorot-uniform": GlorotUniform,
    "glorot-normal": GlorotNormal,
    "he-normal": HeNormal,
    "he-uniform": HeUniform,
    "normal": RandomNormal,
    "uniform": RandomUniform,
    "zeros": Zeros,
}
