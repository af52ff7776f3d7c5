import numpy as np
import pytest

from fastnn import Dense, Sequential
from fastnn.checkpoint import load_network, save_network
from fastnn.datasets import load


def test_predict_gives_the_predictions_of_the_network(fastnn, digits_run):
    net = load_network(digits_run / "weights.safetensors", kernel="numpy")
    outputs = net(load("digits").x_test)
    expected = outputs.argmax(axis=1).tolist()
    lines = fastnn("predict", digits_run, "--data", "digits").out.splitlines()
    assert lines == [str(label) for label in expected]
    path = digits_run / "weights.safetensors"
    report = fastnn("predict", path, "--data", "digits", "--kernel", "numpy", "--json").json
    assert report["predictions"] == expected  # a file knows no names, but labels
    assert report["outputs"] == outputs.tolist()


def test_predict_names_the_classes(fastnn, named, tmp_path):
    _, run = named
    path = tmp_path / "new.csv"
    path.write_text("x,y\n-2,0.5\n2,0\n")
    assert fastnn("predict", run, "--data", path).out == "low\nhigh\n"
    path.write_text("-2,0.5,?\n2,0,?\n")  # the target is not looked at
    assert fastnn("predict", run, "--data", path).out == "low\nhigh\n"
    np.savez(tmp_path / "new.npz", x=np.array([[-2, 0.5], [2, 0]]))
    assert fastnn("predict", run, "--data", tmp_path / "new.npz").out == "low\nhigh\n"


def test_predict_gives_the_values_of_a_regression(fastnn, tmp_path):
    one = Sequential([Dense(1, 1, weights=[[2.0]], bias=[0.1])])
    two = Sequential([Dense(1, 2, weights=[[2.0, -1.0]])])
    save_network(one, tmp_path / "one.safetensors")
    save_network(two, tmp_path / "two.safetensors")
    data = ("--data", tmp_path / "x.csv")
    data[1].write_text("0\n1.5\n")
    assert fastnn("predict", tmp_path / "one.safetensors", *data).out == "0.1\n3.1\n"
    assert fastnn("predict", tmp_path / "two.safetensors", *data).out == "0.0,0.0\n3.0,-1.5\n"
    report = fastnn("predict", tmp_path / "two.safetensors", *data, "--json").json
    assert report["predictions"] == report["outputs"] == [[0.0, 0.0], [3.0, -1.5]]


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("x.csv", "1,2,3\n", "3 cells; 64 features are needed"),
        ("x.csv", "", "no rows"),
        ("x.csv", ",".join(["nan"] * 64), "not a finite number"),
        ("x.txt", "1", ".npz or .csv"),
        ("x.npz", "1", "numpy.savez"),
    ],
)
def test_predict_refuses_features_that_cannot_be_read(
    fastnn, digits_run, tmp_path, name, content, part
):
    (tmp_path / name).write_text(content)
    fastnn("predict", digits_run, "--data", tmp_path / name).assert_error(name, part)


def test_predict_refuses_another_number_of_features_in_an_npz_file(fastnn, digits_run, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 3)))
    result = fastnn("predict", digits_run, "--data", tmp_path / "x.npz")
    result.assert_error("3 features per sample; 64 are needed")
