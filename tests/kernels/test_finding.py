"""`finding`: what ``MODULE:NAME`` and ``FILE.py:NAME`` lead to, and what errors say."""

import sys
from pathlib import Path

import pytest

from fastnn import kernels
from fastnn.kernels import Kernel
from fastnn.kernels.finding import absolute, find, find_class, is_code

FILE = """
import numpy as np
from neighbour import compute
from fastnn.kernels import Kernel

MINE = Kernel("mine", "", compute)


class Tuned(Kernel):
    pass
"""


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "neighbour.py").write_text("import numpy as np\ncompute = np.matmul\n")
    yield tmp_path
    for name in ("neighbour", "mine", "_fastnn_file_mine", "_fastnn_file_broken"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("where", "expected"),
    [("numba", False), ("numba-naive", False), ("a.b:C", True), ("a.py:C", True)],
)
def test_is_code(where, expected):
    assert is_code(where) == expected


def test_absolute_completes_paths_alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert absolute("mine.py:MINE") == str(Path(tmp_path, "mine.py:MINE"))
    assert absolute("mine:MINE") == "mine:MINE"
    assert absolute("numba") == "numba"


def test_find_imports_a_file_and_its_neighbours(directory):
    before = list(sys.path)
    kernel = find(f"{directory}/mine.py:MINE", Kernel)
    assert kernel.name == "mine"
    assert sys.path == before
    assert kernel is sys.modules["_fastnn_file_mine"].MINE  # where pickle looks for its class


def test_find_reads_a_file_again(directory):
    find(f"{directory}/mine.py:MINE", Kernel)
    (directory / "mine.py").write_text(FILE.replace('"mine"', '"another"'))
    assert find(f"{directory}/mine.py:MINE", Kernel).name == "another"


def test_find_leads_to_one_class_until_the_file_changes(directory):
    first = find_class(f"{directory}/mine.py:Tuned", Kernel)
    assert find_class(f"{directory}/../{directory.name}/mine.py:Tuned", Kernel) is first
    (directory / "mine.py").write_text(FILE + "\n")
    assert find_class(f"{directory}/mine.py:Tuned", Kernel) is not first


def test_find_says_where_a_syntax_error_is(directory):
    (directory / "broken.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(ValueError, match=r"SyntaxError: invalid syntax \(broken\.py, line 2\)$"):
        find(f"{directory}/broken.py:MINE", Kernel)


def test_find_says_that_a_file_ends_the_process(directory):
    (directory / "broken.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(ValueError, match=r"cannot be imported: SystemExit: 3 \(.*, line 2\)"):
        find(f"{directory}/broken.py:MINE", Kernel)


def test_find_imports_a_module_in_the_working_directory(directory, monkeypatch):
    monkeypatch.chdir(directory)
    assert find("mine:MINE", Kernel).name == "mine"


def test_find_imports_an_installed_module():
    assert find("fastnn.kernels.naive:NAIVE", Kernel) is kernels.get("naive")


def test_find_class(directory):
    found = find_class(f"{directory}/mine.py:Tuned", Kernel)
    assert issubclass(found, Kernel)
    assert found.__name__ == "Tuned"


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("mine.py:YOURS", "mine.py has no 'YOURS'; a Kernel is needed, there: MINE$"),
        ("mine.py:compute", "mine.py:compute is a ufunc; a Kernel is needed, like this, there: MI"),
        ("mine.py:Tuned", "mine.py:Tuned is a Tuned; a Kernel is needed"),
        ("neighbour:MINE", "neighbour has no 'MINE'; a Kernel is needed, there: none$"),
        ("nowhere:MINE", "nowhere cannot be imported: ModuleNotFoundError"),
        ("broken.py:MINE", r"ZeroDivisionError: .*broken\.py, line 2"),
        (":MINE", "cannot be imported"),
    ],
)
def test_find_says_what_is_wrong(directory, monkeypatch, where, complaint):
    monkeypatch.chdir(directory)
    (directory / "broken.py").write_text("x = 0\n1 / x\n")
    with pytest.raises(ValueError, match=complaint):
        find(where, Kernel, "like this")


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("mine.py:Yours", "has no 'Yours'; a class derived from Kernel is needed, there: Tuned$"),
        ("mine.py:MINE", "is a Kernel; a class derived from Kernel is needed, there: Tuned$"),
        ("mine.py:Kernel", "is a Kernel; a class derived from Kernel is needed, there: Tuned$"),
    ],
)
def test_find_class_says_what_is_wrong(directory, monkeypatch, where, complaint):
    monkeypatch.chdir(directory)
    with pytest.raises(ValueError, match=complaint):
        find_class(where, Kernel)


def test_find_a_file_that_does_not_exist():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.py"):
        find("nowhere.py:MINE", Kernel)
