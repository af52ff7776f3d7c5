"""What a report says follows from what was measured."""

import copy

import pytest

from fastnn.study.report import conclusions


def spread(value):
    return {"low": value, "median": value, "high": value}


def row(kernel, step, product_share, **others):
    return {
        "kernel": kernel,
        "skipped": None,
        "step_seconds": spread(step),
        "product_share": product_share,
        "amdahl": 1 / (1 - product_share),
        "python_share": None,
        "inference": [
            {"batch_size": 1, "seconds": spread(step / 10)},
            {"batch_size": 100, "seconds": spread(step / 2)},
        ],
        "speedup": {"numpy": spread(0.002 / step), "naive": None},
        "lines": [
            {"part": "forward", "layer": "dense_1", "call": "matmul", "shapes": "2×2 @ 2×2 → 2×2"}
            | {"flops": 16, "bytes": 48, "seconds": step * product_share},
            {"part": "update", "layer": "", "call": "sgd", "shapes": "4 → 4"}
            | {"flops": 0, "bytes": 32, "seconds": step * (1 - product_share)},
        ],
    } | others


def record(epoch, loss, seconds=0.5):
    return {"epoch": epoch, "loss": loss, "seconds": seconds}


@pytest.fixture
def made():
    """Measurements that are easily reckoned with."""
    histories = {
        "naive": [record(1, 2.0, 100.0)],
        "numba": [record(1, 2.00002), record(2, 1.0)],
        "numpy": [record(1, 2.0), record(2, 1.0)],
    }
    return {
        "comparison": {
            "threads": 1,
            "dtype": "float32",
            "inference": [1, 100],
            "rounds": 5,
            "steps_verified": 4,
            "loss_difference": 1e-7,
            "noise": 0.1,
            "busy": False,
            "blas_restraints": {},
            "ceilings": {
                "ceilings": [{"float32": spread(2e9), "read": spread(1e9)}],
                "caches": {"l3": 1000},
            },
            "kernels": [
                row("naive", 1.0, 0.99),
                row("numba", 0.001, 0.75),
                row("numpy", 0.002, 0.5),
            ],
        },
        "speeds": [
            {"kernel": "naive", "n": 8, "flops": spread(1e6), "share": spread(0.001)},
            {"kernel": "numba", "n": 8, "flops": spread(5e8), "share": spread(0.25)},
            {"kernel": "numba", "n": 64, "flops": spread(1.8e9), "share": spread(0.9)},
        ],
        "curves": [
            {"kernel": name, "epochs": 2, "history": history, "stopped": "its time is over"}
            | {"test_accuracy": 0.98, "test_loss": 0.1}
            for name, history in histories.items()
        ],
        "descents": [
            {"gradient_descent": "batch", "updates": 2, "data": "digits", "sizes": [4, 2]}
            | {"optimizer": "sgd", "kernel": "numba"}
            | {"history": [record(1, 2.0, 0.1), record(2, 1.9, 0.1)]},
            {"gradient_descent": "mini-batch", "updates": 20}
            | {"history": [record(1, 1.0, 0.2), record(2, 0.5, 0.2)]},
            {"gradient_descent": "stochastic", "updates": 200}
            | {"history": [record(1, 0.1, 2.0), record(2, 0.0001, 2.0)]},
        ],
        "approximation": {
            "x": [-2.0, 0.0, 2.0],
            "target": [0.0, 0.0, 0.0],
            "seen": [-1.0, 1.0],
            "answers": [{"epoch": 1, "values": [5, 5, 5]}, {"epoch": 2, "values": [1, 0.25, -3]}],
            "updates": 1234,
        },
    }


def test_the_summary_is_about_the_slowest_and_the_quickest(made):
    said = " ".join(conclusions.summary(made))
    assert "a factor of 1,000, from 1.00 s under `naive` to 1.00 ms under `numba`" in said
    assert "2.00 times as fast as on BLAS" in said
    assert "`naive` the matrix products are 99.0% of the time of a step's calls" in said
    assert "under `numba` they are 75.0%" in said
    assert "would make the calls 4.00 times as fast, and no more" in said


def test_one_kernel_is_not_compared_with_itself(made):
    del made["comparison"]["kernels"][:2]
    (said,) = conclusions.summary(made)
    assert said == "Under `numpy` the matrix products are 50.0% of the time of a step's calls."
    made["speeds"] = made["speeds"][:1]
    (said,) = conclusions.speeds(made)
    assert "The best of" not in said


@pytest.mark.parametrize(
    ("ratio", "words"), [(1.01, "is as fast as on BLAS"), (0.5, "is 0.50 times as fast as on")]
)
def test_it_does_not_boast(made, ratio, words):
    made["comparison"]["kernels"][1]["speedup"]["numpy"] = spread(ratio)
    assert words in " ".join(conclusions.summary(made))


def test_without_numba_there_is_nothing_to_hold_against_blas(made):
    del made["comparison"]["kernels"][1]
    assert "BLAS" not in " ".join(conclusions.summary(made))
    assert conclusions.ladder(made) == []


