"""The comparison with other libraries: all of it that needs none of them."""

import pkgutil
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

import benchmarks
from benchmarks.peers import names, report
from benchmarks.peers.compare import check, holds, run_row, spread, summary
from benchmarks.peers.libraries import with_fastnn, with_numpy
from benchmarks.peers.names import LIBRARIES, Library
from benchmarks.peers.problems import initial_weights, load
from benchmarks.peers.processes import Worker, WorkerError, environment
from benchmarks.peers.rows import INFERENCE_MEAN, ROWS, Row, Task, shortened

CLASSIFICATION = Task("training", (12, 9, 7, 5), 8, "noise", 40)
REGRESSION = Task("training", (4, 6, 4), 10, "matrices", 30, activation="tanh")


class EnoughError(Exception):
    pass


def epoch_losses(library, task, epochs=4):
    losses = []

    def on_epoch(loss):
        losses.append(loss)
        if len(losses) == epochs:
            raise EnoughError

    with pytest.raises(EnoughError):
        library.train(load(task, "."), on_epoch)
    return losses


@pytest.mark.parametrize(("optimizer", "learning_rate"), [("sgd", 0.1), ("adam", 0.01)])
@pytest.mark.parametrize(
    "task",
    [CLASSIFICATION, REGRESSION, replace(REGRESSION, batch_size=30)],
    ids=["classification", "regression", "full-batch"],
)
def test_numpy_by_hand_comes_to_the_losses_of_fastnn(task, optimizer, learning_rate):
    task = replace(task, optimizer=optimizer, learning_rate=learning_rate)
    losses = epoch_losses(with_fastnn, task)
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(epoch_losses(with_numpy, task), losses, rtol=1e-4)


