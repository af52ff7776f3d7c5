"""A file fits in 400 lines, and a function on a screen: 60, without signature and docstring."""

import ast

import pytest

from tests.structure.source import ROOT, modules, tree

FILE, FUNCTION = 400, 60
FOLDERS = ("kernels", "fastnn", "benchmarks")


def length(function):
    """Return the number of lines from a function's first statement to its end."""
    first = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0]
    return function.end_lineno + 1 - first.lineno


def long_files(root):
    lengths = {
        str(path.relative_to(root)): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules(root).values()
    }
    return {name: lines for name, lines in lengths.items() if lines > FILE}


def long_functions(root):
    return {
        f"{path.relative_to(root)}:{node.name}": length(node)
        for path in modules(root, *FOLDERS).values()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and length(node) > FUNCTION
    }


def test_no_file_is_longer():
    assert long_files(ROOT) == {}


def test_no_function_is_longer():
    assert long_functions(ROOT) == {}


@pytest.mark.parametrize("folder", [*FOLDERS, "tests"])
def test_a_long_file_is_found(tmp_path, folder):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "most.py").write_text("\n" * FILE)
    (tmp_path / folder / "more.py").write_text("\n" * (FILE + 1))
    assert long_files(tmp_path) == {f"{folder}/more.py": FILE + 1}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_long_function_is_found(tmp_path, folder):
    signature = "    def {name}(\n        self,\n    ):\n"
    docstring = '        """Say it.\n\n        At length.\n        """\n'
    statements = "        pass\n" * FUNCTION
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "a.py").write_text(
        "class A:\n"
        + (signature.format(name="most") + docstring + statements)
        + (signature.format(name="more") + docstring + statements + "        pass\n")
        + (signature.format(name="bare") + statements + "        pass\n")
        + (signature.format(name="said") + docstring)
    )
    more = FUNCTION + 1
    assert long_functions(tmp_path) == {f"{folder}/a.py:more": more, f"{folder}/a.py:bare": more}
