"""`datasets.load`: names, files, and what it refuses."""

import subprocess
import sys

import numpy as np
import pytest

from fastnn import datasets
from fastnn.datasets import DataError

OFFLINE = ("digits", "sine", "spirals")


def test_every_name_has_a_summary():
    assert datasets.names() == ("digits", "mnist", "fashion-mnist", "sine", "spirals")
    for name in datasets.names():
        assert datasets.summary(name)


@pytest.mark.parametrize("name", OFFLINE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_load_returns_arrays_as_documented(name, dtype):
    data = datasets.load(name, dtype=dtype)
    assert data.name == name
    for x in (data.x_train, data.x_test):
        assert x.dtype == dtype
        assert x.flags.c_contiguous
        assert x.shape[1] == data.n_features
    if data.task == "classification":
        assert data.y_train.dtype == data.y_test.dtype == np.int64
        assert set(data.y_train) == set(data.y_test) == set(range(data.n_outputs))
    else:
        assert data.y_train.dtype == data.y_test.dtype == dtype
        assert data.y_train.shape[1] == data.y_test.shape[1] == data.n_outputs


@pytest.mark.parametrize("name", OFFLINE)
def test_a_seed_gives_the_same_data(name):
    first, second = datasets.load(name, rng=3), datasets.load(name, rng=np.random.default_rng(3))
    assert first.fingerprint == second.fingerprint


def test_another_seed_gives_other_spirals():
    first, second = (datasets.load("spirals", rng=seed) for seed in (0, 1))
    assert first.fingerprint != second.fingerprint


def test_unknown_name_is_refused_with_a_list():
    with pytest.raises(DataError, match=r"'digitz'.*digits, mnist, .*spirals.*\.npz or \.csv"):
        datasets.load("digitz")


def test_unknown_ending_is_refused():
    with pytest.raises(DataError, match=r"table\.xlsx.*\.npz or \.csv"):
        datasets.load("table.xlsx")


@pytest.mark.parametrize("source", ["digits", "sine", "own.csv"])
def test_data_dir_of_other_sources_is_refused(source, tmp_path):
    with pytest.raises(DataError, match=f"{source} is not read from a data directory; only mnist"):
        datasets.load(source, data_dir=tmp_path)


@pytest.mark.parametrize("dtype", ["float16", "int64", "flaot32", ">f4"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match=f"{dtype}.* not allowed; float32 and float64 are"):
        datasets.load("digits", dtype=dtype)


@pytest.mark.parametrize("ending", [".csv", ".npz", ".CSV"])
def test_missing_file_is_refused(tmp_path, ending):
    with pytest.raises(DataError, match=f"none{ending}: No such file or directory"):
        datasets.load(tmp_path / f"none{ending}")


@pytest.mark.parametrize("ending", [".csv", ".npz"])
def test_directory_in_place_of_a_file_is_refused(tmp_path, ending):
    path = tmp_path / f"directory{ending}"
    path.mkdir()
    with pytest.raises(DataError, match=f"{path}: "):
        datasets.load(path)


@pytest.mark.parametrize("ending", [".csv", ".npz"])
def test_html_in_place_of_a_file_is_refused(tmp_path, ending):
    path = tmp_path / f"page{ending}"
    path.write_text("<!DOCTYPE html>\n<html><body>Please, log in</body></html>\n")
    with pytest.raises(DataError, match=f"{path}: an HTML page"):
        datasets.load(path)


def test_loading_opens_no_connection(tmp_path):
    """In a process of its own, where every socket is refused, from the import on."""
    code = (
        "import sys\n"
        "def refuse(event, args):\n"
        "    if event.startswith('socket.'):\n"
        "        raise SystemExit(f'network used: {event} {args}')\n"
        "sys.addaudithook(refuse)\n"
        "from fastnn import datasets\n"
        "datasets.load('digits')\n"
        "try:\n"
        f"    datasets.load('mnist', data_dir={str(tmp_path)!r})\n"
        "except datasets.DataError:\n"
        "    print('no network')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("no network\n", 0), done.stderr
