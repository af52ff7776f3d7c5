"""`fastnn.study.comparison`: kernels are verified, timed in turns, and extrapolated if slow."""

import time

import numpy as np
import pytest

from benchmarks import documents
from fastnn import kernels
from fastnn.experiments.settings import Experiment
from fastnn.formats import to_json
from fastnn.kernels import Kernel
from fastnn.kernels.measuring.timing import Spread
from fastnn.study.comparison import Comparison, ComparisonError
from fastnn.study.profile import profile
from fastnn.training import fit


def wrong(a, b, out):
    np.matmul(a, b, out)
    out *= 1.01


def halving(a, b, out):
    np.matmul(a, b, out)
    if not a.flags.c_contiguous:
        out *= 0.5


WRONG = Kernel("wrong", "wrong by a hundredth", wrong)
HALVING = Kernel("halving", "half of what a transposed view makes", halving)
NAMESAKE = Kernel("numpy", "not that of the ladder", wrong)
SMALL = Kernel("small", "small products only", np.matmul, max_multiplications=1000)


@pytest.fixture(scope="module")
def whole_ladder():
    """Return the report on all kernels."""
    comparison = Comparison(
        Experiment(hidden=(8,), threads=1), kernels.names(), rounds=3, seconds=0.01
    )
    comparison.verify()
    comparison.measure()
    return comparison.report()


def compared(names=("numpy",), experiment=None, **options):
    comparison = Comparison(experiment or Experiment(hidden=()), names, **options)
    return comparison, comparison.contenders[0]


def test_report_of_the_whole_ladder(whole_ladder):
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
    peak = report["ceilings"]["float32"]["median"]
    for row in rows.values():
        step = row["step_seconds"]["median"]
        assert row["epoch_seconds"]["median"] == pytest.approx(45 * step)
        # Two products forward, three backward, less the first layer's gradient of inputs.
        operations = 2 * 32 * (2 * 64 * 8 + 3 * 8 * 10)
        assert row["flops"]["median"] == pytest.approx(operations / step)
        assert row["peak_share"]["median"] == pytest.approx(row["flops"]["median"] / peak)
        assert row["loss"] == pytest.approx(rows["numpy"]["loss"], rel=1e-4)
        if row["doubt"] is None:  # as it may be on a busy machine
            assert 0 < row["product_share"] < 1
            assert row["amdahl"] == pytest.approx(1 / (1 - row["product_share"]))
        assert [entry["batch_size"] for entry in row["inference"]] == [1, 32, 1024]
        for entry in row["inference"]:
            seconds, rate = entry["seconds"], entry["samples_per_second"]
            assert 0 < seconds["low"] <= seconds["median"] <= seconds["high"]
            assert rate["median"] == pytest.approx(entry["batch_size"] / seconds["median"])
    assert rows["naive"]["inference"][2]["extrapolated"]
    assert not rows["naive"]["inference"][0]["extrapolated"]
    if rows["naive"]["doubt"] is rows["numpy"]["doubt"] is None:
        assert rows["naive"]["product_share"] > rows["numpy"]["product_share"]
    assert report["flush_denormals"]


def test_report_makes_the_table_and_figure_of_the_documents(whole_ladder, monkeypatch, tmp_path):
    monkeypatch.setattr(documents, "FIGURES", tmp_path)
    text = documents.ladder(documents.Output(to_json(whole_ladder), None, 0.0))
    drawing = (tmp_path / "ladder.svg").read_text()
    assert all(f">{name}</text>" in drawing for name in kernels.names())
    lines = text.splitlines()
    assert [line.split("`")[1] for line in lines[2:8]] == list(kernels.names())
    assert {line.count("|") for line in lines[:8]} == {9}
    assert "e-0" not in text
    assert lines[-1].startswith("![") or lines[-2].startswith("![")


@pytest.mark.parametrize("batch_size", [None, 5000])
def test_verify_refuses_a_kernel_with_wrong_gradients_alone(batch_size):
    """An optimizer that scales them would hide it."""
    experiment = Experiment(hidden=(8,), batch_size=batch_size)
    comparison, _ = compared([f"{__name__}:HALVING"], experiment)
    with pytest.raises(ComparisonError, match="kernel halving"):
        comparison.verify()


