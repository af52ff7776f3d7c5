"""Compiled code on disk: never older than its sources, and not needed."""

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fastnn.kernels import ops
from fastnn.kernels.runtime import compiling
from tests.kernels.calls import run

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


# Code of a user's own: what is compiled is what the user wrote last, wherever that was.

OWN = """
import numpy as np
from fastnn.kernels import ops
from fastnn.kernels.runtime.abi import entry_point
from fastnn.kernels.runtime.program import Program

def apply(function):
    op, x = ops.elementwise(function), np.ones((1, 1))
    Program([(entry_point(op, (x, x)), (x, x))]).run()
    return float(x[0, 0])
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return a folder for compiled code, empty at first."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def own(tmp_path, cache, run_python):
    """Return a folder to import from, and what runs a script there and gives its numbers."""
    environment = {
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",  # which goes by the second in which a source was written
    }

    def run(script):
        return [float(line) for line in run_python(OWN + script, **environment).splitlines()]

    return tmp_path, run


def test_own_function_is_compiled_anew_when_a_number_in_a_neighbour_changes(own):
    folder, run = own
    (folder / "own_numbers.py").write_text("FACTOR = 2.0\nTABLE = (1.0, 2.0)\n")
    (folder / "own_functions.py").write_text(
        "import own_numbers\nfrom own_numbers import FACTOR\n"
        "def f(x):\n    return x * FACTOR\n"
        "def g(x):\n    return x * own_numbers.TABLE[1]\n"
    )
    script = "from own_functions import f, g\nprint(apply(f))\nprint(apply(g))"
    assert run(script) == run(script) == [2, 2]
    (folder / "own_numbers.py").write_text("FACTOR = 3.0\nTABLE = (1.0, 4.0)\n")
    assert run(script) == [3, 4]


def test_own_functions_in_files_of_one_name_are_told_apart(own):
    folder, run = own
    for name, factor in (("a", 2), ("b", 3)):
        (folder / name).mkdir()
        (folder / name / "same.py").write_text(
            "from fastnn import Activation\n"
            f"class Mine(Activation):\n    function = staticmethod(lambda x: x * {factor})\n"
        )
    script = f"""
from fastnn import Activation
from fastnn.kernels.finding import find_class
for name in "abab":
    print(apply(find_class({str(folder)!r} + f"/{{name}}/same.py:Mine", Activation).function))
"""
    assert run(script) == [2, 3, 2, 3]


def test_own_function_is_compiled_anew_when_its_module_is_reloaded(own):
    folder, run = own
    (folder / "own_module.py").write_text("def f(x):\n    return x * 2\n")
    script = f"""
import importlib, pathlib, own_module
print(apply(own_module.f))
pathlib.Path({str(folder / "own_module.py")!r}).write_text("def f(x):\\n    return x * 3\\n")
importlib.reload(own_module)
print(apply(own_module.f))
"""
    assert run(script) == [2, 3]
    assert run("import own_module\nprint(apply(own_module.f))") == [3]


def apply(function):
    op, x = ops.elementwise(function), np.ones((1, 1))
    run(op, x, x)
    return x[0, 0]


def defined_in(namespace):
    exec("def f(x): return x * 2", namespace)
    return namespace["f"]


@pytest.mark.parametrize(
    "namespace",
    [
        {},
        {"__name__": "no_such_module"},
        {"__name__": "math"},  # without a loader of sources
        {"__name__": "fastnn.kernels.ops.rows"},  # which has another text
    ],
    ids=repr,
)
def test_own_function_works_where_it_has_no_source(namespace):
    assert apply(defined_in(namespace)) == 2


@pytest.mark.parametrize("text", [None, "%load_ext nothing\n"], ids=["no file", "a notebook"])
def test_own_function_works_where_get_source_fails(monkeypatch, tmp_path, text):
    class Loader:
        def get_source(self, name):
            raise ImportError(name)

    module = ModuleType(f"odd_{text is None}")
    module.__loader__ = Loader()
    if text:
        module.__file__ = str(tmp_path / "cells.ipy")
        Path(module.__file__).write_text(text)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    function = defined_in(vars(module))
    assert compiling.identity(function) is None
    assert apply(function) == 2


@pytest.mark.parametrize("way", ["script", "-c", "stdin", "-m", "prompt"])
def test_own_function_of_main_is_compiled_as_it_is_now(tmp_path, cache, way):
    text = OWN.replace("\n\n", "\n") + "\n"  # a prompt takes no empty line within a function
    for factor in (2, 3):
        text += f"def f(x): return x * {factor}\n\nprint('=', apply(f))\n"
    (tmp_path / "main_of_mine.py").write_text(text)
    commands = {
        "script": ["main_of_mine.py"],
        "-c": ["-c", text],
        "stdin": ["-"],
        "-m": ["-m", "main_of_mine"],
        "prompt": ["-i", "-q"],
    }
    environment = {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, *commands[way]],
        input=text,
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.stdout.split() == ["=", "2.0", "=", "3.0"], done.stdout + done.stderr


def test_identity_is_none_for_code_that_no_text_stands_for():
    def closing_over(thing):
        def f(x):
            return (x, thing)

        return f

    assert compiling.identity(closing_over(object())) is None
    for known in (1, 2.5, "text", np.float32(3), np.arange(3), (1, 2)):
        assert compiling.identity(closing_over(known)) is not None
    first, second, third = (closing_over(np.arange(n)) for n in (3, 4, 3))
    assert compiling.identity(first) == compiling.identity(third) != compiling.identity(second)


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
