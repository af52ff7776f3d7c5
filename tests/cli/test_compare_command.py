import re
import subprocess
import sys
import time

import numpy as np
import pytest

import fastnn as package
from benchmarks import readme
from fastnn import kernels
from fastnn.experiments.settings import Experiment
from fastnn.formats import to_json
from fastnn.kernels.finding import find_fault
from fastnn.kernels.measuring import ceilings as machine_ceilings
from fastnn.kernels.measuring.timing import Spread
from fastnn.study import comparison, tables
from fastnn.study.comparison import Comparison, ComparisonError
from fastnn.training import fit

QUICK = ("--rounds", "2", "--seconds", "0.001", "--hidden", "8")


def wrong(a, b, out):
    np.matmul(a, b, out)
    out *= 1.01


def failing(a, b, out):
    raise RuntimeError("no such instruction")


@pytest.fixture
def ladder(monkeypatch):
    """Return a function that adds a kernel to the ladder."""

    def add(kernel):
        monkeypatch.setattr(kernels, "LADDER", (*kernels.LADDER, kernel))

    return add


def test_the_ladder(fastnn, ladder):
    ladder(kernels.Kernel("wrong", "wrong by a hundredth", wrong))
    ladder(kernels.Kernel("failing", "needs another processor", failing))
    rows = {row["name"]: row for row in fastnn("kernels", "--json").json["kernels"]}
    assert tuple(rows) == kernels.names()
    assert [name for name, row in rows.items() if not row["usable"]] == ["wrong", "failing"]
    assert rows["naive"]["summary"] == kernels.get("naive").summary
    assert rows["failing"]["fault"] == "RuntimeError: no such instruction"
    assert "5.05" in rows["wrong"]["fault"]
    text = fastnn("kernels").out
    assert all(name in text for name in kernels.names())


