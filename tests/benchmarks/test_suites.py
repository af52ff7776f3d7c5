"""The asv suites: what asv itself does not check."""

import os
import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from asv.util import load_json
from asv_runner.benchmarks.mark import SkipNotImplemented

from benchmarks.suites import common, inference, matmul, memory, startup, training
from fastnn import datasets, kernels

ROOT = Path(__file__).parents[2]
CONFIGURATION = load_json(str(ROOT / "asv.conf.json"), js_comments=True)
SUITES = (matmul, inference, training, startup, memory)
FEW = {
    "kernel": ["numba", "numpy"],
    "n": [64, 128],
    "batch size": [1, 64],
    "threads": [1, kernels.get_num_threads()],
    "flush denormals": [True, False],
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
def test_timing_runs(suite, name, monkeypatch):
    monkeypatch.setitem(training.REAL_DATA, "784-128-10", ("digits-as-large", 1))
    monkeypatch.setattr(training.datasets, "load", load)
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


def load(name, loaded=datasets.load):
    """Return a data set; a large one is that of digits, as Fashion-MNIST may not be installed."""
    data = loaded("digits")
    if name == "digits":
        return data
    wide = np.zeros((len(data.x_train), 784), np.float32)
    wide[:, :64] = data.x_train
    return SimpleNamespace(x_train=wide, y_train=data.y_train)


def denormal_means(net_and_optimizer):
    means = np.abs(net_and_optimizer.keywords["optimizer"].state["mean"])
    return np.mean((means > 0) & (means < np.finfo(np.float32).tiny))


def test_faded_training_has_denormal_means_unless_they_are_flushed():
    for flush in (True, False):
        more = training.faded_training("numba", "64-128-10", flush)
        assert len(more()) == 1
        assert (denormal_means(more) > 0.01) is not flush
    with pytest.raises(SkipNotImplemented, match="numba-naive takes minutes"):
        training.FadedMeans().setup("numba-naive", "784-128-10", True)


def test_faded_training_is_skipped_where_its_data_or_the_mode_are_missing(monkeypatch):
    def missing(name):
        raise datasets.DataError(f"{name} is not there")

    training.faded_training.cache_clear()
    monkeypatch.setattr(training.datasets, "load", missing)
    with pytest.raises(SkipNotImplemented, match="fashion-mnist is not there"):
        training.faded_training("numba", "784-128-10", True)
    monkeypatch.setattr(training, "fit", lambda net, x, y, *, epochs: [epochs])
    with pytest.raises(SkipNotImplemented, match="always kept at this commit"):
        training.faded_training("numba", "64-128-10", True)


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


@pytest.mark.slow
def test_first_product_waits_for_the_compiler_only_in_the_first_process():
    seconds = startup.first_products("numba-blocked")
    assert 0 < seconds["warm"] < seconds["cold"]


@pytest.mark.slow
def test_memory_is_that_of_a_process_that_trains():
    small, large = (memory.Memory().track_peak("numpy", sizes) for sizes in memory.Memory.params[1])
    assert 2**24 < small < large < 2**34


def test_suites_of_short_calls_have_no_setup():
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
def test_product_operands_have_the_layouts_of_a_dense_layer(transposed, a_order, b_order):
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


def test_product_that_is_too_large_for_a_kernel_is_skipped():
    with pytest.raises(SkipNotImplemented, match="too many for naive"):
        common.product("naive", (1024, 1024, 1024), "float32")


def test_product_on_threads_that_a_kernel_cannot_use_is_skipped():
    with pytest.raises(SkipNotImplemented, match="numba-naive uses one thread"):
        common.product("numba-naive", (2, 2, 2), "float32", threads=2)
    with pytest.raises(SkipNotImplemented, match="threads were asked for"):
        common.product("numba", (2, 2, 2), "float32", threads=10_000)


def test_product_with_a_kernel_that_a_commit_lacks_is_skipped():
    with pytest.raises(SkipNotImplemented, match="no kernel unheard-of"):
        common.product("unheard-of", (2, 2, 2), "float32")


def weights_before_and_after_a_step(optimizer):
    common.training_step.cache_clear()
    step = common.training_step("numpy", "64-128-10", optimizer, 64)
    *_, update = step.plan.calls
    assert update.name == optimizer
    weights = update.args[-1]
    before = weights.copy()
    step.run()
    return before, weights


@pytest.mark.parametrize("optimizer", training.OPTIMIZERS)
def test_training_step_leaves_the_weights_so_that_calls_repeat(optimizer, monkeypatch):
    before, after = weights_before_and_after_a_step(optimizer)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-25)  # biases begin at 0
    learning = common.new_optimizer(optimizer, 0.1)
    monkeypatch.setattr(common, "new_optimizer", lambda *_: learning)
    before, after = weights_before_and_after_a_step(optimizer)
    assert np.abs(after - before).max() > 1e-3
    common.training_step.cache_clear()


def run_python(code, **env):
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True, check=True
    ).stdout


