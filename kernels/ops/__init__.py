"""The operations (ops) of a plan besides the matrix product, each one compiled function.

The ops are the same under every kernel, so that a comparison between kernels compares the matrix
product and nothing else. An op writes its last array and reads the others, unless it says more.
Arrays are C-contiguous and of one dtype, as a plan allocates them, and nothing is checked here. No
op uses threads by itself; a plan's execution cuts the large ones by rows.

A layer, a loss or an optimizer names its ops, and `get` finds them: a new op is a function in one
of these modules. So the modules that name ops need not import Numba; these do.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from fastnn.kernels.ops import activations, batches, dropout, losses, rows, updates
from fastnn.kernels.ops.elementwise import after_bias, elementwise, gradient, gradient_of_input

__all__ = ["after_bias", "elementwise", "function", "get", "gradient", "gradient_of_input", "names"]

_MODULES = (batches, rows, dropout, losses, updates)


def names() -> tuple[str, ...]:
    """Return the names of all ops that `get` finds."""
    return tuple(name for module in _MODULES for name in _public_functions(module))


def get(name: str) -> Callable[..., None]:
    """Return the op of this name.

    Raises
    ------
    ValueError
        There is none.

    """
    for module in _MODULES:
        found = _public_functions(module).get(name)
        if found is not None:
            return found
    raise ValueError(f"no op is called {name!r}; there are {', '.join(names())}")


def function(name: str) -> Callable[..., float]:
    """Return the function of one number of this name, for the makers of element-wise ops."""
    found = _public_functions(activations).get(name)
    if found is None:
        known = ", ".join(_public_functions(activations))
        raise ValueError(f"no function is called {name!r}; there are {known}")
    return found


def _public_functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the functions that a module defines itself."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and not isinstance(value, type)
        and getattr(value, "__module__", "") == module.__name__
    }
