"""The asv suites: what asv itself does not check. (`.ci/run` has asv run them.)"""

import json
import os
import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from asv_runner.benchmarks.mark import SkipNotImplemented

import kernels
from benchmarks import common, inference, matmul, training

ROOT = Path(__file__).parents[1]


def benchmarks():
    for suite in (matmul, inference, training):
        for item in vars(suite).values():
            if isinstance(item, type) and item.__module__ == suite.__name__:
                for name in vars(item):
                    if name.startswith("time_"):
                        yield pytest.param(item, name, id=f"{item.__module__}.{item.__name__}")


@pytest.fixture(autouse=True)
def threads():
    before = kernels.get_num_threads()
    yield
    kernels.set_num_threads(before)


def test_kernels_are_those_of_the_ladder_in_order():
    ladder = [kernel.name for kernel in kernels.LADDER]
    assert [name for name in ladder if name in common.KERNELS] == common.KERNELS


@pytest.mark.parametrize(("suite", "name"), list(benchmarks()))
@pytest.mark.parametrize("kernel", ["numba", "numpy"])
def test_every_benchmark_runs_with_all_its_parameters(suite, name, kernel):
    assert suite.param_names[0] == "kernel"
    for params in product([kernel], *suite.params[1:]):
        benchmark = suite()
        if hasattr(benchmark, "setup"):
            benchmark.setup(*params)
        getattr(benchmark, name)(*params)


def test_short_benchmarks_have_no_setup():
    short = (
        *(matmul.Square, matmul.DenseLayer, matmul.Network, matmul.Layout),
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
    assert matmul.Layout.params[1] == list(common.LAYOUTS)
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


def test_a_kernel_that_a_commit_lacks_is_skipped():
    with pytest.raises(SkipNotImplemented, match="no kernel unheard-of"):
        common.product("unheard-of", (2, 2, 2), "float32")


def test_a_step_leaves_the_weights_so_that_calls_repeat():
    plan = common.training_step("numpy", "64-128-10", 64)
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
        "import benchmarks.matmul, benchmarks.inference, benchmarks.training, benchmarks.products"
    )


def test_every_file_imports_where_asv_has_no_matplotlib():
    modules = sorted(f"benchmarks.{path.stem}" for path in ROOT.glob("benchmarks/[a-z]*.py"))
    assert "benchmarks.matmul" in modules
    run_python(f"import sys; sys.modules['matplotlib'] = None\nimport {', '.join(modules)}")


def test_asv_and_the_extra_pin_one_runner():
    text = (ROOT / "asv.conf.json").read_text()
    lines = [line for line in text.splitlines() if not line.strip().startswith("//")]
    pinned = json.loads("\n".join(lines))["matrix"]["req"]["pip+asv_runner"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"asv_runner=={pinned[0]}" in project["optional-dependencies"]["bench"]
    assert len(pinned) == 1
