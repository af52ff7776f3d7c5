import json

import pytest


def test_evaluate_gives_what_the_training_ended_with(fastnn, digits_run, named):
    for run in (digits_run, named[1]):
        report = json.loads((run / "run.json").read_text())
        found = fastnn("evaluate", run, "--json").json
        assert found["test_accuracy"] == report["test_accuracy"]
        assert found["test_loss"] == pytest.approx(report["test_loss"], rel=1e-6)
        assert found["kernel"] == "numpy"
        assert found["samples"] == report["samples"]["test"]


def test_evaluate_a_file_under_another_kernel(fastnn, digits_run):
    path = digits_run / "weights.safetensors"
    options = ("--data", "digits", "--kernel", "numba-naive", "--threads", "1", "--json")
    found = fastnn("evaluate", path, *options).json
    report = json.loads((digits_run / "run.json").read_text())
    assert (found["kernel"], found["threads"]) == ("numba-naive", 1)
    assert found["test_accuracy"] == report["test_accuracy"]


def test_evaluate_text_is_one_line(fastnn, digits_run):
    result = fastnn("evaluate", digits_run)
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("test accuracy 0.")
    assert len(result.out.splitlines()) == 1


def test_evaluate_a_file_needs_the_data(fastnn, digits_run):
    path = digits_run / "weights.safetensors"
    fastnn("evaluate", path).assert_error(str(path), "name the data")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_model_refuses_data_that_do_not_fit_the_network(fastnn, digits_run, command):
    fastnn(command, digits_run, "--data", "sine").assert_error("64 features", "sine has 1")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda content: content[:-100], "not a whole safetensors"),
        (lambda content: content[:5], "not a whole safetensors"),
        (lambda content: b"<html>", "not a whole safetensors"),
        (lambda content: content.replace(b"ReLU", b"Lure"), "a layer Lure"),
        (
            lambda content: content.replace(b'n_in\\": 16', b'n_in\\": 17'),
            "does not hold a FastNN network",
        ),
    ],
)
def test_model_refuses_a_file_that_is_not_a_network(
    fastnn, digits_run, tmp_path, command, spoil, part
):
    good = (digits_run / "weights.safetensors").read_bytes()
    assert spoil(good) != good
    path = tmp_path / "model.safetensors"
    path.write_bytes(spoil(good))
    fastnn(command, path, "--data", "digits").assert_error(str(path), part)


def test_evaluate_refuses_the_file_of_a_training(fastnn, digits_run):
    path = digits_run / "training.safetensors"
    fastnn("evaluate", path, "--data", "digits").assert_error(str(path))


def test_evaluate_refuses_a_directory_without_a_run(fastnn, tmp_path):
    fastnn("evaluate", tmp_path).assert_error(str(tmp_path), "does not hold a run")