@pytest.mark.parametrize("task", [CLASSIFICATION, REGRESSION])
def test_numpy_by_hand_comes_to_the_gradient_of_fastnn(task):
    problem = load(replace(task, kind="gradient", batch_size=task.samples), ".")
    (loss, gradients), (expected, own) = (
        library.loss_and_gradient(problem)() for library in (with_numpy, with_fastnn)
    )
    assert loss == pytest.approx(expected, rel=1e-5)
    for gradient, expected in zip(gradients, own, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_numpy_by_hand_comes_to_the_outputs_of_fastnn():
    problem = load(replace(CLASSIFICATION, kind="inference", batch_size=40), ".")
    own = with_fastnn.inference(problem)(problem.x)
    np.testing.assert_allclose(with_numpy.inference(problem)(problem.x), own, rtol=1e-4, atol=1e-6)


def test_orders_are_new_each_epoch_and_the_same_each_time():
    problem = load(CLASSIFICATION, ".")
    first, second = islice(problem.orders(), 2)
    assert (first != second).any()
    np.testing.assert_array_equal(first, next(problem.orders()))


def test_matrices_have_their_exponentials_as_targets():
    problem = load(Task("training", (4, 4), 100, "matrices", 100), ".")
    x, y = (each.reshape(-1, 2, 2).astype(float) for each in (problem.x, problem.y))
    # det(exp(x)) = exp(trace(x))
    np.testing.assert_allclose(
        np.linalg.det(y), np.exp(np.trace(x, axis1=1, axis2=2)), rtol=1e-4, atol=1e-5
    )


def test_weights_have_the_shapes_of_the_layers():
    shapes = [(weights.shape, bias.shape) for weights, bias in initial_weights((5, 4, 3))]
    assert shapes == [((5, 4), (4,)), ((4, 3), (3,))]


def test_too_few_samples_are_refused(tmp_path):
    np.save(tmp_path / "digits-x.npy", np.zeros((10, 64), np.float32))
    np.save(tmp_path / "digits-y.npy", np.zeros(10, np.int64))
    with pytest.raises(ValueError, match="digits has 10 samples; 32 are needed"):
        load(Task("training", (64, 10), 32, "digits", 32), tmp_path)


def test_every_row_has_whole_batches_and_names_known_libraries():
    known = {library.name for library in LIBRARIES} | {"JAX"}
    assert len({(row.name, row.threads) for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert set(row.bars) <= known
        for task in (row.task, shortened(row.task)):
            assert task.samples % task.batch_size == 0
            assert task.samples > 0


def test_flops_of_a_step_leave_out_the_first_input_gradient():
    assert Task("training", (3, 5, 2), 7, "noise", 7).flops == 2 * 7 * (3 * (15 + 10) - 15)
    assert Task("inference", (3, 5, 2), 7, "noise", 7).flops == 2 * 7 * (15 + 10)


def test_asv_does_not_meet_what_imports_other_libraries():
    found = {module.name for module in pkgutil.iter_modules(benchmarks.__path__)}
    assert "training" in found
    assert "peers" not in found


def library(name):
    return next(each for each in LIBRARIES if each.name == name)


def test_workers_take_turns(tmp_path):
    row = Row("a step", 1, CLASSIFICATION, {"NumPy": 0.0, "JAX": 1.0})
    with (
        Worker(library("FastNN"), 1, tmp_path) as fastnn,
        Worker(library("NumPy"), 1, tmp_path) as numpy,
    ):
        result = run_row(row, [fastnn, numpy], rounds=3)
        gradient = replace(CLASSIFICATION, kind="gradient", batch_size=40)
        again = run_row(Row("gradient", 1, gradient, {"NumPy": 0.0}), [fastnn, numpy], rounds=2)
    assert [len(each["seconds"]) for each in result["results"].values()] == [3, 3]
    assert result["results"]["NumPy"]["ratio"] > 0
    assert result["holds"] == {"NumPy": True, "JAX": None}
    assert again["holds"] == {"NumPy": True}


def test_a_worker_says_why_it_can_not(tmp_path):
    digits = Task("training", (64, 10), 32, "digits", 32)
    with Worker(library("NumPy"), 1, tmp_path) as worker:
        with pytest.raises(WorkerError, match="FileNotFoundError"):
            worker.begin(digits)
        assert worker.begin(replace(CLASSIFICATION, kind="fit")) is None  # only FastNN has one
        assert worker.begin(CLASSIFICATION)["values"]


def test_a_process_that_can_not_start_says_why(tmp_path):
    with (
        Worker(Library("nobody", "with_nobody", ()), 1, tmp_path) as worker,
        pytest.raises(WorkerError, match="with_nobody"),
    ):
        worker.begin(CLASSIFICATION)


def test_environment_of_a_process(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    made = environment(2)
    assert "OPENBLAS_CORETYPE" not in made
    assert made["OMP_NUM_THREADS"] == made["NUMBA_NUM_THREADS"] == "2"


def test_another_loss_is_refused():
    row = Row("a step", 1, CLASSIFICATION)
    assert check(row, [1.0, 0.5001], [1.0, 0.5]) == pytest.approx(2e-4)
    for wrong in ([1.0, 0.51], [1.0, float("nan")]):
        with pytest.raises(WorkerError, match="another answer than FastNN's"):
            check(row, wrong, [1.0, 0.5])


def test_ratios_are_medians_of_pairs_and_jax_is_the_better_way():
    row = Row("a step", 1, CLASSIFICATION, {"JAX": 2.5, "NumPy": 1.5}, limit=2.0, share=0.5)
    results = {
        "FastNN": {"seconds": [1.0, 2.0, 4.0]},
        "NumPy": {"seconds": [2.0, 2.0, 4.0]},
        "JAX step": {"seconds": [4.0, 8.0, 16.0]},
        "JAX scan": {"seconds": [2.0, 4.0, 8.0]},
        "PyTorch": {"error": "it fell over"},
    }
    peak = CLASSIFICATION.flops  # a flop a ... second: FastNN's median is 2 s, half of the peak
    result = summary(row, results, peak)
    assert result["results"]["NumPy"]["ratio"] == 1.0
    assert result["results"]["FastNN"]["share"] == pytest.approx(0.5)
    assert result["holds"] == {"JAX": False, "NumPy": False, "limit": True, "share": True}


def test_a_bar_without_a_measurement_is_unknown():
    row = Row("a step", 1, CLASSIFICATION, {"JAX": 2.0}, limit=1.0, share=0.5)
    assert holds(row, {"error": "it fell over"}, {}) == dict.fromkeys(("JAX", "limit", "share"))


def test_spread_is_the_middle_half():
    assert spread([1.0]) == 0.0
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 3)


@pytest.fixture
def measured():
    """What a run writes, with a library that is missing and one that failed."""
    inference = Task("inference", (4, 2), 1, "noise", 1)
    rows = [
        summary(
            Row("a step", 1, CLASSIFICATION, {"NumPy": 1.2, "PyTorch": 3.0, "JAX": 1.5}),
            {
                "FastNN": {"seconds": [1e-4, 1e-4]},
                "NumPy": {"seconds": [1.3e-4, 1.3e-4]},
                "JAX step": {"seconds": [1.6e-4, 1.6e-4]},
                "JAX scan": {"seconds": [1.4e-4, 1.4e-4]},
                "scikit-learn": {"error": "it fell over"},
            },
        ),
        *(
            summary(
                Row("inference", threads, inference, {"onnxruntime": 1.0}),
                {"FastNN": {"seconds": [1e-6]}, "onnxruntime": {"seconds": [seconds]}},
            )
            for threads, seconds in ((1, 1e-6), (2, 4e-6))
        ),
    ]
    missing, versions = ["PyTorch"], {"numpy": "2", "torch": None}
    return {"versions": versions, "missing": missing, "left_out": [], "rows": rows}


def test_table_shows_what_loses_fails_and_is_missing(measured):
    header, first, *_, last = report.lines(measured)
    cells = dict(zip(header, first, strict=True))
    assert header[:3] == ["work", "threads", "FastNN"]
    assert cells["NumPy"] == "130 µs\n1.30 ± 0.00 ×"
    assert cells["JAX"].startswith("140 µs")
    assert cells["PyTorch"] == "missing"
    assert cells["scikit-learn"] == "failed"
    assert cells["onnxruntime"] == "–"
    assert cells["holds"] == "no: JAX"
    assert last[header.index("onnxruntime")] == "2.00 ×"
    assert last[-1] == "yes"


def test_notes_name_what_is_missing_and_why_something_failed(measured):
    notes = "\n".join(report.notes(measured))
    assert "Not installed, so not measured: PyTorch." in notes
    assert "scikit-learn: it fell over" in notes
    assert "torch" not in notes


def test_markdown_is_a_table_with_one_line_a_row(measured):
    lines = report.markdown(measured).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(measured["rows"]) + 1
    assert len({line.count("|") for line in table}) == 1
    assert "130 µs<br>1.30 ± 0.00 ×" in table[2]


def test_failing_bars(measured):
    assert report.failing(measured) == [("a step", 1, "JAX")]
    for row in measured["rows"][1:]:
        row["results"]["onnxruntime"]["ratio"] = INFERENCE_MEAN * 0.9
    assert ("geometric mean of all inference", "", "onnxruntime") in report.failing(measured)


def test_a_library_without_its_package_is_missing(monkeypatch):
    monkeypatch.setattr(names, "_version", lambda package: None if package == "onnx" else "1")
    assert library("onnxruntime").missing() == ["onnx"]
    assert library("PyTorch").missing() == []
    assert names.versions()["onnx"] is None


def test_runs_are_merged_row_by_row(measured):
    other = measured | {"missing": ["JAX"], "rows": measured["rows"][:1]}
    both = report.merged([measured, other])
    assert both["missing"] == ["PyTorch", "JAX"]
    assert len(both["rows"]) == len(measured["rows"]) + 1
