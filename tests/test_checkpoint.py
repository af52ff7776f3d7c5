import errno
import stat
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from fastnn import (
    SGD,
    Adam,
    Dense,
    Dropout,
    LeakyReLU,
    Sequential,
    SoftmaxCrossEntropy,
    fit,
)
from fastnn.callbacks import Checkpoint
from fastnn.checkpoint import CheckpointError, load_network, load_training, save_network

X = np.random.default_rng(0).normal(size=(12, 4))
Y = np.arange(12) % 3


def network(hidden=5, **options):
    return Sequential([Dense(4, hidden), LeakyReLU(0.1), Dropout(0.3), Dense(hidden, 3)], **options)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_network(network(), path)
    return path


@pytest.fixture
def trained(tmp_path):
    path = tmp_path / "training.safetensors"
    loss, callbacks = SoftmaxCrossEntropy(), [Checkpoint(path)]
    fit(network(), X, Y, loss=loss, optimizer=Adam(), epochs=2, callbacks=callbacks)
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_comes_back_as_it_was(tmp_path, dtype):
    net = network(dtype=dtype, rng=8)
    save_network(net, tmp_path / "w.safetensors")
    again = load_network(tmp_path / "w.safetensors", kernel="numpy")
    assert repr(again) == repr(net).replace("'numba'", "'numpy'")
    assert (again.parameters.flat == net.parameters.flat).all()
    names = safetensors.numpy.load_file(tmp_path / "w.safetensors")
    assert set(names) == set(net.parameters)


def test_damaged_and_foreign_files_are_refused(tmp_path, saved):
    content = saved.read_bytes()
    other = tmp_path / "other.safetensors"
    for damaged in (content[:-1], content[: len(content) // 2], content[:5], b"", b"<html>" * 9):
        other.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"other\.safetensors is no whole safetensors"):
            load_network(other)
    safetensors.numpy.save_file({"w": np.ones(3)}, other)
    with pytest.raises(CheckpointError, match="holds no FastNN network"):
        load_network(other)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_network(tmp_path / "none.safetensors")
    with pytest.raises(FileNotFoundError):
        load_network(tmp_path)


@pytest.mark.parametrize(
    ("net", "optimizer", "message"),
    [
        (lambda: network(hidden=6), Adam, "another network"),
        (lambda: network(dtype="float64"), Adam, "another network"),
        (network, lambda: SGD(0.1), "was trained by Adam"),
    ],
)
def test_a_training_of_another_kind_is_refused(trained, net, optimizer, message):
    net = net()
    before = net.parameters.flat.copy()
    with pytest.raises(CheckpointError, match=message):
        load_training(trained, net, optimizer())
    assert (net.parameters.flat == before).all()


def test_weights_are_no_training(saved):
    with pytest.raises(CheckpointError, match="holds no FastNN training"):
        load_training(saved, network(), Adam())


def test_a_full_disk_leaves_the_old_file(monkeypatch, saved):
    before = saved.read_bytes()

    def write_half(self, content):
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OSError, match="No space left"):
        save_network(network(rng=9), saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_files_are_as_readable_as_any_other(tmp_path, saved):
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
