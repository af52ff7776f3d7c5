"""MNIST and Fashion-MNIST: where they are looked for, and four files that must fit one another."""

import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastnn import datasets
from fastnn.datasets import DataError
from fastnn.datasets.mnist import (
    FILES,
    IDX_DATASETS,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
)

BOTH = pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture
def no_system_data(monkeypatch):
    for name, description in IDX_DATASETS.items():
        monkeypatch.setitem(IDX_DATASETS, name, replace(description, system_directories=()))


def unpack(directory):
    for path in directory.glob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()


@BOTH
def test_mnist_from_a_directory(name, idx_directory, pixels):
    data = datasets.load(name, data_dir=idx_directory)
    assert data.name == name
    assert len(data.classes) == 10
    np.testing.assert_array_equal(data.x_train * 255, pixels[0].reshape(30, 20))
    np.testing.assert_array_equal(data.x_test * 255, pixels[1].reshape(10, 20))
    np.testing.assert_array_equal(data.y_train, np.arange(30) % 10)
    np.testing.assert_array_equal(data.y_test, np.arange(10))


def test_compressed_or_raw_is_the_same(idx_directory):
    compressed = datasets.load("mnist", data_dir=idx_directory).fingerprint
    unpack(idx_directory)
    assert datasets.load("mnist", data_dir=idx_directory).fingerprint == compressed


def test_the_compressed_file_wins(idx_directory):
    (idx_directory / TRAIN_LABELS).write_bytes(b"half a download")
    assert len(datasets.load("mnist", data_dir=idx_directory).y_train) == 30


def test_a_directory_of_its_own_within_data_dir(idx_directory):
    own = idx_directory / "mnist"
    own.mkdir()
    for path in idx_directory.glob("*.gz"):
        shutil.copy(path, own)
    for path in idx_directory.glob("*.gz"):
        path.write_bytes(b"")
    assert len(datasets.load("mnist", data_dir=idx_directory).x_train) == 30


def test_mnist_from_the_cache(idx_directory, cache):
    shutil.copytree(idx_directory, cache / "mnist")
    assert len(datasets.load("mnist").x_train) == 30


def test_mnist_from_a_system_directory(idx_directory, cache, monkeypatch):
    there = replace(IDX_DATASETS["mnist"], system_directories=(idx_directory,))
    monkeypatch.setitem(IDX_DATASETS, "mnist", there)
    assert len(datasets.load("mnist").x_train) == 30


@BOTH
@pytest.mark.usefixtures("no_system_data")
def test_missing_data_names_the_place_and_the_command(name, cache):
    with pytest.raises(DataError) as error:
        datasets.load(name)
    message = str(error.value)
    assert message.startswith(f"{name} is not in {cache / name} (missing: the directory)")
    assert f"`fastnn data fetch {name}`" in message
    assert "--data-dir" in message
    assert "\n" not in message
    assert not cache.exists()


def test_data_dir_is_the_only_place(tmp_path, idx_directory, cache):
    shutil.copytree(idx_directory, cache / "mnist")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=str(empty)) as error:
        datasets.load("mnist", data_dir=empty)
    assert str(cache) not in str(error.value)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(file, idx_directory):
    (idx_directory / f"{file}.gz").unlink()
    with pytest.raises(DataError, match=rf"{idx_directory} \(missing: {file}\[\.gz\]\)"):
        datasets.load("mnist", data_dir=idx_directory)


def test_images_and_labels_that_disagree_are_refused(idx, idx_directory):
    (idx_directory / f"{TRAIN_LABELS}.gz").write_bytes(idx(np.zeros(29, np.uint8)))
    message = f"{TRAIN_IMAGES}.gz has 30 samples, .*{TRAIN_LABELS}.gz has 29"
    with pytest.raises(DataError, match=message):
        datasets.load("mnist", data_dir=idx_directory)


def test_training_and_test_images_that_disagree_are_refused(idx, idx_directory):
    (idx_directory / f"{TEST_IMAGES}.gz").write_bytes(idx(np.zeros((10, 5, 5), np.uint8)))
    with pytest.raises(DataError, match=r"mnist: .* x_test \(10, 25\).* x_train \(30, 20\)"):
        datasets.load("mnist", data_dir=idx_directory)


def test_label_out_of_range_is_refused(idx, idx_directory):
    path = idx_directory / f"{TEST_LABELS}.gz"
    path.write_bytes(idx(np.array([*range(9), 10], np.uint8)))
    with pytest.raises(DataError, match=rf"{path}\[9\] is label 10; 0 to 9 are allowed"):
        datasets.load("mnist", data_dir=idx_directory)


@pytest.mark.parametrize("file", [TRAIN_IMAGES, TEST_LABELS])
def test_files_without_samples_are_refused(file, idx, idx_directory, idx_files):
    dimensions = idx_files[file][3]
    shape = (0, 4, 5)[:dimensions]
    path = idx_directory / f"{file}.gz"
    path.write_bytes(idx(np.zeros(shape, np.uint8)))
    with pytest.raises(DataError, match=r"has 0 samples|is empty"):
        datasets.load("mnist", data_dir=idx_directory)


@BOTH
def test_idx_datasets_are_complete(name):
    description = IDX_DATASETS[name]
    assert tuple(description.checksums) == FILES
    assert len(description.mirrors) == 2
    assert all(mirror.endswith("/") for mirror in description.mirrors)
    assert len(set(description.classes)) == 10
    lengths = {"sha256": 64, "md5": 32}
    for checksum in description.checksums.values():
        algorithm, _, digest = checksum.partition(":")
        assert len(bytes.fromhex(digest)) * 2 == lengths[algorithm]


@pytest.mark.skipif(
    not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)
def test_fashion_mnist_as_debian_ships_it(cache):
    data = datasets.load("fashion-mnist")
    assert data.x_train.shape == (60000, 784)
    assert data.x_test.shape == (10000, 784)
    assert np.bincount(data.y_train).tolist() == [6000] * 10
    assert np.bincount(data.y_test).tolist() == [1000] * 10
    assert (data.x_train.min(), data.x_train.max()) == (0, 1)
    # The mean and standard deviation that everybody normalises this data with.
    assert data.x_train.mean(dtype=np.float64) == pytest.approx(0.2860, abs=5e-5)
    assert data.x_train.std(dtype=np.float64) == pytest.approx(0.3530, abs=5e-5)
    assert [data.classes[label] for label in data.y_train[:3]] == [
        "Ankle boot",
        "T-shirt/top",
        "T-shirt/top",
    ]