def test_rungs_are_compared_where_both_were_measured(made):
    assert conclusions.ladder(made) == []
    made["comparison"]["kernels"].insert(1, row("numba-naive", 0.01, 0.9))
    (said,) = conclusions.ladder(made)
    assert said.endswith("of training, on one thread: compiling the triple loop ×100.")
    made["comparison"]["threads"] = 2
    assert "on 2 threads where a kernel uses them" in conclusions.ladder(made)[0]


def test_the_nearest_to_the_peak(made):
    (said,) = conclusions.speeds(made)
    assert "`numba`, with 1.80 GFLOP/s at n = 64, or 90.0% of it" in said
    assert "The best of `naive` is 0.10%" in said


def test_what_the_memory_would_bound(made):
    (said,) = conclusions.roofline(made)
    assert "makes 2.00 operations for each byte" in said
    assert "1 of 1 would be bound" in said
    assert "they come from the caches" in said
    made["comparison"]["ceilings"]["caches"]["l3"] = 10
    assert "those that fit caches may" in conclusions.roofline(made)[0]


def test_where_a_step_goes(made):
    (said,) = conclusions.step(made)
    assert "matmul 2×2 @ 2×2 → 2×2 in dense_1, 75.0% of the step" in said
    assert "sgd, 25.0%" in said
    made["comparison"]["kernels"][1]["python_share"] = 0.125
    assert "Python takes 12.5%" in conclusions.step(made)[-1]


def test_what_a_batch_is_worth(made):
    (said,) = conclusions.inference(made)
    assert "a sample takes 100 µs where 1 is given at once, and 5.00 µs where 100 are" in said
    assert "a factor of 20.0" in said


def test_trainings_are_compared_epoch_by_epoch(made):
    same, quickest, cut = conclusions.curves(made)
    assert "losses of all kernels are the same" in same
    assert "by 1e-05 at most, relatively, which is rounding." in same
    assert "makes all 2 epochs in 1.00 s, and is then right on 98.0%" in quickest
    assert cut == "`naive` stopped after 1 of 2 epochs: its time is over."


def test_losses_that_have_parted_are_no_mere_rounding(made):
    made["curves"][1]["history"][1]["loss"] = 1.5
    said = conclusions.curves(made)[0]
    assert "The losses of the kernels part" in said
    assert "by 3e-01 at most, relatively." in said


@pytest.mark.parametrize("loss", [None, float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_not_passed_over(made, loss):
    made["curves"][1]["history"][1]["loss"] = loss
    assert conclusions.curves(made)[0] == "Under `numba` or `numpy` a loss is no finite number."


def test_losses_may_be_nothing(made):
    for curve in made["curves"]:
        for each in curve["history"]:
            each["loss"] = 0.0
    assert "by 0e+00 at most" in conclusions.curves(made)[0]


def test_a_kernel_too_slow_to_train_is_named(made):
    del made["curves"][0]
    assert conclusions.curves(made)[-1] == "`naive` would take too long for an epoch."


def test_a_regression_has_an_error_instead(made):
    for curve in made["curves"]:
        curve["test_accuracy"] = None
    assert "mean squared error of 1.0e-01" in conclusions.curves(made)[1]


def test_descents_are_compared_by_epochs_and_by_the_clock(made):
    ends, clock = conclusions.descents(made)
    assert "the same network, 4-2 on digits, with sgd under `numba`" in ends
    assert "batch descent at a loss of 1.9 after 2 updates" in ends
    assert "stochastic descent at a loss of 1.0e-04 after 200 updates" in ends
    assert "In the 200 ms that batch descent takes" in clock
    assert "mini-batch descent reaches 1:" in clock
    assert "stochastic" not in clock  # its first epoch takes longer
    assert "mini-batch descent is ahead" in clock


def test_the_approximation_is_judged_inside_and_outside(made):
    (said,) = conclusions.approximation(made)
    assert "After 1,234 updates it is nowhere off by more than 0.25" in said
    assert "off by up to 3.00" in said


def test_warnings_are_about_noise_and_restraints(made):
    assert conclusions.warnings(made) == []
    assert "No environment variable" in conclusions.fairness(made)[-1]
    held = copy.deepcopy(made)
    held["comparison"] |= {"busy": True, "blas_restraints": {"OPENBLAS_CORETYPE": "Haswell"}}
    noise, restraint = conclusions.warnings(held)
    assert "10.0% apart" in noise
    assert "OPENBLAS_CORETYPE=Haswell was set" in restraint
    assert len(conclusions.fairness(held)) == 1


def test_the_past_is_told_by_its_largest_change():
    def benchmark(name, numba):
        return {"benchmark": name, "commits": ["a", "b"], "kernels": {"numba": numba}}

    assert "no change to be seen" in conclusions.past([benchmark("x", [1.0, None])])[0]
    assert "Nothing has changed by more than 3%" in conclusions.past([benchmark("x", [1, 1.01])])[0]
    slower = conclusions.past([benchmark("x", [1.0, 1.1]), benchmark("y", [1.0, 2.0])])
    assert slower[0].endswith("`numba` in y: it is 2.00 times as slow as it was.")
    faster = conclusions.past([benchmark("x", [4.0, 1.0]), benchmark("y", [1.0, 2.0])])
    assert faster[0].endswith("`numba` in x: it is 4.00 times as fast as it was.")
