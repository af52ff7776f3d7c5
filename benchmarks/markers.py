"""The generated blocks of a document: where they are, and which commands make them.

<!-- begin NAME: COMMAND; COMMAND -->
...
<!-- end NAME -->
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

MARKER = re.compile(r"<!-- (?:begin ([a-z-]+): (\S.*)|end ([a-z-]+)) -->")
LIKE_A_MARKER = re.compile(r"<!--\s*(begin|end)\b", re.IGNORECASE)


class MarkerError(ValueError):
    """A marker is malformed, unmatched, nested, or its name is taken."""


@dataclass(frozen=True)
class Block:
    """What lies between two markers: lines ``start`` to ``stop`` of the text, without them."""

    name: str
    commands: tuple[str, ...]
    start: int
    stop: int


def find_blocks(text: str) -> dict[str, Block]:
    """Return the blocks of a text by name, in order."""
    blocks: dict[str, Block] = {}
    opened: Block | None = None
    for number, line in enumerate(text.splitlines()):
        if not LIKE_A_MARKER.search(line):
            continue
        where = f"line {number + 1}: {line.strip()!r}"
        marker = MARKER.fullmatch(line)
        if not marker:
            raise MarkerError(
                f"{where} is neither '<!-- begin NAME: COMMAND -->' nor '<!-- end NAME -->'"
            )
        begins, commands, ends = marker.groups()
        if ends:
            if not opened or ends != opened.name:
                raise MarkerError(f"{where} ends a block that is not open")
            blocks[ends], opened = replace(opened, stop=number), None
        elif opened:
            raise MarkerError(f"{where} is inside of the block {opened.name!r}")
        elif begins in blocks:
            raise MarkerError(f"{where}: there is a block of this name already")
        else:
            opened = Block(begins, _split(commands, where), start=number + 1, stop=number + 1)
    if opened:
        raise MarkerError(f"the block {opened.name!r} has no end")
    return blocks


def _split(commands: str, where: str) -> tuple[str, ...]:
    """Split the commands at semicolons outside quotes."""
    parts = tuple(part.strip() for part in re.findall(r"""(?:"[^"]*"|'[^']*'|[^;"'])+""", commands))
    if not all(parts):
        raise MarkerError(f"{where} has an empty command")
    return parts


def fill(text: str, contents: Mapping[str, str]) -> str:
    """Return the text with the contents of the named blocks replaced, all else as it was."""
    lines = text.splitlines()
    blocks = find_blocks(text)
    if unknown := contents.keys() - blocks.keys():
        raise MarkerError(f"no block is called {', '.join(sorted(unknown))}")
    for name, block in reversed(blocks.items()):
        if name in contents:
            lines[block.start : block.stop] = ["", *contents[name].strip().splitlines(), ""]
    return "\n".join(lines) + "\n"
