"""What only an extra of the package brings."""

from importlib import import_module
from typing import Any


def require(module: str, extra: str) -> Any:  # noqa: ANN401 - a module
    """Return a module that an extra of this package brings.

    Raises
    ------
    ValueError
        It is not installed; the text says what to install.

    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{error.name} is not installed, which the extra {extra!r} brings: "
            f"pip install 'fastnn-study[{extra}]', or -e '.[{extra}]' in a clone"
        ) from error
