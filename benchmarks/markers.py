"""The generated blocks of README.md: where they are, what makes them, what is in them.

<!-- begin NAME: COMMAND; COMMAND -->
...
<!-- end NAME -->
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

BEGIN = re.compile(r"<!-- begin ([a-z-]+): (\S.*) -->")
END = re.compile(r"<!-- end ([a-z-]+) -->")
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
    opened: tuple[str, str, int] | None = None
    for number, line in enumerate(text.splitlines()):
        where = f"line {number + 1}: {line.strip()!r}"
        if begin := BEGIN.fullmatch(line):
            if opened:
                raise MarkerError(f"{where} is inside of the block {opened[0]!r}")
            if begin[1] in blocks:
                raise MarkerError(f"{where}: there is a block of this name already")
            opened = begin[1], begin[2], number + 1
        elif end := END.fullmatch(line):
            if not opened or end[1] != opened[0]:
                raise MarkerError(f"{where} ends a block that is not open")
            name, commands, start = opened
            blocks[name] = Block(name, _split(commands, where), start, number)
            opened = None
        elif LIKE_A_MARKER.search(line):
            raise MarkerError(
                f"{where} is neither '<!-- begin NAME: COMMAND -->' nor '<!-- end NAME -->'"
            )
    if opened:
        raise MarkerError(f"the block {opened[0]!r} has no end")
    return blocks


def _split(commands: str, where: str) -> tuple[str, ...]:
    """Part the commands at semicolons, but for those in quotes."""
    parts = tuple(part.strip() for part in re.findall(r"""(?:"[^"]*"|'[^']*'|[^;"'])+""", commands))
    if not all(parts):
        raise MarkerError(f"{where} has an empty command")
    return parts


def body(text: str, block: Block) -> str:
    """Return what a block holds now."""
    return "\n".join(text.splitlines()[block.start : block.stop])


def fill(text: str, contents: Mapping[str, str]) -> str:
    """Return the text with the named blocks' contents replaced, all else as it was."""
    lines = text.splitlines()
    blocks = find_blocks(text)
    if unknown := contents.keys() - blocks.keys():
        raise MarkerError(f"no block is called {', '.join(sorted(unknown))}")
    for name, block in reversed(blocks.items()):
        if name in contents:
            lines[block.start : block.stop] = ["", *contents[name].strip().splitlines(), ""]
    return "\n".join(lines) + "\n"
