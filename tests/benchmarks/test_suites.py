"""The asv suites: what asv itself does not check. (`.ci/run` has asv run them.)"""

import os
import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from asv.util import load_json
from asv_runner.benchmarks.mark import SkipNotImplemented

from benchmarks import common, inference, matmul, memory, startup, training
from fastnn import kernels

ROOT = Path(__file__).parents[2]


SUITES = (matmul, inference, training, startup, memory)
FEW = {
    "kernel": ["numba", "numpy"],
    "n": [64, 128],
    "batch size": [1, 64],
    "threads": [1, kernels.get_num_threads()],
}


def classes(suites=SUITES):
    for suite in suites:
        for item in vars(suite).values():
            if isinstance(item, type) and item.__module__ == suite.__name__:
                yield item


def methods(suite):
    """Return what asv takes for benchmarks."""
    return [name for name in vars(suite) if name.startswith(("time", "track"))]


def timed():
    for suite in classes((matmul, inference, training)):
        for name in methods(suite):
            if name.startswith("time_"):
                yield pytest.param(suite, name, id=f"{suite.__module__}.{suite.__name__}.{name}")


@pytest.fixture(autouse=True)
def threads():
    before = kernels.get_num_threads()
    yield
    kernels.set_num_threads(before)


def test_kernels_are_those_of_the_ladder_in_order():
    ladder = list(kernels.LADDER)
    assert [name for name in ladder if name in common.KERNELS] == common.KERNELS


@pytest.mark.parametrize(("suite", "name"), list(timed()))
def test_every_timing_runs(suite, name):
    few = [FEW.get(*pair) for pair in zip(suite.param_names, suite.params, strict=True)]
    for params in product(*few):
        benchmark = suite()
        if hasattr(benchmark, "setup"):
            benchmark.setup(*params)
        getattr(benchmark, name)(*params)


@pytest.mark.parametrize("suite", list(classes()), ids=lambda suite: suite.__name__)
def test_kernels_come_first_by_name_and_sizes_are_numbers(suite):
    """asv draws a line for each value of the first parameter, and numbers along an axis."""
    assert suite.param_names[0] in {"kernel", "module"}
    assert set(suite.params[0]) <= {*common.KERNELS, *startup.Import.params[0]}
    assert len(suite.param_names) == len(suite.params)
    for name, values in zip(suite.param_names, suite.params, strict=True):
        if name in {"n", "batch size", "threads"}:
            assert all(isinstance(value, int) for value in values)
    for name in methods(suite):
        method = getattr(suite, name)
        assert method.pretty_name
        assert name.startswith("time") or method.unit


def test_speeds_are_measured_once_and_looked_up(monkeypatch):
    monkeypatch.setattr(matmul, "KERNELS", ["numba", "gone"])
    monkeypatch.setattr(matmul, "SIZES", [64])
    monkeypatch.setattr(matmul, "DTYPES", ["float32"])
    monkeypatch.setattr(matmul, "THREADS", [1])
    suite = matmul.Speeds()
    speeds = suite.setup_cache()
    assert list(speeds) == [("numba", 64, "float32", 1)]
    assert suite.track_gflops(speeds, "numba", 64, "float32", 1) > 0
    assert 0 < suite.track_share_of_peak(speeds, "numba", 64, "float32", 1) < 150
    with pytest.raises(SkipNotImplemented, match="not measured"):
        suite.track_gflops(speeds, "numpy", 64, "float32", 1)


def test_accuracy_is_that_of_a_training_that_learns():
    assert 80 < training.Accuracy().track_test_accuracy("numba", "64-32-10", "sgd") <= 100


def test_only_the_first_process_waits_for_the_compiler():
    seconds = startup.first_products("numba-blocked")
    assert 0 < seconds["warm"] < seconds["cold"]


def test_memory_is_that_of_a_process_that_trains():
    small, large = (memory.Memory().track_peak("numpy", sizes) for sizes in memory.Memory.params[1])
    assert 2**24 < small < large < 2**34


def test_short_benchmarks_have_no_setup():
    short = (
        *(matmul.Squares, matmul.DenseLayer, matmul.Layouts),
        *(inference.Inference, training.Step),
    )
    for suite in short:
        assert not hasattr(suite, "setup")