def test_an_unknown_kernel_is_a_fault():
    assert "'fast'" in find_fault("fast")


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Measure the machine shortly, and warn of nothing."""
    original = machine_ceilings.measure
    monkeypatch.setattr(machine_ceilings, "measure", lambda threads: original(threads, rounds=1))
    monkeypatch.setattr(comparison, "NOISY", float("inf"))
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        monkeypatch.delenv(name, raising=False)
    before = kernels.get_num_threads()
    yield
    kernels.set_num_threads(before)


@pytest.fixture(scope="module")
def whole_ladder():
    """Return the report on all kernels."""
    comparison = Comparison(
        Experiment(hidden=(8,), threads=1), kernels.names(), rounds=3, seconds=0.01
    )
    comparison.verify()
    comparison.measure()
    return comparison.report()


def test_comparison_of_the_whole_ladder(whole_ladder):
    report = whole_ladder
    rows = {row["kernel"]: row for row in report["kernels"]}
    assert tuple(rows) == kernels.names()
    assert report["loss_difference"] < 1e-4
    assert report["noise"] >= 0
    assert set(rows["numpy"]["speedup"]["numpy"].values()) == {1}
    assert set(rows["naive"]["speedup"]["naive"].values()) == {1}
    assert (
        rows["naive"]["speedup"]["numpy"]["median"] < 1 < rows["numba"]["speedup"]["naive"]["low"]
    )
    assert rows["naive"]["steps"] == 1
    assert rows["naive"]["extrapolated"]
    peak = report["ceilings"]["ceilings"][0]["float32"]["median"]
    for row in rows.values():
        step = row["step_seconds"]["median"]
        assert row["epoch_seconds"]["median"] == pytest.approx(45 * step)
        # Two products forward, three backward, less the first layer's gradient of inputs.
        operations = 2 * 32 * (2 * 64 * 8 + 3 * 8 * 10)
        assert row["flops"]["median"] == pytest.approx(operations / step)
        assert row["peak_share"]["median"] == pytest.approx(row["flops"]["median"] / peak)
        assert row["loss"] == pytest.approx(rows["numpy"]["loss"], rel=1e-4)
        assert 0 < row["product_share"] < 1
        assert row["amdahl"] == pytest.approx(1 / (1 - row["product_share"]))
        assert [entry["batch_size"] for entry in row["inference"]] == [1, 32, 1024]
        for entry in row["inference"]:
            seconds, rate = entry["seconds"], entry["samples_per_second"]
            assert 0 < seconds["low"] <= seconds["median"] <= seconds["high"]
            assert rate["median"] == pytest.approx(entry["batch_size"] / seconds["median"])
    assert rows["naive"]["inference"][2]["extrapolated"]
    assert not rows["naive"]["inference"][0]["extrapolated"]
    assert rows["naive"]["product_share"] > rows["numpy"]["product_share"]


def test_the_readme_can_be_made_of_it(whole_ladder, monkeypatch, tmp_path):
    monkeypatch.setattr(readme, "FIGURES", tmp_path)
    text = readme.ladder([readme.Output(to_json(whole_ladder), None, 0.0)])
    drawing = (tmp_path / "ladder.svg").read_text()
    assert all(f">{name}</text>" in drawing for name in kernels.names())
    lines = text.splitlines()
    assert [line.split("`")[1] for line in lines[2:8]] == list(kernels.names())
    assert {line.count("|") for line in lines[:8]} == {9}
    assert "e-0" not in text
    assert lines[-2].startswith("![")


def test_text_of_a_comparison(fastnn):
    result = fastnn("compare", *QUICK, "--kernels", "naive,numba", "--dtype", "float64")
    assert (result.status, result.err) == (0, "")
    assert "64-8-10 network in float64" in result.out
    assert "losses of 4 steps agree" in result.out
    starts = [line.split()[0] for line in result.out.splitlines() if line.strip()]
    tables = ["training", "products", "inference"]
    assert [word for word in starts if word in tables] == tables
    assert starts.count("numba") == starts.count("numpy") == 1 + 1 + 3
    (training,) = re.findall(r"^ naive +.*†.*", result.out, re.MULTILINE)[:1]
    assert training.split()[4] in ("s†", "ms†")  # the epoch's; the step's is as it was timed
    assert "† extrapolated, from fewer than the 45 steps" in result.out
    assert max(map(len, result.out.splitlines()[4:-1])) <= 80


def test_markdown_of_a_comparison(fastnn):
    arguments = ("--kernels", "numba", "--inference", "2,3", "--markdown")
    lines = fastnn("compare", *QUICK, *arguments).out.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert rows[:2] == [
        "| training | step | epoch | × naive | × numpy |",
        "| --- | --: | --: | --: | --: |",
    ]
    assert len(rows) == 4 + 4 + 6
    assert {row.count("|") for row in rows} == {6}
    assert rows[2].split(" | ")[3] == "–"  # naive was not asked for
    assert [row.split(" | ")[1] for row in rows[-4:]] == ["2", "3"] * 2
    fastnn("compare", "--markdown", "--json").assert_error("--json", "--markdown")


def test_a_busy_machine_is_told(fastnn, monkeypatch):
    monkeypatch.setattr(comparison, "NOISY", -1.0)
    result = fastnn("compare", *QUICK, "--kernels", "numpy", "--json")
    assert "warning: the machine is busy" in result.err
    assert result.json["noise"] >= 0


def test_a_restrained_blas_is_told(fastnn, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    result = fastnn("compare", *QUICK, "--kernels", "numpy", "--json")
    assert "warning: OPENBLAS_CORETYPE=Haswell is set" in result.err
    assert result.json["blas_restraints"] == {"OPENBLAS_CORETYPE": "Haswell"}


@pytest.mark.parametrize("sizes", ["x", "", "0", "4,-1"])
def test_batch_sizes_of_inference_are_checked(fastnn, sizes):
    fastnn("compare", "--kernels", "numpy", "--inference", sizes).assert_error("inference")


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.00123456, "0.00123"), (1, "1.00"), (12.345, "12.3"), (1234.5, "1,234")]
)
def test_ratios_have_no_exponent(ratio, text):
    assert tables._times({"median": ratio}).text == text


def test_a_kernel_that_computes_wrong_gradients(fastnn, ladder):
    """What is wrong with them alone: an optimizer that scales them would hide it."""

    def halving(a, b, out):
        np.matmul(a, b, out)
        if not a.flags.c_contiguous:
            out *= 0.5

    ladder(kernels.Kernel("halving", "half of what a transposed view makes", halving))
    for more in ((), ("--batch-size", "5000")):
        fastnn("compare", *QUICK, "--kernels", "halving", *more).assert_error("kernel halving")


def test_two_kernels_of_one_name(fastnn, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "import numpy as np\n"
        "from kernels import Kernel\n"
        "KERNEL = Kernel('numpy', 'not that of the ladder', lambda a, b, out: np.dot(a, b, out))\n"
    )
    fastnn("compare", *QUICK, "--kernels", f"{mine}:KERNEL").assert_error(
        "two kernels are called 'numpy'"
    )


def test_a_kernel_that_computes_something_else(fastnn, ladder):
    ladder(kernels.Kernel("wrong", "wrong by a hundredth", wrong))
    fastnn("compare", *QUICK, "--kernels", "wrong").assert_error(
        "kernel wrong trains to a loss of", "more than rounding"
    )


def test_a_kernel_that_gives_no_numbers():
    comparison = Comparison(Experiment(hidden=(4,), kernel="numpy"), ["numpy", "numba"])
    comparison.contenders[1].net.parameters.flat[0] = np.nan
    with pytest.raises(ComparisonError, match="numba trains to a loss of nan"):
        comparison.verify()


def test_a_product_too_large_for_a_kernel_is_not_waited_for(fastnn, ladder):
    small = kernels.Kernel("small", "small products only", np.matmul, max_multiplications=1000)
    ladder(small)
    report = fastnn("compare", *QUICK, "--kernels", "small", "--json").json
    row = report["kernels"][0]
    assert set(row) == {"kernel", "summary", "skipped"}
    assert "16,384 multiplications, more than the 1,000" in row["skipped"]
    assert "small: a product has" in fastnn("compare", *QUICK, "--kernels", "small").out


def test_help_does_not_wait_for_numba():
    code = (
        "import sys\nfrom fastnn.cli import main\nmain(['train', '--help'])\n"
        "assert 'numba' not in sys.modules\nassert 'fastnn.cli' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert "Usage: fastnn train" in done.stdout


def test_the_package_gives_its_names_when_they_are_asked_for():
    assert set(package.__all__) <= set(dir(package))
    assert all(getattr(package, name).__name__ == name for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Dens'"):
        getattr(package, "Dens")  # noqa: B009


def test_version(fastnn):
    assert fastnn("--version").out == f"{package.__version__}\n"


def compared(**options):
    comparison = Comparison(Experiment(hidden=()), ["numpy"], **options)
    return comparison, comparison.contenders[0]


def test_the_median_of_the_rounds_counts():
    comparison, contender = compared(rounds=3, seconds=1e-4, inference=(4,))
    comparison.verify()
    comparison.measure()
    contender.step_seconds = np.array([5.0, 1.0, 2.0])
    contender.inference_seconds = {4: np.array([1.0, 9.0, 4.0])}
    report = comparison.report()
    (row,) = report["kernels"]
    assert row["step_seconds"] == {"low": 1.5, "median": 2.0, "high": 3.5}
    assert row["epoch_seconds"]["median"] == 90.0
    assert row["inference"][0]["seconds"]["median"] == 4.0
    assert row["inference"][0]["samples_per_second"]["median"] == 1.0
    assert report["noise"] == Spread(1.5, 2.0, 3.5).width == 1.0


def test_ratios_are_formed_round_by_round():
    comparison = Comparison(Experiment(hidden=(), threads=1), ["numba", "numpy"], rounds=3)
    comparison.seconds = 1e-4
    comparison.verify()
    comparison.measure()
    numba, numpy = comparison.contenders
    numba.step_seconds, numpy.step_seconds = np.array([1.0, 2.0, 4.0]), np.array([9.0, 2.0, 1.0])
    row, _ = comparison.report()["kernels"]
    assert row["speedup"]["numpy"]["median"] == 1.0
    assert row["speedup"]["naive"] is None


def test_a_slow_kernel_is_extrapolated_from_what_was_timed():
    def slow(a, b, out):
        time.sleep(0.0005 * len(a))
        np.matmul(a, b, out)

    comparison, contender = compared(rounds=1, seconds=0.04, inference=(1, 1000))
    contender.net.kernel = kernels.Kernel("slow", "sleeps for each row", slow)
    comparison.verify()
    comparison.measure()
    assert contender.steps < comparison.steps_per_epoch == 45
    (row,) = comparison.report()["kernels"]
    # Two products a step: of the 32 samples, and of the 64 features.
    assert 0.0005 * (32 + 64) <= row["step_seconds"]["median"] < 0.5
    assert contender.samples[1000] < 100
    single, batch = row["inference"]
    assert 0.5 <= batch["seconds"]["median"] < 5
    assert (row["extrapolated"], single["extrapolated"], batch["extrapolated"]) == (
        True,
        False,
        True,
    )


@pytest.mark.parametrize(("pause", "epochs"), [(0, 2), (0.02, 1)])
def test_short_steps_are_timed_when_their_plan_is_made(monkeypatch, pause, epochs):
    trained = []

    def recorded(*arguments, **options):
        trained.append(options["epochs"])
        return fit(*arguments, **options)

    def paused(a, b, out):
        time.sleep(pause)
        np.matmul(a, b, out)

    monkeypatch.setattr("fastnn.study.comparison.fit", recorded)
    comparison, contender = compared(rounds=2, seconds=1e-3)
    contender.net.kernel = kernels.Kernel("paused", "", paused)
    comparison.verify()
    comparison.measure()
    assert trained == [1, 1, epochs, epochs, epochs]  # verified, tried, tried so, timed twice


def test_profiling_leaves_the_weights_as_they_are():
    comparison, contender = compared(rounds=1, seconds=1e-3)
    comparison.verify()
    before = contender.net.parameters.flat.copy()
    profile = comparison._profile(contender.net)
    assert (contender.net.parameters.flat == before).all()
    assert any(call.part == "update" for call, _ in profile.calls)
