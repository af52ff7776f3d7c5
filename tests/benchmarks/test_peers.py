"""The comparison with other libraries: everything that needs none of them."""

import json
import platform
import subprocess
import sys
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.peers import __main__ as command
from benchmarks.peers import compare as comparison
from benchmarks.peers import libraries
from benchmarks.peers.compare import deviation, peaks_of_memory, timed, trained
from benchmarks.peers.libraries import FASTNN, LIBRARIES, Library, with_fastnn, with_numpy
from benchmarks.peers.problems import initial_weights, load
from benchmarks.peers.processes import ROOT, Worker, WorkerError, environment
from benchmarks.peers.tasks import TASKS, Task
from benchmarks.peers.worker import printed_accuracy
from fastnn import datasets
from fastnn.kernels.runtime.denormals import REGISTERS

CLASSIFICATION = Task("training", (12, 9, 7, 5), 8, "noise", 40)
REGRESSION = Task("training", (4, 6, 4), 10, "matrices", 30, activation="tanh")
INFERENCE = Task("inference", (4, 2), 1, "noise", 1)


class EnoughError(Exception):
    pass


def epoch_losses(library, task, epochs=4):
    losses = []

    def on_epoch(loss=None):
        if loss is not None:
            losses.append(loss)
        if len(losses) == epochs:
            raise EnoughError

    with pytest.raises(EnoughError):
        library.training(load(task, "."), on_epoch)
    return losses


@pytest.mark.parametrize(("optimizer", "learning_rate"), [("sgd", 0.1), ("adam", 0.01)])
@pytest.mark.parametrize(
    "task",
    [CLASSIFICATION, REGRESSION, replace(REGRESSION, batch_size=30)],
    ids=["classification", "regression", "full-batch"],
)
def test_with_numpy_training_has_the_losses_of_fastnn(task, optimizer, learning_rate):
    task = replace(task, optimizer=optimizer, learning_rate=learning_rate)
    losses = epoch_losses(with_fastnn, task)
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(epoch_losses(with_numpy, task), losses, rtol=1e-4)


