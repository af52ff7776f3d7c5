"""`fastnn.study.report.readings`: each follows from what was measured."""

import pytest

from fastnn.study.report.readings import readings, warnings


def spread(value):
    return {"low": value, "median": value, "high": value}


def row(kernel, step, product_share, **others):
    return {
        "kernel": kernel,
        "skipped": None,
        "step_seconds": spread(step),
        "product_share": product_share,
        "doubt": None,
        "python_share": None,
        "inference": [
            {"batch_size": 1, "seconds": spread(step / 10)},
            {"batch_size": 100, "seconds": spread(step / 2)},
        ],
        "lines": [
            {"part": "forward", "layer": "dense_1", "call": "matmul", "shapes": "2×2 @ 2×2 → 2×2"}
            | {"flops": 16, "bytes": 48, "seconds": step * product_share},
            {"part": "update", "layer": "", "call": "sgd", "shapes": "4 → 4"}
            | {"flops": 0, "bytes": 32, "seconds": step * (1 - product_share)},
        ],
    } | others


def curve(kernel, *losses):
    return {"kernel": kernel, "history": [{"loss": loss} for loss in losses]}


@pytest.fixture
def made():
    """Measurements that are easy to compute with."""
    return {
        "comparison": {
            "dtype": "float32",
            "noise": 0.1,
            "busy": False,
            "blas_restraints": {},
            "ceilings": {"float32": spread(2e9), "read": spread(1e9)},
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
        "curves": [curve("naive", 2.0), curve("numba", 2.00002, 1.0), curve("numpy", 2.0, 1.0)],
        "approximation": {
            "x": [-2.0, 0.0, 2.0],
            "target": [0.0, 0.0, 0.0],
            "seen": [-1.0, 1.0],
            "answers": [{"epoch": 1, "values": [5, 5, 5]}, {"epoch": 2, "values": [1, 0.25, -3]}],
            "updates": 1234,
        },
    }


def test_step_names_the_longest_line(made):
    said = readings(made)["step"]
    assert "Under `numba`, products take 75.0% of a step." in said
    assert "matmul 2×2 @ 2×2 → 2×2 in dense_1, with 75.0%." in said
    made["comparison"]["kernels"][1]["python_share"] = 0.125
    assert readings(made)["step"].endswith("Python takes 12.5% of a step.")


def test_step_concludes_nothing_where_its_lines_are_in_doubt(made):
    doubt = "the lines add up to 4.00 ms, a step takes 1.00 ms: no shares are given"
    made["comparison"]["kernels"][1] |= {"doubt": doubt, "product_share": None, "amdahl": None}
    assert readings(made)["step"] == f"Under `numba`, {doubt}."


def test_speeds_name_the_nearest_to_the_peak(made):
    assert "`numba`, with 1.80 GFLOP/s at n = 64: 90.0% of it" in readings(made)["speeds"]


def test_roofline_counts_products_left_of_the_ridge(made):
    said = readings(made)["roofline"]
    assert "bends at 2.00 operations a byte. 1 of 1 products lie to the left" in said


def test_inference_compares_one_sample_with_a_batch(made):
    said = readings(made)["inference"]
    assert "takes 100 µs at a batch size of 1 and 5.00 µs at 100: a factor of 20.0" in said


def test_curves_agree_up_to_rounding(made):
    said = readings(made)["curves-over-epochs"]
    assert (
        "differ from `numpy`'s by 1e-05 at most, relative to the loss, which is rounding." in said
    )


def test_curves_that_have_parted_are_not_called_rounding(made):
    made["curves"][1]["history"][1]["loss"] = 1.5
    said = readings(made)["curves-over-epochs"]
    assert "by 3e-01 at most, relative to the loss, as rounding has grown." in said


@pytest.mark.parametrize("loss", [None, float("nan"), float("inf")])
def test_curves_with_a_loss_that_is_not_finite_say_so(made, loss):
    made["curves"][1]["history"][1]["loss"] = loss
    said = readings(made)["curves-over-epochs"]
    assert said == "Under `numba` or `numpy` a loss is not a finite number."


def test_curves_may_have_losses_of_0(made):
    for each in made["curves"]:
        for record in each["history"]:
            record["loss"] = 0.0
    assert "by 0e+00 at most" in readings(made)["curves-over-epochs"]


def test_approximation_has_errors_inside_and_outside(made):
    said = readings(made)["approximation"]
    assert "After 1,234 updates, the largest error is 0.25 where it saw points and 3.00" in said


def test_one_kernel_has_readings_too(made):
    del made["comparison"]["kernels"][:2]
    del made["curves"][:2]
    said = readings(made)
    assert "Under `numpy`, products take 50.0% of a step." in said["step"]
    assert "by 0e+00 at most" in said["curves-over-epochs"]


def test_warnings_are_about_noise_and_restraints(made):
    comparison = made["comparison"]
    assert warnings(comparison) == []
    comparison |= {"busy": True, "blas_restraints": {"OPENBLAS_CORETYPE": "Haswell"}}
    noise, restraint = warnings(comparison)
    assert "is 10.0% wide" in noise
    assert "OPENBLAS_CORETYPE=Haswell was set" in restraint
