"""Checks of single arguments, whose errors name the argument and what is allowed."""

import numpy as np


def check_whole(name: str, value: object, *, at_least: int) -> int:
    """Return `value`, if it is a whole number of at least so much; True and False are not.

    Raises
    ------
    ValueError
        It is not.

    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number of at least {at_least}, not {value!r}")
    if value < at_least:
        raise ValueError(f"{name} must be at least {at_least}, not {value}")
    return int(value)
