"""What the tests of the structure read: the project's modules, parsed, and what they import."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Folders at the top, and the name that their modules are imported by.
PACKAGES = {
    "kernels": "fastnn.kernels",
    "fastnn": "fastnn",
    "benchmarks": "benchmarks",
    "tests": "tests",
}

Modules = dict[str, Path]
Graph = dict[str, set[str]]


def modules(root: Path, *folders: str) -> Modules:
    """Map each module's name to its file; a package stands for its ``__init__``."""
    found = {}
    for folder in folders or PACKAGES:
        for path in sorted((root / folder).rglob("*.py")):
            if path.is_relative_to(root / "fastnn" / "kernels"):
                continue  # a link, which newer versions of Python may follow
            inside = path.relative_to(root / folder).with_suffix("").parts
            parts = (PACKAGES[folder], *inside)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), path)


def imported(path: Path, name: str) -> Iterator[str]:
    """Yield the full names that a module's source imports, wherever in it that stands.

    ``from a import b`` gives ``a.b``, whether b is a module or not.
    """
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def import_graph(known: Modules) -> Graph:
    """Map each module to those of its own project that it imports."""
    graph = {}
    for name, path in known.items():
        nearest = (_nearest(full_name, known) for full_name in imported(path, name))
        graph[name] = {module for module in nearest if module}
    return graph


def _nearest(full_name: str, known: Modules) -> str:
    """Return the module that `full_name` is or is in, and "" for another project's."""
    while full_name and full_name not in known:
        full_name = full_name.rpartition(".")[0]
    return full_name
