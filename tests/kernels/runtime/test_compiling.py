"""Compiled code on disk: never older than its sources, and not needed."""

import shutil
import sys
from pathlib import Path

import pytest

from fastnn import kernels
from fastnn.kernels.runtime import compiling

IMPORTS = """
import logging, sys
sys.path.insert(0, {path!r})
logging.basicConfig(format="%(name)s: %(message)s", stream=sys.stdout)
import numpy as np, kernels
from numba import types
from fastnn.kernels.runtime import compiling
from fastnn.kernels.ops import elementwise
from fastnn.kernels.ops import functions
from fastnn.kernels.gemm import product as packed
assert kernels.__file__.startswith({path!r})
"""
# Each prints a result, and how often it came from the disk.
PRODUCT = """
one = np.ones((1, 1), np.float32)
print(*kernels.get("numba")(one, one)[0], packed.cache_hits(one.dtype))
"""
C_FUNCTION = """
identity = compiling.c_function(types.float64(types.float64), functions.identity.py_func)
print(identity.ctypes(1.0), identity.cache_hits)
"""
PASS = """
x = np.zeros(1, np.float32)
elementwise.sigmoid(x, x)  # which inlines a function from another file
print(*x, sum(elementwise.sigmoid.stats.cache_hits.values()))
"""


@pytest.fixture
def copy(tmp_path, run_python):
    """Copy the package, and return its folder and what runs parts of a script on it."""
    package = tmp_path / "kernels"
    shutil.copytree(
        Path(kernels.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )

    def run(*parts, **environment):
        script = "".join([IMPORTS.format(path=str(tmp_path)), *parts])
        return run_python(script, **environment).splitlines()

    return package, run


def test_no_stale_code(copy, tmp_path):
    package, run = copy
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(PRODUCT, PASS, **environment) == ["1.0 0", "0.5 0"]
    with (package / "simd.py").open("a") as simd:
        simd.write("\nVectors.multiply_add = lambda self, x, y, z: z\n")
    assert run(PRODUCT, PASS, **environment) == ["0.0 0", "0.5 1"]
    with (package / "functions.py").open("a") as functions:
        functions.write("\n\n@inlined\ndef logistic(x):\n    return x\n")
    assert run(PRODUCT, PASS, **environment) == ["0.0 1", "0.0 0"]


def test_read_only_installation(copy, tmp_path):
    package, run = copy
    (package / "__pycache__").touch()  # a file, so that not even root can write there
    environment = {"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": str(tmp_path / "user")}
    assert run(C_FUNCTION, PASS, **environment) == ["1.0 0", "0.5 0"]
    assert run(C_FUNCTION, PASS, **environment) == ["1.0 1", "0.5 1"]


def test_nowhere_to_write(copy, tmp_path):
    package, run = copy
    (package / "__pycache__").touch()
    environment = {"NUMBA_CACHE_DIR": str(package / "__pycache__")}
    environment["XDG_CACHE_HOME"] = environment["NUMBA_CACHE_DIR"]
    said, *results = run(C_FUNCTION, PASS, **environment)
    assert said.startswith("fastnn.kernels.runtime.compiling: compiled code is not kept")
    assert "NUMBA_CACHE_DIR" in said
    assert results == ["1.0 0", "0.5 0"]


def test_disk_full(run_python, tmp_path):
    script = """
import logging, sys
logging.basicConfig(format="%(name)s: %(message)s", stream=sys.stdout)
import numpy as np
from numba.core.caching import IndexDataCacheFile
from fastnn.kernels.ops import elementwise

def save(self, key, data):
    raise OSError(28, "No space left on device")

IndexDataCacheFile.save = save
x = np.zeros(1)
elementwise.sigmoid(x, x)
elementwise.tanh(x, x)
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
def test_fingerprint(package, name, concerned):
    folder, fingerprint = package
    before = fingerprint("zoo.top")
    assert fingerprint("zoo.top") == before
    with (folder / f"{name}.py").open("a") as file:
        file.write("\n# changed\n")
    assert (fingerprint("zoo.top") != before) == concerned