@pytest.mark.parametrize(
    ("transposed", "a_order", "b_order"),
    [("", "C", "C"), ("a", "F", "C"), ("b", "C", "F")],
)
def test_operands_have_the_shapes_and_layouts_of_a_dense_layer(transposed, a_order, b_order):
    compute, a, b, out = common.product("numpy", (3, 4, 5), "float64", transposed)
    assert (a.shape, b.shape, out.shape) == ((3, 4), (4, 5), (3, 5))
    assert a.flags[f"{a_order}_CONTIGUOUS"]
    assert b.flags[f"{b_order}_CONTIGUOUS"]
    compute(a, b, out)
    np.testing.assert_array_equal(out, a @ b)


def test_layouts_are_those_that_are_named():
    assert matmul.Layouts.params[1] == list(common.LAYOUTS)
    strides = {
        name: [array.strides for array in common.laid_out("numpy", name, "float64", 8)[1:]]
        for name in common.LAYOUTS
    }
    assert strides == {
        "contiguous": [(64, 8)] * 3,
        "rows 4096 bytes apart": [(4096, 8)] * 3,
        "Fortran order": [(8, 64)] * 3,
        "a and b transposed": [(8, 64), (8, 64), (64, 8)],
        "every 2nd row": [(128, 8)] * 3,
    }


def test_too_large_a_product_is_skipped():
    with pytest.raises(SkipNotImplemented, match="too many for naive"):
        common.product("naive", (1024, 1024, 1024), "float32")


def test_threads_that_a_kernel_has_no_use_for_are_skipped():
    with pytest.raises(SkipNotImplemented, match="numba-naive uses one thread"):
        common.product("numba-naive", (2, 2, 2), "float32", threads=2)
    with pytest.raises(SkipNotImplemented, match="threads were asked for"):
        common.product("numba", (2, 2, 2), "float32", threads=10_000)


def test_a_kernel_that_a_commit_lacks_is_skipped():
    with pytest.raises(SkipNotImplemented, match="no kernel unheard-of"):
        common.product("unheard-of", (2, 2, 2), "float32")


def test_a_step_leaves_the_weights_so_that_calls_repeat():
    plan = common.training_step("numpy", "64-128-10", "sgd", 64)
    update = next(call for call in plan.calls if call.part == "update")
    parameters = next(arg for arg in update.args if np.ndim(arg) == 1 and np.size(arg) > 1)
    before = parameters.copy()
    plan.run()
    np.testing.assert_array_equal(parameters, before)


def run_python(code, **env):
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True, check=True
    ).stdout


def test_what_asv_forks_has_launched_no_threads_so_that_its_children_can():
    child = (
        "from benchmarks.common import product\n"
        "threads = kernels.get_num_threads()\n"
        "compute, a, b, out = product('numba', (512, 512, 512), 'float32', threads=threads)\n"
        "compute(a, b, out)\n"
        "assert threads == 1 or numba.threading_layer()\n"
    )
    output = run_python(
        "import os, numba, kernels\n"
        "import benchmarks.matmul, benchmarks.inference, benchmarks.training, benchmarks.startup\n"
        f"child = {child!r}\n"
        "for _ in range(2):\n"
        "    if not (pid := os.fork()):\n"
        "        exec(child)\n"
        "        os._exit(0)\n"
        "    print(os.waitpid(pid, 0)[1])\n"
    )
    assert output.split() == ["0", "0"]


def test_each_commit_has_its_own_numba_cache():
    code = "import benchmarks; from numba import config; print(config.CACHE_DIR)"
    first, second = (
        run_python(code, ASV_ENV_DIR="/somewhere", ASV_COMMIT=commit).strip() for commit in "ab"
    )
    assert first != second
    assert first.startswith("/somewhere/")


def test_suites_import_on_a_commit_without_the_packages():
    run_python(
        "import sys; sys.modules['kernels'] = sys.modules['fastnn'] = None\n"
        "import benchmarks.matmul, benchmarks.inference, benchmarks.training, benchmarks.products\n"
        "import benchmarks.startup, benchmarks.memory"
    )


def test_every_file_imports_where_asv_has_no_matplotlib():
    modules = sorted(f"benchmarks.{path.stem}" for path in ROOT.glob("benchmarks/[a-z]*.py"))
    assert "benchmarks.matmul" in modules
    run_python(f"import sys; sys.modules['matplotlib'] = None\nimport {', '.join(modules)}")


def test_asv_and_the_extra_pin_one_runner():
    settings = load_json(str(ROOT / "asv.conf.json"), js_comments=True)
    pinned = settings["matrix"]["req"]["pip+asv_runner"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"asv_runner=={pinned[0]}" in project["optional-dependencies"]["bench"]
    assert len(pinned) == 1
