"""Finding ops and functions by name."""

import pytest

from fastnn.kernels import ops
from fastnn.kernels.ops import activations, batches, rows


def test_get_finds_every_op_by_the_name_that_names_lists():
    assert ops.get("softmax") is rows.softmax
    assert ops.get("copy_rows") is batches.copy_rows
    names = ops.names()
    assert {"sum_rows", "take_rows", "dropout", "mean_squared_error", "adam"} <= set(names)
    assert len(set(names)) == len(names)
    for name in names:
        assert ops.get(name).__name__ == name


@pytest.mark.parametrize("name", ["sum_row", "", "_add", "compiled", "relu", "exp", "Array"])
def test_get_lists_the_ops_where_there_is_none_of_this_name(name):
    with pytest.raises(ValueError, match=rf"^no op is called '{name}'; there are .*") as error:
        ops.get(name)
    listed = str(error.value).partition("there are ")[2].split(", ")
    assert listed == list(ops.names())


def test_function_finds_activations_and_gradients():
    assert ops.function("relu") is activations.relu
    assert ops.function("tanh_gradient") is activations.tanh_gradient


@pytest.mark.parametrize("name", ["gelu", "", "inlined", "softmax"])
def test_function_lists_the_functions_where_there_is_none_of_this_name(name):
    message = rf"^no function is called '{name}'; there are identity, relu, relu_gradient, .*tanh"
    with pytest.raises(ValueError, match=message):
        ops.function(name)
