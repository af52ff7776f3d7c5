"""The arrows of the design: benchmarks → fastnn → kernels → numba, numpy."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "kernels": {"fastnn", "benchmarks", "tests"},
    "fastnn": {"numba", "llvmlite", "benchmarks", "tests"},
}


def imported(source: str) -> set[str]:
    """Return the top-level packages that some source imports, wherever it does."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_arrow_points_the_other_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = {str(f.relative_to(ROOT)): imported(f.read_text()) & FORBIDDEN[package] for f in files}
    assert {name: bad for name, bad in found.items() if bad} == {}


def test_an_import_inside_a_function_is_seen():
    assert imported("def f():\n    from numba.core import types") == {"numba"}
    assert imported("from . import numba") == set()
