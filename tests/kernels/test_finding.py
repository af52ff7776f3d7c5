import sys

import pytest

from fastnn import kernels
from fastnn.kernels.finding import find

FILE = """
import numpy as np
from neighbour import compute
from fastnn.kernels import Kernel

MINE = Kernel("mine", "", compute)
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "neighbour.py").write_text("import numpy as np\ncompute = np.matmul\n")
    yield tmp_path
    for name in ("neighbour", "mine", "_kernel_in_mine"):
        sys.modules.pop(name, None)


def test_a_name():
    assert find("naive") is kernels.get("naive")
    with pytest.raises(ValueError, match="no kernel is called 'fast'"):
        find("fast")


def test_a_file_and_its_neighbours(directory):
    before = list(sys.path)
    kernel = find(f"{directory}/mine.py:MINE")
    assert kernel.name == "mine"
    assert sys.path == before


def test_a_file_is_read_again(directory):
    find(f"{directory}/mine.py:MINE")
    (directory / "mine.py").write_text(FILE.replace('"mine"', '"another"'))
    assert find(f"{directory}/mine.py:MINE").name == "another"


def test_a_module_in_the_working_directory(directory, monkeypatch):
    monkeypatch.chdir(directory)
    assert find("mine:MINE").name == "mine"


def test_a_module_that_is_installed(monkeypatch):
    monkeypatch.setattr(naive, "MINE", kernels.get("naive"), raising=False)
    assert find("fastnn.kernels.naive:MINE") is kernels.get("naive")


def test_an_entry_point_that_names_something_else(monkeypatch):
    def get(name):
        raise TypeError("package is a function")

    monkeypatch.setattr(kernels, "get", get)
    with pytest.raises(ValueError, match="is a function"):
        find("mine")


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("mine.py:YOURS", "no 'YOURS'; kernels there: MINE"),
        ("mine.py:compute", r"is a ufunc; a kernels\.Kernel is needed"),
        ("neighbour:MINE", "no 'MINE'; kernels there: none"),
        ("nowhere:MINE", "nowhere cannot be imported: ModuleNotFoundError"),
        ("broken.py:MINE", r"ZeroDivisionError: .*broken\.py, line 2"),
        (":MINE", "cannot be imported"),
    ],
)
def test_nothing_to_be_found(directory, monkeypatch, where, complaint):
    monkeypatch.chdir(directory)
    (directory / "broken.py").write_text("x = 0\n1 / x\n")
    with pytest.raises(ValueError, match=complaint):
        find(where)


def test_no_file():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.py"):
        find("nowhere.py:MINE")
