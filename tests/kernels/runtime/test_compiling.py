"""Compiled code on disk: never older than its sources, and not needed."""

import shutil
import sys
from functools import partial
from pathlib import Path

import pytest

from fastnn.kernels.runtime import compiling

ROOT = Path(__file__).parents[3]

IMPORTS = """
import logging, sys
sys.path.insert(0, {path!r})
logging.basicConfig(format="%(name)s: %(message)s", stream=sys.stdout)
import numpy as np
from numba import types
from fastnn import kernels
from fastnn.kernels import ops
from fastnn.kernels.gemm import product
from fastnn.kernels.ops import activations
from fastnn.kernels.runtime import compiling
from fastnn.kernels.runtime.abi import entry_point
from fastnn.kernels.runtime.program import Program
assert kernels.__file__.startswith({path!r})
"""
# Each prints a result, and how often it came from the disk, where Numba says so.
PRODUCT = """
one = np.ones((1, 1), np.float32)
print(*kernels.get("numba")(one, one)[0], product.cache_hits(one.dtype))
"""
C_FUNCTION = """
identity = compiling.c_function(types.float64(types.float64), activations.identity.py_func)
print(identity.ctypes(1.0), identity.cache_hits)
"""
OP = """
softmax = ops.get("softmax")  # which inlines functions from other files
x = np.array([[0.0, 1.0]], np.float32)
softmax(x, x)
print(x[0, 1].round(2), sum(softmax.stats.cache_hits.values()))
"""
ENTRY_POINT = """
sigmoid = ops.elementwise(ops.function("sigmoid"))  # likewise
x = np.zeros((1, 1), np.float32)
Program([(entry_point(sigmoid, (x, x)), (x, x))]).run()
print(*x[0])
"""


@pytest.fixture
def copy(tmp_path, run_python):
    """Copy the package, and return the folder of its kernels and what runs a script on it."""
    package = tmp_path / "fastnn"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "fastnn", package, ignore=ignored)  # kernels, a link, becomes a folder
    assert not (package / "kernels").is_symlink()

    def run(*parts, **environment):
        script = "".join([IMPORTS.format(path=str(tmp_path)), *parts])
        return run_python(script, **environment).splitlines()

    return package / "kernels", run


def add(path, text):
    with path.open("a") as file:
        file.write(f"\n\n{text}\n")


def entry_points(cache):
    """Return the files of machine code that entry points are in, and when each was written."""
    found = {path: path.stat().st_mtime_ns for path in cache.rglob("abi.*.nbc")}
    assert found
    return found


@pytest.mark.slow
def test_compiled_code_is_read_from_disk_until_a_source_changes(copy, tmp_path):
    package, run = copy
    cache = tmp_path / "cache"
    run_all = partial(run, PRODUCT, OP, ENTRY_POINT, NUMBA_CACHE_DIR=str(cache))
    assert run_all() == ["1.0 0", "0.73 0", "0.5"]
    kept = entry_points(cache)
    assert run_all() == ["1.0 1", "0.73 1", "0.5"]
    assert entry_points(cache) == kept

    add(package / "runtime" / "vectors.py", "Vectors.multiply_add = lambda self, x, y, z: z")
    assert run_all() == ["0.0 0", "0.73 1", "0.5"]
    assert entry_points(cache) == kept

    add(package / "ops" / "functions.py", "@inlined\ndef logistic(x):\n    return x + 7")
    assert run_all() == ["0.0 1", "0.73 0", "7.0"]
    assert entry_points(cache) != kept


@pytest.mark.slow
def test_compiled_code_of_a_read_only_installation_is_kept_by_the_user(copy, tmp_path):
    package, run = copy
    for folder in ("runtime", "ops"):
        (package / folder / "__pycache__").touch()  # a file, so that not even root can write there
    environment = {"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": str(tmp_path / "user")}
    for hits in (0, 1):
        expected = [f"1.0 {hits}", f"0.73 {hits}", "0.5"]
        assert run(C_FUNCTION, OP, ENTRY_POINT, **environment) == expected
    assert entry_points(tmp_path / "user")


def test_compiled_code_works_where_nothing_can_be_written(copy, tmp_path):
    package, run = copy
    for folder in ("runtime", "ops"):
        (package / folder / "__pycache__").touch()
    environment = {"NUMBA_CACHE_DIR": str(package / "ops" / "__pycache__")}
    environment["XDG_CACHE_HOME"] = environment["NUMBA_CACHE_DIR"]
    said, *results = run(C_FUNCTION, OP, ENTRY_POINT, **environment)
    assert said.startswith("fastnn.kernels.runtime.compiling: compiled code is not kept")
    assert "NUMBA_CACHE_DIR" in said
    assert results == ["1.0 0", "0.73 0", "0.5"]


def test_compiled_code_works_where_the_disk_is_full(run_python, tmp_path):
    script = """
import logging, sys
logging.basicConfig(format="%(name)s: %(message)s", stream=sys.stdout)
import numpy as np
from numba.core.caching import IndexDataCacheFile
from fastnn.kernels import ops

def save(self, key, data):
    raise OSError(28, "No space left on device")

IndexDataCacheFile.save = save
x = np.zeros((1, 1))
ops.get("softmax")(x, x)
ops.get("copy_rows")(x, x)
"""
    said = run_python(script, NUMBA_CACHE_DIR=str(tmp_path)).splitlines()
    assert len(said) == 1
    assert "No space left on device" in said[0]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of which one module imports others, in every way there is."""
    sources = {
        "__init__": "",
        "top": "import os\nfrom zoo import ape\nfrom zoo.bee import hum\nimport zoo.cat",
        "ape": "def climb():\n    from zoo.dog import bark",
        "bee": "from zoo import top\nhum = 1",  # in a circle
        "cat": "",
        "dog": "bark = 1",
        "elk": "from zoo import top",
    }
    (tmp_path / "zoo").mkdir()
    for name, source in sources.items():
        (tmp_path / "zoo" / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)

    def fingerprint(module):
        for name in [name for name in sys.modules if name.partition(".")[0] == "zoo"]:
            del sys.modules[name]
        compiling.fingerprint.cache_clear()
        compiling._source.cache_clear()
        return compiling.fingerprint(module)

    yield tmp_path / "zoo", fingerprint
    fingerprint("zoo.cat")
    compiling.fingerprint.cache_clear()


@pytest.mark.parametrize(
    ("name", "concerned"),
    [(name, True) for name in ("top", "ape", "bee", "cat", "dog")] + [("elk", False)],
)
def test_fingerprint_changes_with_what_is_imported(package, name, concerned):
    folder, fingerprint = package
    before = fingerprint("zoo.top")
    assert fingerprint("zoo.top") == before
    with (folder / f"{name}.py").open("a") as file:
        file.write("\n# changed\n")
    assert (fingerprint("zoo.top") != before) == concerned
