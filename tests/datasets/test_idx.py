"""IDX files: good ones to the last bit, and bad ones of every kind."""

import gzip

import numpy as np
import pytest

from fastnn.datasets import DataError
from fastnn.datasets.idx import read_images, read_labels
from fastnn.datasets.mnist import TRAIN_IMAGES, TRAIN_LABELS

HTML_PAGE = b"\n<!DOCTYPE html><html><title>Hotel Wi-Fi</title></html>"


@pytest.fixture
def write(tmp_path):
    def write_file(content, name="file-ubyte"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write_file


@pytest.fixture
def images(idx_files):
    return idx_files[TRAIN_IMAGES]


@pytest.fixture
def labels(idx_files):
    return idx_files[TRAIN_LABELS]


def one_line(error):
    return "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("name", ["images-ubyte", "images-ubyte.gz"])
def test_images_count_as_bytes_divided_by_255(write, images, pixels, dtype, pack, name):
    x = read_images(write(pack(images), name), dtype)
    assert x.dtype == dtype
    assert x.values.flags.c_contiguous
    # Division in the target dtype is correctly rounded; Python's is, in double precision.
    expected = [[pixel / 255 for pixel in image.ravel().tolist()] for image in pixels[0]]
    np.testing.assert_array_equal(x, np.array(expected).astype(dtype))
    assert (x[0, 0], x[0, 1]) == (0, 1)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_labels_are_int64(write, labels, pack):
    y = read_labels(write(pack(labels)))
    assert y.dtype == np.int64
    np.testing.assert_array_equal(y, np.arange(30) % 10)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="nowhere: No such file or directory") as error:
        read_labels(tmp_path / "nowhere")
    assert one_line(error)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_html_page_is_refused(write, pack):
    path = write(pack(HTML_PAGE), "train-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match=f"{path}: an HTML page .*captive portal.*not IDX images"):
        read_images(path, "float32")


@pytest.mark.parametrize("missing", [1, 300, 599])
def test_truncated_file_is_refused(write, images, missing):
    path = write(images[:-missing])
    with pytest.raises(DataError, match=f"{path}: {600 - missing} bytes.*30 x 4 x 5 asks for 600"):
        read_images(path, "float32")


def test_excess_bytes_are_refused(write, labels):
    path = write(labels + b"\0")
    with pytest.raises(DataError, match=f"{path}: 31 bytes of labels; .* 30 asks for 30"):
        read_labels(path)


@pytest.mark.parametrize("kept", [2, 8, 20, 100, -9, -8, -1])
def test_truncated_gzip_is_refused(write, images, kept):
    path = write(gzip.compress(images)[:kept])
    with pytest.raises(DataError, match=f"{path}: truncated or damaged gzip file") as error:
        read_images(path, "float32")
    assert one_line(error)


def test_damaged_gzip_is_refused(write, images):
    packed = bytearray(gzip.compress(images))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(DataError, match="truncated or damaged gzip file"):
        read_images(write(bytes(packed)), "float32")


@pytest.mark.parametrize("content", [b"", b"\0\0\x08", b"\0\0\x08\x03\0\0\0\x01"])
def test_a_part_of_a_header_is_refused(write, content):
    with pytest.raises(DataError, match=f"{len(content)} bytes; the header .* alone has 16"):
        read_images(write(content), "float32")


def test_labels_in_place_of_images_are_refused(write, labels):
    with pytest.raises(DataError, match="number 0x00000801; that of IDX images is 0x00000803"):
        read_images(write(labels), "float32")


def test_images_in_place_of_labels_are_refused(write, images):
    with pytest.raises(DataError, match="number 0x00000803; that of IDX labels is 0x00000801"):
        read_labels(write(images))


@pytest.mark.parametrize("magic", [b"\0\0\x0d\x03", b"\x03\x08\0\0", b"PK\x03\x04"])
def test_wrong_magic_number_is_refused(write, images, magic):
    with pytest.raises(DataError, match=f"magic number 0x{magic.hex()}; that of IDX images"):
        read_images(write(magic + images[4:]), "float32")


def test_a_header_that_promises_more_than_memory_is_refused(write, images):
    with pytest.raises(
        DataError, match=r"600 bytes of images; .*asks for 79228162458924105385300197"
    ):
        read_images(write(images[:4] + b"\xff" * 12 + images[16:]), "float32")
