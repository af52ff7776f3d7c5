"""Networks and trainings on disk: safetensors files, replaced as a whole or not at all.

A network's file holds its parameters by name, and its architecture in the metadata. A
training's file also holds the optimizer's vectors, the random states and the history: all that it
takes to continue bit for bit. Neither can run code when it is read.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from fastnn import kernels
from fastnn.history import Epoch, History
from fastnn.kernels import Kernel
from fastnn.layers import LAYERS, Layer
from fastnn.network import Sequential
from fastnn.optimizers import Optimizer
from fastnn.training import Training

Tensors = dict[str, np.ndarray[Any, Any]]


class CheckpointError(ValueError):
    """A file is not what it should be; the text names the file and what is wrong."""


def save_network(net: Sequential, path: str | Path) -> None:
    """Write the parameters and the architecture of `net` to `path`."""
    _write(path, dict(net.parameters), {"architecture": _architecture(net)})


def load_network(
    path: str | Path, *, kernel: str | Kernel | None = None, custom: Iterable[type[Layer]] = ()
) -> Sequential:
    """Build the network that `save_network` wrote to `path`.

    Parameters
    ----------
    path : path-like
    kernel : str or Kernel, optional
        As `Sequential` takes it.
    custom : iterable of Layer classes
        Those of the network that are not FastNN's, since reading a file never runs code.

    Raises
    ------
    CheckpointError
        The file is not a whole safetensors file, or does not hold a FastNN network.
    FileNotFoundError

    """
    kernel = kernels.get(kernel)  # whose errors are not the file's
    custom = tuple(custom)
    tensors, metadata = _read(path)
    try:
        architecture = metadata["architecture"]
        layers = [_build_layer(path, spec, custom) for spec in architecture["layers"]]
        net = Sequential(layers, kernel=kernel, dtype=architecture["dtype"])
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not hold a FastNN network: {error!r}") from error
    _fill(dict(net.parameters), tensors, path)
    return net


def save_training(training: Training, path: str | Path) -> None:
    """Write to `path` all that `training` needs to continue."""
    net, optimizer = training.net, training.optimizer
    tensors: Tensors = {f"parameters/{name}": array for name, array in net.parameters.items()}
    tensors |= {f"optimizer/{name}": array for name, array in optimizer.state.items()}
    tensors["random_state"] = net.random_state
    _write(
        path,
        tensors,
        {
            "architecture": _architecture(net),
            "optimizer": {"type": type(optimizer).__name__, "steps": optimizer.steps},
            "rng": training.rng.bit_generator.state,
            "history": training.history.as_dicts(),
        },
    )


def load_training(
    path: str | Path, net: Sequential, optimizer: Optimizer
) -> tuple[np.random.Generator, History]:
    """Bring `net` and `optimizer` to where `save_training` found them.

    Returns
    -------
    rng : numpy.random.Generator
    history : History
        Both to be handed to `fastnn.fit`.

    Raises
    ------
    CheckpointError
        The file is damaged, or belongs to another network or optimizer.

    """
    tensors, metadata = _read(path)
    try:
        if metadata["architecture"] != _architecture(net):
            raise CheckpointError(f"{path} holds another network than {net}")
        saved = metadata["optimizer"]
        if saved["type"] != type(optimizer).__name__:
            raise CheckpointError(f"{path} was trained by {saved['type']}, not by {optimizer}")
        rng = np.random.default_rng()
        rng.bit_generator.state = metadata["rng"]
        history = History([Epoch(**record) for record in metadata["history"]])
        optimizer.restore(saved["steps"], _part("optimizer/", tensors))
        net.random_state[:] = tensors["random_state"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path} does not hold a FastNN training: {error!r}") from error
    _fill(dict(net.parameters), _part("parameters/", tensors), path)
    return rng, history


def _architecture(net: Sequential) -> dict[str, Any]:
    layers = [{"type": _type_name(type(layer)), **layer.config()} for layer in net.layers]
    return {"layers": layers, "dtype": net.dtype.name}


def _type_name(layer: type[Layer]) -> str:
    """Return the name of a layer's class, with its module if it is not FastNN's."""
    name = layer.__name__
    return name if LAYERS.get(name) is layer else f"{layer.__module__}:{name}"


def _build_layer(path: str | Path, spec: Mapping[str, Any], custom: Iterable[type[Layer]]) -> Layer:
    place, _, name = spec["type"].rpartition(":")
    known = dict(LAYERS)
    if place:  # of two classes of one name, take the one of the same module
        known = {layer.__name__: layer for layer in custom}
        known |= {_type_name(layer): layer for layer in custom}
    found = known.get(spec["type"]) or known.get(name)
    if found is None:
        raise CheckpointError(
            f"{path} has a layer {spec['type']}, which is not one of FastNN's: "
            f"pass its class, as load_network(path, custom=[{name}])"
        )
    return found(**{key: value for key, value in spec.items() if key != "type"})


def _part(prefix: str, tensors: Tensors) -> Tensors:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _fill(views: Tensors, tensors: Tensors, path: str | Path) -> None:
    """Copy tensors into the views of the same names, all or none."""
    shapes = {name: (array.shape, array.dtype.name) for name, array in views.items()}
    found = {name: (array.shape, array.dtype.name) for name, array in tensors.items()}
    if found != shapes:
        raise CheckpointError(f"{path} holds {found}; the network has {shapes}")
    for name, view in views.items():
        view[...] = tensors[name]


def _write(path: str | Path, tensors: Tensors, metadata: Mapping[str, Any]) -> None:
    """Write a safetensors file; `path` holds the old or the new one at any moment."""
    content = safetensors.numpy.save(
        {name: np.ascontiguousarray(array) for name, array in tensors.items()},
        {key: json.dumps(value) for key, value in metadata.items()},
    )
    write_atomically(path, content)


def write_atomically(path: str | Path, content: bytes) -> None:
    """Replace the file at `path` by `content`, or leave it as it was and raise OSError."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:  # which may name the temporary file, or none
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: str | Path) -> tuple[Tensors, dict[str, Any]]:
    """Return the tensors of a safetensors file, and its metadata decoded."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = {key: json.loads(text) for key, text in (file.metadata() or {}).items()}
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except (safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
