"""``fastnn report``: the study as one page, measured anew on the machine at hand.

`measurements` measures and trains, and what it returns is all that the page knows: `figures`
draws it, `conclusions` says it in words, `page` sets it. `past` reads what asv has kept.

Needs the extra ``report``: Matplotlib, and Jinja for the template.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

Report: TypeAlias = Mapping[str, Any]  # what was measured, or a part of it
