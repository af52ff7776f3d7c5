"""Code of a user's own: what runs is what was written last, wherever that was."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import pytest

import fastnn
from fastnn.kernels import ops
from fastnn.kernels.runtime import compiling
from fastnn.kernels.runtime.abi import entry_point
from fastnn.kernels.runtime.program import Program
from tests.kernels.calls import run

ROOT = Path(__file__).parents[3]
OWN = """
import numpy as np
from fastnn.kernels import ops
from fastnn.kernels.runtime.abi import entry_point
from fastnn.kernels.runtime.program import Program

def apply(function):
    function = ops.function(function) if isinstance(function, str) else function
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


OWN_FUNCTIONS = """
import numba, own_numbers, own_package.below
from own_numbers import FACTOR, Factor, times
from own_package import product
def in_a_lambda(x): return (lambda y: y * FACTOR)(x)
def by_a_function_to_be_compiled(x): return times(x)
def of_an_enumeration(x): return x * Factor.OWN.value
def of_a_module_in_a_package(x): return x * own_package.below.FACTOR
def by_a_relative_import(x): return product(x)
"""
OWN_NEIGHBOURS = {
    "own_numbers": """
from enum import Enum
from numba.extending import register_jitable
FACTOR = 2.0
class Factor(Enum): OWN = 2.0
@register_jitable
def times(x): return x * 2.0
""",
    "own_package/__init__": "from .below import product",
    "own_package/below": """
from numba.extending import register_jitable
FACTOR = 2.0
@register_jitable
def product(x): return x * FACTOR
""",
}


def test_own_function_is_compiled_anew_when_any_neighbour_changes(own):
    folder, run = own
    (folder / "own_package").mkdir()
    (folder / "own_functions.py").write_text(OWN_FUNCTIONS)
    names = [line.partition("(")[0][4:] for line in OWN_FUNCTIONS.splitlines() if "def " in line]
    script = "import own_functions\n" + "".join(
        f"print(apply(own_functions.{name}))\n" for name in names
    )
    for factor in (2, 3):
        for module, source in OWN_NEIGHBOURS.items():
            (folder / f"{module}.py").write_text(source.replace("2.0", f"{factor}.0"))
        assert run(script) == [factor] * len(names)


def test_own_function_may_call_itself_and_what_is_defined_further_down():
    def build():
        @fastnn.op
        def countdown(n):
            return done(n) if n <= 0 else countdown(n - 1)

        done = numba.njit(lambda n: n)
        return countdown

    assert build()(3) == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_function_compiled_in_two_ways_is_two():
    def inverse(x, y):
        y[0] = 1 / x[0]

    for model, expected in (("numpy", np.inf), ("python", 5)):  # which divides nothing by 0
        op, arguments = numba.njit(error_model=model)(inverse), (np.zeros(1), np.full(1, 5.0))
        Program([(entry_point(op, arguments), arguments)]).run()
        assert arguments[1] == expected


@pytest.mark.slow
def test_functions_compiled_by_several_processes_are_told_apart_in_another(own):
    """Closures of one name, of which two processes compile one each, and two others run both."""
    folder, run = own
    (folder / "own_closures.py").write_text(
        "def times(factor):\n    return lambda x: x * factor\n\n"
        "double, triple = times(2), times(3)\n"
    )
    expected = {'"relu"': 1, "double": 2, '"tanh"': np.tanh(1), "triple": 3}
    names = list(expected)
    for order in (names[:2], names[2:], names, names[::-1]):
        script = "from own_closures import double, triple\n"
        script += "".join(f"print(apply({name}))\n" for name in order)
        assert run(script) == pytest.approx([expected[name] for name in order])


def test_functions_compiled_by_forked_processes_have_names_of_their_own(run_python):
    script = """
import os
import numpy as np
from fastnn.kernels import ops

def name_in_child(function):
    read, write = os.pipe()
    if not os.fork():
        try:
            op, x = ops.elementwise(function), np.ones((1, 1))
            op(x, x)
            (compiled,) = op.overloads.values()
            os.write(write, compiled.fndesc.mangled_name.encode())
        finally:
            os._exit(0)
    os.close(write)
    os.wait()
    return os.read(read, 10_000)

names = {name_in_child(lambda x: x), name_in_child(lambda x: -x)}
assert len(names) == 2 and all(names), names
print("different")
"""
    assert run_python(script) == "different"


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