def test_process_that_asv_forks_has_launched_no_threads_so_that_its_children_can():
    child = (
        "from benchmarks.suites.common import product\n"
        "threads = kernels.get_num_threads()\n"
        "compute, a, b, out = product('numba', (512, 512, 512), 'float32', threads=threads)\n"
        "compute(a, b, out)\n"
        "assert threads == 1 or numba.threading_layer()\n"
    )
    output = run_python(
        "import os, numba\n"
        "from fastnn import kernels\n"
        "from benchmarks.suites import inference, matmul, memory, startup, training\n"
        f"child = {child!r}\n"
        "for _ in range(2):\n"
        "    if not (pid := os.fork()):\n"
        "        exec(child)\n"
        "        os._exit(0)\n"
        "    print(os.waitpid(pid, 0)[1])\n"
    )
    assert output.split() == ["0", "0"]


def test_numba_cache_is_another_for_each_commit():
    code = "import benchmarks.suites; from numba import config; print(config.CACHE_DIR)"
    first, second = (
        run_python(code, ASV_ENV_DIR="/somewhere", ASV_COMMIT=commit).strip() for commit in "ab"
    )
    assert first != second
    assert first.startswith("/somewhere/")


def test_suites_import_on_a_commit_without_the_packages():
    run_python(
        "import sys; sys.modules['kernels'] = sys.modules['fastnn'] = None\n"
        "from benchmarks.suites import inference, matmul, memory, startup, training"
    )


OLD_COMMIT = """
import sys
from types import ModuleType, SimpleNamespace
import numpy as np
names = ("kernels", "kernels.machine", "kernels.timing", "fastnn", "fastnn.measuring")
for name in names:
    sys.modules[name] = ModuleType(name)
kernels, fastnn = sys.modules["kernels"], sys.modules["fastnn"]
kernels.__path__, fastnn.__path__ = [], []
kernels.machine = sys.modules["kernels.machine"]
peaks = SimpleNamespace(float32=SimpleNamespace(median=3.0), float64=SimpleNamespace(median=1.5))
kernels.machine.measure = lambda threads, rounds: SimpleNamespace(ceilings=(peaks,))
kernels.get_num_threads = lambda: 1
# Seconds of a kernel and of NumPy, in three rounds.
rounds = np.array([[1.0, 7.0], [2.0, 8.0], [4.0, 9.0]])
sys.modules["kernels.timing"].measure = lambda cases, *_, **__: [rounds for _ in cases]
sys.modules["fastnn.measuring"].Product = lambda m, k, n: (m, k, n)
sys.modules["fastnn.measuring"].case = lambda *settings: settings
from benchmarks.suites import common
assert common.kernels is kernels
assert common.fma_peaks(1) == {"float32": 3.0, "float64": 1.5}
assert common.median_seconds("numba", [64, 128], "float32") == [2.0, 2.0]
assert common.Execution("plan") == "plan"
assert common.run_fresh("print(1)") == 1
"""


def test_common_falls_back_to_the_names_of_older_commits(tmp_path):
    (tmp_path / "kernels.py").touch()  # for the fresh process
    run_python(OLD_COMMIT, PYTHONPATH=str(tmp_path))


BENCHMARKS = {
    "inference.Inference.time_outputs",
    "matmul.DenseLayer.time_product",
    "matmul.Layouts.time_product",
    "matmul.Speeds.track_gflops",
    "matmul.Speeds.track_share_of_peak",
    "matmul.Squares.time_product",
    "memory.Memory.track_peak",
    "startup.FirstProduct.track_first_product",
    "startup.Import.timeraw_import",
    "training.Accuracy.track_test_accuracy",
    "training.Epoch.time_epoch",
    "training.FadedMeans.time_epoch",
    "training.Step.time_step",
}


def test_asv_finds_the_benchmarks_by_their_names_and_imports_no_other_of_benchmarks(tmp_path):
    found = run_python(
        "import os, sys\n"
        "from asv_runner.discovery import disc_benchmarks, update_sys_path\n"
        f"root, _ = {str(ROOT / CONFIGURATION['benchmark_dir'])!r}, os.chdir({str(tmp_path)!r})\n"
        "update_sys_path(root)\n"
        "print(*(benchmark.name for benchmark in disc_benchmarks(root)))\n"
        "assert 'suites.matmul' in sys.modules\n"
        "assert 'benchmarks' not in sys.modules\n"
    ).split()
    assert sorted(found) == sorted(BENCHMARKS)


def test_asv_finds_the_plugin_from_the_root():
    (plugin,) = CONFIGURATION["plugins"]
    assert plugin.startswith(".")  # of the working directory
    run_python(f"from {plugin[1:]} import Styled; assert Styled.name == 'styled'")


def test_asv_runner_has_the_same_version_in_the_configuration_and_in_the_extra():
    pinned = CONFIGURATION["matrix"]["req"]["pip+asv_runner"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"asv_runner=={pinned[0]}" in project["optional-dependencies"]["bench"]
    assert len(pinned) == 1
