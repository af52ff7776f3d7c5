"""Small IDX files, good ones, for tests to spoil."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from fastnn.datasets.mnist import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS


def _idx(array):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture(scope="session")
def idx():
    """Return the function that makes an IDX file, uncompressed, of a uint8 array."""
    return _idx


@pytest.fixture(scope="session")
def pixels():
    """30 training images of 4 by 5 pixels, and 10 test images."""
    values = np.random.default_rng(0).integers(0, 256, (40, 4, 5), dtype=np.uint8)
    values[0, 0, :2] = 0, 255
    return values[:30], values[30:]


@pytest.fixture(scope="session")
def idx_files(idx, pixels):
    """Map each file's name to its content, uncompressed; the labels go 0 to 9, in turn."""
    train, test = pixels
    return {
        TRAIN_IMAGES: idx(train),
        TRAIN_LABELS: idx(np.arange(30, dtype=np.uint8) % 10),
        TEST_IMAGES: idx(test),
        TEST_LABELS: idx(np.arange(10, dtype=np.uint8)),
    }


@pytest.fixture
def idx_directory(tmp_path, idx_files) -> Path:
    """Return a directory with the four files, compressed."""
    directory = tmp_path / "idx"
    directory.mkdir()
    for name, content in idx_files.items():
        (directory / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
    return directory


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """Put the user's cache directory into the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fastnn"
