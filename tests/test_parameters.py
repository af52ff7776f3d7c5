"""Parameters: one vector, and views into it by name."""

import numpy as np
import pytest

from fastnn import Dense, Sequential, Tanh
from fastnn.parameters import Parameters


def test_parameters_are_views_into_one_vector():
    parameters = Parameters({"w": (2, 3), "b": (3,), "scale": ()}, "float32")
    assert list(parameters) == ["w", "b", "scale"]
    assert len(parameters) == 3
    assert parameters.flat.shape == (10,)
    assert parameters.flat.dtype == np.float32
    assert not parameters.flat.any()
    parameters.flat[:] = np.arange(10)
    assert parameters["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert parameters["b"].tolist() == [6, 7, 8]
    assert parameters["scale"] == 9
    parameters["b"][1] = 70
    assert parameters.flat[7] == 70


def test_parameters_cannot_be_replaced():
    parameters = Parameters({"w": (2, 3)}, "float64")
    with pytest.raises(TypeError):
        parameters["w"] = np.zeros((2, 3))
    with pytest.raises(KeyError):
        parameters["b"]


def test_parameters_of_a_network_are_those_of_its_layers():
    net = Sequential([Dense(4, 6), Tanh(), Dense(6, 3)])
    assert list(net.parameters) == [
        "dense_1.weights",
        "dense_1.bias",
        "dense_2.weights",
        "dense_2.bias",
    ]
    assert net.parameters.flat.shape == (4 * 6 + 6 + 6 * 3 + 3,)
    net.parameters.flat[:] = np.arange(51)
    assert net.layers[0].weights[0, 1] == 1
    assert net.parameters["dense_2.bias"].tolist() == [48, 49, 50]
    assert net.layers[2].bias is net.parameters["dense_2.bias"]
    assert net.gradients.flat.shape == net.parameters.flat.shape
    assert net.layers[0].d_weights.base is not None
    assert "51 numbers" in repr(net.parameters)