@pytest.mark.parametrize("task", [CLASSIFICATION, REGRESSION])
def test_with_numpy_gradient_is_that_of_fastnn(task):
    problem = load(replace(task, kind="gradient", batch_size=task.samples), ".")
    (loss, gradients), (expected, own) = (
        library.gradient(problem)() for library in (with_numpy, with_fastnn)
    )
    assert loss == pytest.approx(expected, rel=1e-5)
    for gradient, expected in zip(gradients, own, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_with_numpy_inference_has_the_outputs_of_fastnn():
    problem = load(replace(CLASSIFICATION, kind="inference", batch_size=40), ".")
    own = with_fastnn.inference(problem)()
    np.testing.assert_allclose(with_numpy.inference(problem)(), own, rtol=1e-4, atol=1e-6)


def test_with_fastnn_fit_trains_from_the_start_each_time():
    fit = with_fastnn.fit(load(replace(CLASSIFICATION, kind="fit", epochs=2), "."))
    losses = fit()
    assert losses[1] < losses[0]
    assert fit() == losses


def test_with_fastnn_fma_peak_is_plausible():
    assert 1e9 < with_fastnn.fma_peak() < 1e12


def test_problem_orders_are_new_each_epoch_and_the_same_each_time():
    problem = load(CLASSIFICATION, ".")
    first, second = islice(problem.orders(), 2)
    assert (first != second).any()
    np.testing.assert_array_equal(first, next(problem.orders()))


def test_problem_of_matrices_has_their_exponentials_as_targets():
    problem = load(Task("training", (4, 4), 100, "matrices", 100), ".")
    x, y = (each.reshape(-1, 2, 2).astype(float) for each in (problem.x, problem.y))
    # det(exp(x)) = exp(trace(x))
    np.testing.assert_allclose(
        np.linalg.det(y), np.exp(np.trace(x, axis1=1, axis2=2)), rtol=1e-4, atol=1e-5
    )


def test_initial_weights_have_the_shapes_of_the_layers():
    shapes = [(weights.shape, bias.shape) for weights, bias in initial_weights((5, 4, 3))]
    assert shapes == [((5, 4), (4,)), ((4, 3), (3,))]


def test_load_refuses_too_few_samples(tmp_path):
    np.save(tmp_path / "digits-x.npy", np.zeros((10, 64), np.float32))
    np.save(tmp_path / "digits-y.npy", np.zeros(10, np.int64))
    with pytest.raises(ValueError, match="digits has 10 samples; 32 are needed"):
        load(Task("training", (64, 10), 32, "digits", 32), tmp_path)


def test_tasks_have_names_of_their_own_and_whole_batches():
    assert len({task.name for task in TASKS}) == len(TASKS)
    kinds = {kind for library in LIBRARIES for kind in library.kinds}
    for each in TASKS:
        assert each.kind in kinds
        for task in (each, each.shortened()):
            assert task.samples % task.batch_size == 0
            assert task.samples > 0


def test_task_names_are_the_rows_of_earlier_tables():
    assert [task.name for task in TASKS[3:8]] == [
        "a step of 784-512-512-10, batch 64, adam",
        "a step of 64-32-10, batch 32, sgd",
        "loss and gradient of 24-8-2, 200 samples",
        "a step of 4-32-16-4, batch 10,000, adam",
        "inference of 24-8-2, batch 1",
    ]
    assert [task.name for task in TASKS[-7:]] == [
        "inference of 784-512-512-10, batch 1,024",
        "the whole of fit, 784-512-512-10, batch 64, sgd",
        "fastnn train on digits, the whole process",
        "peak memory of an epoch of Fashion-MNIST, 784-128-10",
        "an epoch of Fashion-MNIST, 784-128-10, batch 64, adam, after 5",
        "an epoch of Fashion-MNIST, 784-128-10, batch 32, adam, after 5",
        "an epoch of Fashion-MNIST, 784-128-10, batch 64, sgd, after 5",
    ]


def test_task_flops_leave_out_the_gradient_of_the_input():
    task = Task("training", (3, 5, 2), 7, "noise", 21, epochs=2)
    step = 2 * 7 * (3 * (15 + 10) - 15)
    assert task.flops == step
    assert replace(task, kind="fit").flops == 3 * 2 * step
    assert replace(task, kind="epoch").flops == 3 * step
    assert replace(task, kind="inference").flops == 2 * 7 * (15 + 10)


def test_task_is_done_with_the_threads_that_it_is_for():
    done = {
        threads: [n for n in (1, 2, 4) if replace(INFERENCE, threads=threads).is_for(n, (1, 2, 4))]
        for threads in ("all", "fewest", "most")
    }
    assert done == {"all": [1, 2, 4], "fewest": [1], "most": [4]}


def library(name):
    return next(each for each in LIBRARIES if each.name == name)


def test_libraries_have_a_function_for_each_kind_of_task():
    for name, module in ((FASTNN, with_fastnn), ("NumPy", with_numpy)):
        for kind in library(name).kinds:
            assert hasattr(module, "training" if kind in {"memory", "epoch"} else kind)
        assert hasattr(module, "denormals")


def test_libraries_that_lack_a_package_are_missing(monkeypatch):
    monkeypatch.setattr(libraries, "_version", lambda package: None if package == "onnx" else "1")
    assert library("onnxruntime").missing() == ["onnx"]
    assert library("PyTorch").missing() == []
    assert libraries.versions()["onnx"] is None


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    directory = tmp_path_factory.mktemp("samples")
    with (
        Worker(library(FASTNN), 1, directory) as fastnn,
        Worker(library("NumPy"), 1, directory) as numpy,
    ):
        yield [fastnn, numpy]


def test_timed_gives_each_library_its_rounds_task_after_task(workers):
    results, peaks = timed(CLASSIFICATION, 1, workers, 3)
    assert [len(each["seconds"]) for each in results.values()] == [3, 3]
    assert len(peaks) == 3
    gradient = replace(CLASSIFICATION, kind="gradient", batch_size=40)
    results, peaks = timed(gradient, 1, workers, 2)
    assert [len(each["seconds"]) for each in results.values()] == [2, 2]
    assert results["NumPy"]["deviation"] < 1e-4
    assert not peaks


EPOCH = replace(CLASSIFICATION, kind="epoch", epochs=2)


def test_trained_times_epochs_after_others_of_the_same_training(workers):
    results, peaks = trained(EPOCH, 1, workers, 3)
    for result in results.values():
        assert len(result["seconds"]) == 3
        assert result["epochs"][2:] == result["seconds"]
        assert len(result["epochs"]) == len(result["losses"]) == 5
        assert result["losses"] == sorted(result["losses"], reverse=True)  # it goes on and on
    assert results["NumPy"]["deviation"] < 1e-3
    assert len(peaks) == 5
    again, _ = trained(EPOCH, 1, workers, 3)
    assert again[FASTNN]["losses"] == results[FASTNN]["losses"]  # each from the start


def test_trained_refuses_other_losses_at_the_beginning_and_in_epochs(workers, monkeypatch):
    monkeypatch.setitem(comparison.TOLERANCE, "epoch", 1e-12)
    results, _ = trained(EPOCH, 1, workers, 1)
    assert "another answer than FastNN's" in results["NumPy"]["error"]
    assert len(results[FASTNN]["seconds"]) == 1
    monkeypatch.setitem(comparison.TOLERANCE, "training", 1e-12)
    results, _ = trained(EPOCH, 1, workers, 1)
    assert "another answer than FastNN's" in results["NumPy"]["error"]


def test_trained_says_why_a_library_cannot_and_goes_on(workers):
    digits = Task("epoch", (64, 10), 32, "digits", 32, epochs=2)
    results, _ = trained(digits, 1, workers, 2)
    assert list(results) == [FASTNN]
    assert "FileNotFoundError" in results[FASTNN]["error"]
    assert len(trained(EPOCH, 1, workers, 2)[0]["NumPy"]["seconds"]) == 2


def test_beginning_is_no_longer_than_the_task():
    long = Task("epoch", (784, 10), 64, "fashion-mnist", 64 * 937, epochs=5)
    assert comparison.beginning(long).steps == 200
    assert comparison.beginning(EPOCH) == replace(EPOCH, kind="training", epochs=1)


# What becomes of denormal numbers on the threads that compute, by library.
MODES = {
    FASTNN: "flushed",
    "FastNN keeping": "kept",
    "NumPy": "kept",
    "PyTorch": "kept",
    "PyTorch flushing": "flushed",
    "JAX scan": "flushed",
    "scikit-learn": "kept",
}


@pytest.mark.parametrize("name", MODES)
def test_denormals_become_what_the_mode_says(name, tmp_path):
    if missing := library(name).missing():
        pytest.skip(f"not installed: {', '.join(missing)}")
    if name == FASTNN and platform.machine() not in REGISTERS:
        pytest.skip("no mode for denormals is known of this processor")
    with Worker(library(name), 1, tmp_path) as worker:
        worker.begin(CLASSIFICATION)  # as PyTorch's mode is set where a training begins
        asked = worker.ask(ask="denormals", options=worker.library.options)
    assert asked["answer"] == MODES[name]


def test_modes_are_those_of_all_libraries_that_do_epochs():
    assert {each.name for each in LIBRARIES if "epoch" in each.kinds} == {*MODES}


def test_timed_says_why_a_library_cannot_and_goes_on(workers):
    digits = Task("training", (64, 10), 32, "digits", 32)
    results, _ = timed(digits, 1, workers, 2)
    assert list(results) == [FASTNN]  # nothing to compare with
    assert "FileNotFoundError" in results[FASTNN]["error"]
    results, _ = timed(replace(CLASSIFICATION, kind="fit"), 1, workers, 2)
    assert len(results[FASTNN]["seconds"]) == 2
    assert "no attribute 'fit'" in results["NumPy"]["error"]
    results, _ = timed(CLASSIFICATION, 1, workers, 1)
    assert len(results["NumPy"]["seconds"]) == 1


def test_peaks_of_memory_are_those_of_processes_and_not_of_their_parent(tmp_path):
    samples = 64 * 30
    np.save(tmp_path / "digits-x.npy", np.ones((samples, 4096), np.float32))  # 30 MiB
    np.save(tmp_path / "digits-y.npy", np.zeros(samples, np.int64))
    task = Task("memory", (4096, 10), 64, "digits", samples)
    held = np.ones(2**28, np.uint8)  # by this process
    processes = (Worker(library("NumPy"), 1, tmp_path) for _ in range(2))
    results = peaks_of_memory(task, processes)
    assert held.nbytes > results["NumPy"]["bytes"] > 2**25


def test_worker_process_that_cannot_start_says_why(tmp_path):
    nobody = Library("nobody", "with_nobody", (), ("training",))
    with (
        Worker(nobody, 1, tmp_path) as worker,
        pytest.raises(WorkerError, match="with_nobody"),
    ):
        worker.begin(CLASSIFICATION)


def test_worker_imports_neither_numba_nor_another_library_by_itself():
    code = (
        "import sys, benchmarks.peers.worker\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert not {"numba", "scipy", "typer", "rich", "torch"} & {*run.stdout.decode().split()}


def test_environment_sets_threads_and_unsets_what_restrains_blas(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    made = environment(2)
    assert "OPENBLAS_CORETYPE" not in made
    assert made["OMP_NUM_THREADS"] == made["NUMBA_NUM_THREADS"] == "2"


def test_printed_accuracy_is_what_a_command_prints():
    assert printed_accuracy([sys.executable, "-c", "print('test accuracy 0.9750')"]) == [0.975]
    with pytest.raises(RuntimeError, match="it fell over"):
        printed_accuracy([sys.executable, "-c", "raise SystemExit('it fell over')"])


def test_deviation_above_the_tolerance_is_refused():
    assert deviation(CLASSIFICATION, [1.0, 0.5001], [1.0, 0.5]) == pytest.approx(2e-4)
    for wrong in ([1.0, 0.51], [1.0, float("nan")]):
        with pytest.raises(WorkerError, match="another answer than FastNN's"):
            deviation(CLASSIFICATION, wrong, [1.0, 0.5])


def test_missing_data_leaves_out_its_rows_and_is_named_once(monkeypatch, tmp_path):
    load = datasets.load

    def load_some(name):
        if name == "fashion-mnist":
            raise datasets.DataError("fashion-mnist is not there")
        return load(name)

    monkeypatch.setattr(command.datasets, "load", load_some)
    monkeypatch.setattr(command, "run", lambda tasks, *_: [{"name": task.name} for task in tasks])
    monkeypatch.setattr(command.reports, "tables", lambda report: [])
    monkeypatch.setattr(command.reports, "notes", lambda report: report["missing_data"])
    app = command.typer.Typer()
    app.command()(command.main)
    done = CliRunner().invoke(app, ["--quick", "--json", str(tmp_path / "peers.json")])
    assert done.output.count("fashion-mnist is not there") == 1
    names = [row["name"] for row in json.loads((tmp_path / "peers.json").read_text())["rows"]]
    assert "a step of 64-32-10, batch 32, sgd" in names
    assert "inference of 784-128-10, batch 64" in names
    assert not any("fit" in name or "Fashion" in name or "of 784" in name[:12] for name in names)


def test_write_samples_holds_the_training_samples_of_a_data_set(tmp_path):
    assert command.write_samples({"digits", "noise"}, tmp_path) == {}
    x = np.load(tmp_path / "digits-x.npy")
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, datasets.load("digits").x_train)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits-x.npy", "digits-y.npy"]