def test_verify_refuses_a_kernel_with_wrong_losses():
    comparison, _ = compared([f"{__name__}:WRONG"])
    with pytest.raises(ComparisonError, match=r"wrong trains to a loss of .* more than rounding"):
        comparison.verify()


def test_verify_refuses_a_loss_that_is_not_a_number():
    comparison, _ = compared(["numpy", "numba"])
    comparison.contenders[1].net.parameters.flat[0] = np.nan
    with pytest.raises(ComparisonError, match="numba trains to a loss of nan"):
        comparison.verify()


def test_two_kernels_of_one_name_are_refused():
    with pytest.raises(ComparisonError, match="two kernels are called 'numpy'"):
        compared([f"{__name__}:NAMESAKE"])


def test_kernel_is_skipped_if_a_product_is_too_large_for_it():
    _, contender = compared([f"{__name__}:SMALL"], Experiment(hidden=(8,)))
    assert "16,384 multiplications, more than the 1,000" in contender.skipped


def test_report_has_medians_of_the_rounds(quiet):
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


def test_report_forms_ratios_round_by_round(quiet):
    comparison, _ = compared(
        ["numba", "numpy"], Experiment(hidden=(), threads=1), rounds=3, seconds=1e-4
    )
    comparison.verify()
    comparison.measure()
    numba, numpy = comparison.contenders
    numba.step_seconds, numpy.step_seconds = np.array([1.0, 2.0, 4.0]), np.array([9.0, 2.0, 1.0])
    row, _ = comparison.report()["kernels"]
    assert row["speedup"]["numpy"]["median"] == 1.0
    assert row["speedup"]["naive"] is None


def test_measure_extrapolates_a_slow_kernel(quiet):
    def slow(a, b, out):
        time.sleep(0.0005 * len(a))
        np.matmul(a, b, out)

    comparison, contender = compared(rounds=1, seconds=0.04, inference=(1, 1000))
    contender.net.kernel = Kernel("slow", "sleeps for each row", slow)
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
def test_measure_times_short_steps_once_their_plan_is_made(quiet, monkeypatch, pause, epochs):
    trained = []

    def recorded(*arguments, **options):
        trained.append(options["epochs"])
        return fit(*arguments, **options)

    def paused(a, b, out):
        time.sleep(pause)
        np.matmul(a, b, out)

    monkeypatch.setattr("fastnn.study.comparison.fit", recorded)
    comparison, contender = compared(rounds=2, seconds=1e-3)
    contender.net.kernel = Kernel("paused", "", paused)
    comparison.verify()
    comparison.measure()
    assert trained == [1, 1, epochs, epochs, epochs]  # verified, tried, tried so, timed twice


@pytest.mark.parametrize("flush", [True, False])
def test_rounds_train_on_real_batches_from_the_weights_that_all_begin_with(
    quiet, monkeypatch, flush
):
    begun = []

    def recorded(net, x, y, **options):
        begun.append((net.parameters.flat.copy(), net.flush_denormals))
        np.testing.assert_array_equal(x, comparison.data.x_train[: len(x)])
        return fit(net, x, y, **options)

    profiled = []
    monkeypatch.setattr("fastnn.study.comparison.fit", recorded)
    monkeypatch.setattr(
        "fastnn.study.comparison.profile",
        lambda plan, seconds, **options: (
            profiled.append((comparison.contenders[0].net.parameters.flat.copy(), options))
            or profile(plan, seconds, **options)
        ),
    )
    experiment = Experiment(hidden=(8,), flush_denormals=flush)
    comparison, contender = compared(experiment=experiment, rounds=3, seconds=1e-3)
    given = contender.net.parameters.flat.copy()
    comparison.verify()
    begun.clear()
    comparison.measure()
    assert len(begun) > 3
    for weights, mode in begun:
        np.testing.assert_array_equal(weights, given)
        assert mode == flush
    ((weights, options),) = profiled
    np.testing.assert_array_equal(weights, given)
    assert options == {"max_steps": 44, "flush_denormals": flush}
    assert comparison.report()["flush_denormals"] == flush


def test_profile_leaves_the_weights_and_includes_the_update():
    comparison, contender = compared(rounds=1, seconds=1e-3)
    comparison.verify()
    before = contender.net.parameters.flat.copy()
    profile = comparison._profile(contender.net)
    assert (contender.net.parameters.flat == before).all()
    assert any(call.part == "update" for call, _ in profile.calls)
