"""Networks and trainings on disk: all of them comes back, or an error says what is wrong."""

import errno
import json
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
    GlorotUniform,
    Layer,
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
def test_load_network_brings_back_what_was_saved(tmp_path, dtype):
    net = network(dtype=dtype, rng=8)
    save_network(net, tmp_path / "w.safetensors")
    again = load_network(tmp_path / "w.safetensors", kernel="numpy")
    assert repr(again) == repr(net).replace("'numba'", "'numpy'")
    assert (again.parameters.flat == net.parameters.flat).all()
    names = safetensors.numpy.load_file(tmp_path / "w.safetensors")
    assert set(names) == set(net.parameters)


def test_load_network_refuses_damaged_and_foreign_files(tmp_path, saved):
    content = saved.read_bytes()
    other = tmp_path / "other.safetensors"
    for damaged in (content[:-1], content[: len(content) // 2], content[:5], b"", b"<html>" * 9):
        other.write_bytes(damaged)
        with pytest.raises(
            CheckpointError, match=r"other\.safetensors is not a whole safetensors file"
        ):
            load_network(other)
    safetensors.numpy.save_file({"w": np.ones(3)}, other)
    with pytest.raises(CheckpointError, match="does not hold a FastNN network"):
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
def test_load_training_refuses_another_network_or_optimizer(trained, net, optimizer, message):
    net = net()
    before = net.parameters.flat.copy()
    with pytest.raises(CheckpointError, match=message):
        load_training(trained, net, optimizer())
    assert (net.parameters.flat == before).all()


def test_load_training_refuses_a_file_of_weights(saved):
    with pytest.raises(CheckpointError, match="does not hold a FastNN training"):
        load_training(saved, network(), Adam())


def test_save_network_on_a_full_disk_leaves_the_old_file(monkeypatch, saved):
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


def test_saved_files_are_as_readable_as_any_other(tmp_path, saved):
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_load_network_with_an_unknown_kernel_does_not_blame_the_file(saved):
    with pytest.raises(ValueError, match="no kernel is called 'mkl'; there are naive") as error:
        load_network(saved, kernel="mkl")
    assert not isinstance(error.value, CheckpointError)


# Layers of a user's own


class Scale(Layer):
    """``y = factor * weight * x``: an argument and a parameter."""

    def __init__(self, n_in, factor=1.0):
        self.n_in = self.n_out = n_in
        self.factor = float(factor)
        self.initializers = {"weight": GlorotUniform()}

    def parameter_shapes(self):
        return {"weight": (self.n_in, 1)}

    def forward(self, plan, x):
        y = plan.zeros(*x.shape)
        plan.call(scale, x, self.weight, self.factor, y)
        return y

    def config(self):
        return {"n_in": self.n_in, "factor": self.factor}


def scale(x, weight, factor, y):
    y[...] = factor * weight[:, 0] * x


class Mirror(Layer):
    """``y = x[:, ::-1]``, without arguments."""

    def forward(self, plan, x):
        return x[:, ::-1]


def network_with_layers_of_ones_own(**options):
    return Sequential(
        [Dense(4, 5), Scale(5, 0.5), Mirror(), LeakyReLU(0.1), Dense(5, 3)], **options
    )


@pytest.fixture
def saved_with_layers_of_ones_own(tmp_path):
    net, path = network_with_layers_of_ones_own(rng=7), tmp_path / "own.safetensors"
    save_network(net, path)
    return net, path


@pytest.mark.parametrize("custom", [[Scale, Mirror], (Mirror, Scale), {Scale, Mirror, Layer}])
def test_load_network_builds_layers_of_ones_own(saved_with_layers_of_ones_own, custom):
    net, path = saved_with_layers_of_ones_own
    again = load_network(path, custom=custom)
    assert repr(again) == repr(net)
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in net.layers]
    assert again.layers[1].factor == 0.5
    assert (again(X) == net(X)).all()


@pytest.mark.parametrize(("custom", "missing"), [((), "Scale"), ([Scale], "Mirror")])
def test_load_network_without_a_layer_of_ones_own_says_how(
    saved_with_layers_of_ones_own, custom, missing
):
    _, path = saved_with_layers_of_ones_own
    message = (
        rf"own\.safetensors has a layer .*:{missing}, which is not one of FastNN's: "
        rf"pass its class, as load_network\(path, custom=\[{missing}\]\)"
    )
    with pytest.raises(CheckpointError, match=message):
        load_network(path, custom=custom)


def test_load_network_takes_fastnns_own_layers_whatever_is_custom(saved):
    class Dense(Mirror):
        """Of the same name as a layer of FastNN's."""

    assert (load_network(saved, custom=[Dense])(X) == load_network(saved)(X)).all()


def test_load_network_tells_a_layer_of_ones_own_from_fastnns_of_the_same_name(tmp_path):
    class ReLU(Mirror):
        pass

    net, path = Sequential([Dense(4, 3), ReLU()]), tmp_path / "own.safetensors"
    save_network(net, path)
    with pytest.raises(CheckpointError, match="ReLU, which is not one of FastNN's"):
        load_network(path)
    assert (load_network(path, custom=[ReLU])(X) == net(X)).all()


def test_load_network_tells_layers_of_one_name_apart_by_their_modules(tmp_path):
    elsewhere = type("Mirror", (Layer,), {"forward": lambda self, plan, x: x[:, ::2], "n_out": 2})
    elsewhere.__module__, elsewhere.n_in = "elsewhere", 4
    net, path = Sequential([Mirror(), elsewhere(), Dense(2, 3)]), tmp_path / "own.safetensors"
    save_network(net, path)
    for custom in ([Mirror, elsewhere], [elsewhere, Mirror], iter([Mirror, elsewhere])):
        assert (load_network(path, custom=custom)(X) == net(X)).all()


def test_load_network_never_imports_what_a_file_names(tmp_path, monkeypatch):
    """A file from somebody else must not run code by being read."""
    (tmp_path / "malicious.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "w.safetensors"
    for kind in ("malicious:Layer", f"{tmp_path}/malicious.py:Layer"):
        architecture = {"layers": [{"type": kind}], "dtype": "float32"}
        metadata = {"architecture": json.dumps(architecture)}
        safetensors.numpy.save_file({"w": np.ones(3)}, path, metadata)
        with pytest.raises(CheckpointError, match="which is not one of FastNN's"):
            load_network(path)


def test_load_network_refuses_arguments_that_a_layer_does_not_take(tmp_path):
    path = tmp_path / "w.safetensors"
    architecture = {"layers": [{"type": "Dense", "width": 3}], "dtype": "float32"}
    safetensors.numpy.save_file({"w": np.ones(3)}, path, {"architecture": json.dumps(architecture)})
    with pytest.raises(CheckpointError, match=r"does not hold a FastNN network: .*width"):
        load_network(path)
