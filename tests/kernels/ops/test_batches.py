"""Taking batches: rows, labels and bytes, in a drawn order."""

import numpy as np
import pytest

from fastnn.kernels.ops import batches
from tests.kernels.calls import run

RNG = np.random.default_rng(0)
ORDER = np.array([6, 0, 3, 3, 5, 1, 2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_take_bytes_has_the_bits_of_a_division(dtype):
    images = np.array([RNG.permutation(256) for _ in range(7)]).astype(np.uint8)  # every byte
    out = np.full((3, 256), np.nan, dtype)
    run(batches.take_bytes, images, ORDER, np.array([2]), out)
    np.testing.assert_array_equal(out, images[[3, 3, 5]] / dtype(255))


@pytest.mark.parametrize(
    "source",
    [RNG.normal(size=(7, 19)), RNG.normal(size=(7, 19)).astype(np.float32), np.arange(7)],
    ids=["float64", "float32", "labels"],
)
def test_take_rows_gathers_rows_and_labels(source):
    out = np.zeros((3, *source.shape[1:]), source.dtype)
    run(batches.take_rows, source, ORDER, np.array([2]), out)
    np.testing.assert_array_equal(out, source[[3, 3, 5]])


def test_next_batch_moves_on():
    start = np.array([2])
    run(batches.next_batch, start, 3)
    assert start[0] == 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copy_rows_takes_any_strides(dtype):
    x = RNG.normal(size=(6, 8)).astype(dtype)
    for view in (x, x.T, x[::-1], x[:, ::-1], x[1:, 2:], np.broadcast_to(x[0], (3, 8))):
        out = np.full(view.shape, np.nan, dtype)
        run(batches.copy_rows, view, out)
        np.testing.assert_array_equal(out, view)
