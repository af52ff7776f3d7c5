"""Imports go one way: cli → study → experiments → core → kernels, with benchmarks above all."""

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.structure.source import ROOT, import_graph, imported, modules, tree

# From the ground up. A module stands on the floor of its own name or of the package it is in.
# `fastnn` itself is the list of public names, imported when they are used.
FLOORS = [
    ["fastnn.kernels"],
    ["fastnn.checks"],
    ["fastnn.plan", "fastnn.parameters", "fastnn.initializers", "fastnn.schedules"],
    ["fastnn.scaled", "fastnn.history"],
    ["fastnn.engine"],
    ["fastnn.layers", "fastnn.losses", "fastnn.optimizers", "fastnn.data"],
    ["fastnn.inference", "fastnn.objective"],
    ["fastnn.network"],
    ["fastnn.training", "fastnn.checkpoint", "fastnn.callbacks"],
    ["fastnn"],
    ["fastnn.datasets", "fastnn.environment", "fastnn.formats", "fastnn.scratch"],
    ["fastnn.experiments"],
    ["fastnn.study"],
    ["fastnn.cli", "fastnn.__main__"],
    ["benchmarks"],
    ["tests"],
]
# Beside the core, not on top of it: all that each may import.
ALONE = {
    "fastnn.datasets": {"fastnn.datasets", "fastnn.scaled"},
    "fastnn.formats": set(),
    "fastnn.scratch": set(),
}
# Packages that are not the project's; `kernels` may be a file of the user's own.
FOREIGN = {
    "fastnn": {"numba", "llvmlite", "kernels"},
    "kernels": {"kernels"},
}


def circle(graph):
    """Return modules that import one another in a circle, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def floor(module):
    names = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    known = module
    while known not in names and "." in known:
        known = known.rpartition(".")[0]
    # A module directly in fastnn/ has a floor of its own, not that of the list of names.
    if known == "fastnn" != module:
        raise LookupError(f"{module} has no place among FLOORS")
    return names[known]


def climbing(graph):
    """Return the imports from a floor further up, and those of modules that stand alone."""
    found = []
    for module, targets in graph.items():
        for target in targets:
            alone = next((ALONE[name] for name in ALONE if is_in(module, name)), None)
            allowed = alone is None or any(is_in(target, name) for name in alone)
            if floor(target) > floor(module) or not allowed:
                found.append(f"{module} → {target}")
    return sorted(found)


def is_in(module, package):
    return f"{module}.".startswith(f"{package}.")


def foreign(root):
    """Return the imports from packages that a folder must not know."""
    return sorted(
        f"{module} → {name}"
        for folder, forbidden in FOREIGN.items()
        for module, path in modules(root, folder).items()
        for name in imported(path, module)
        if name.split(".")[0] in forbidden
    )


def hidden(root):
    """Return the modules outside the command line that import for the type checker alone."""
    return [
        module
        for module, path in modules(root, "kernels", "fastnn", "benchmarks").items()
        if not is_in(module, "fastnn.cli")
        and any(
            "TYPE_CHECKING" in (getattr(node, "id", ""), getattr(node, "attr", ""))
            for node in ast.walk(tree(path))
        )
    ]


GRAPH = import_graph(modules(ROOT))


def test_no_circle():
    assert " → ".join(circle(GRAPH)) == ""


def test_no_import_from_a_floor_above():
    assert climbing(GRAPH) == []


def test_numba_is_imported_by_kernels_alone():
    assert foreign(ROOT) == []


def test_no_import_hides_behind_type_checking():
    assert hidden(ROOT) == []


def test_the_project_was_read():
    assert GRAPH["fastnn.training"] >= {"fastnn.network", "fastnn.plan"}
    assert "fastnn.kernels.interface" in GRAPH["fastnn.kernels.naive"]
    assert any(module.startswith("benchmarks.suites.") for module in GRAPH)


# Each rule finds what breaks it, in a made-up project.


@pytest.fixture
def project(tmp_path):
    """Write a project of modules given as name=source; two underscores stand for a slash."""

    def write(**files):
        for place, source in files.items():
            path = tmp_path / (place.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return tmp_path

    return write


@pytest.mark.parametrize(
    "back",
    [
        "import fastnn.layers",
        "from fastnn import layers",
        "from fastnn.layers import Dense",
        "from . import layers",
        "from .layers import Dense",
        "def late():\n    from fastnn.layers import Dense",
        "if TYPE_CHECKING:\n    from fastnn.layers import Dense",
    ],
)
def test_a_circle_is_found(project, back):
    root = project(fastnn__layers="from fastnn.plan import Plan", fastnn__plan=back)
    assert set(circle(import_graph(modules(root)))) == {"fastnn.layers", "fastnn.plan"}


def test_a_circle_through_a_package_is_found(project):
    root = project(fastnn__study__page="from fastnn.study import Study")
    (root / "fastnn/study/__init__.py").write_text("from fastnn.study.page import write")
    assert set(circle(import_graph(modules(root)))) == {"fastnn.study", "fastnn.study.page"}


@pytest.mark.parametrize(
    ("place", "source", "arrow"),
    [
        ("kernels__naive", "from fastnn import layers", "fastnn.kernels.naive → fastnn.layers"),
        ("kernels__gemm__product", "import tests.x", "fastnn.kernels.gemm.product → tests.x"),
        ("fastnn__plan", "from fastnn.layers import Dense", "fastnn.plan → fastnn.layers"),
        ("fastnn__layers", "from .study import page", "fastnn.layers → fastnn.study.page"),
        ("fastnn__study__rows", "import benchmarks.x", "fastnn.study.rows → benchmarks.x"),
        ("fastnn__datasets__own", "import fastnn.plan", "fastnn.datasets.own → fastnn.plan"),
        ("fastnn__scratch", "import fastnn.scaled", "fastnn.scratch → fastnn.scaled"),
        ("benchmarks__x", "from tests import x", "benchmarks.x → tests.x"),
    ],
)
def test_an_arrow_upwards_is_found(project, place, source, arrow):
    names = ("layers", "plan", "scaled", "study__page")
    there = {f"fastnn__{name}": "" for name in names} | {"benchmarks__x": "", "tests__x": ""}
    root = project(**(there | {place: source}))
    assert climbing(import_graph(modules(root))) == [arrow]


def test_a_module_without_a_floor_is_found(project):
    root = project(fastnn__layers="import fastnn.novelty", fastnn__novelty="")
    with pytest.raises(LookupError, match=r"fastnn\.novelty has no place"):
        climbing(import_graph(modules(root)))


def test_a_foreign_package_is_found(project):
    root = project(
        fastnn__layers="def f():\n    from numba.core import types",
        fastnn__plan="import kernels.naive",
        fastnn__training="from . import numba\nfrom fastnn.kernels import get",
        kernels__jit="import numba",
    )
    assert foreign(root) == ["fastnn.layers → numba.core.types", "fastnn.plan → kernels.naive"]


def test_an_import_behind_type_checking_is_found(project):
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy"
    qualified = "import typing as t\nif t.TYPE_CHECKING:\n    import numpy"
    root = project(fastnn__layers=source, kernels__jit=qualified, fastnn__cli__train=source)
    assert hidden(root) == ["fastnn.kernels.jit", "fastnn.layers"]
