"""``fastnn report``: the study as one page, measured anew on the machine at hand.

`measurements` measures and trains, and returns all that the page shows. `figures` draws it in the
style of `drawing`, `readings` puts each figure into a sentence, and `page` sets it with the text
of ``page.html``. `history` reads what asv has kept.

Needs the extra ``report``: Matplotlib, and Jinja for the template.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeAlias

Report: TypeAlias = Mapping[str, Any]  # what was measured, or a part of it


def require(module: str, extra: str) -> Any:  # noqa: ANN401 - a module
    """Import a module that needs an extra of this package.

    Raises
    ------
    ValueError
        The extra is not installed.

    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{error.name} is not installed, which the extra {extra!r} brings: "
            f"pip install 'fastnn-study[{extra}]', or -e '.[{extra}]' in a clone"
        ) from error
