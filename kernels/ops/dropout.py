"""Dropout, and the random bits that it draws: a function of a counter, with nothing to store."""

import numpy as np

from fastnn.kernels.arrays import RandomState
from fastnn.kernels.interface import Array
from fastnn.kernels.runtime.compiling import compiled, inlined

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(40))


@inlined
def _random_bits(key: np.uint64, counter: np.uint64) -> np.uint64:
    """64 random bits from a key and a counter (the finalizer of SplitMix64).

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    z = key + (counter + np.uint64(1)) * _GOLDEN
    z = (z ^ (z >> _SHIFTS[0])) * _MIX_1
    z = (z ^ (z >> _SHIFTS[1])) * _MIX_2
    return z ^ (z >> _SHIFTS[2])


@compiled
def dropout(
    x: Array, drop: float, scale: float, random_state: RandomState, stream: int, y: Array
) -> None:
    """Keep each element with probability ``1 - drop`` and scale it up by ``1 / (1 - drop)``.

    Which elements are kept is a function of ``random_state = [seed, step]``, of the layer's
    ``stream`` and of the element's place. Nothing is stored: the backward pass is this very
    op over ``dy``, and the mask does not depend on the number of threads.
    """
    key = _random_bits(_random_bits(random_state[0], random_state[1]), np.uint64(stream))
    x, y = x.reshape(-1), y.reshape(-1)
    zero = x.dtype.type(0)
    unit = x.dtype.type(2.0**-24)  # 24 bits are exact in float32 too
    for i in range(x.size):
        uniform = x.dtype.type(_random_bits(key, np.uint64(i)) >> _SHIFTS[3]) * unit
        y[i] = zero if uniform < drop else x[i] * scale


@compiled
def next_random_state(random_state: RandomState) -> None:
    """Move on to the next step's random numbers: ``random_state[1] += 1``."""
    random_state[1] += np.uint64(1)
