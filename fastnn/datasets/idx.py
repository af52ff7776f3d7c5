"""IDX, the format of MNIST: a magic number, the sizes, then bytes; gzip-compressed or raw.

    bytes 0-1  zero
    byte  2    type of an element: 8 is an unsigned byte, the only one here
    byte  3    number of dimensions: 3 for images, 1 for labels
    then       each dimension's size, 4 bytes, most significant first
    then       the elements, last dimension fastest

The content decides whether a file is compressed, not its name: browsers unpack a download but
keep the name.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fastnn.datasets.dataset import HTML, DataError, Labels, looks_like_html, reading
from fastnn.scaled import ScaledBytes

GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08


def read_images(path: Path, dtype: npt.DTypeLike) -> ScaledBytes:
    """Read images as rows of pixels.

    Returns
    -------
    ScaledBytes of shape (n, height · width)
        Each byte counts as itself divided by 255, in `dtype`: from 0 to 1.

    Raises
    ------
    DataError
        The file cannot be read, or is not a complete IDX file of images.

    """
    images = _read(path, "images", dimensions=3)
    rows = images.reshape(len(images), math.prod(images.shape[1:]))
    return ScaledBytes(rows, dtype)


def read_labels(path: Path) -> Labels:
    """Read labels, int64 (n,); raise `DataError` as `read_images` does."""
    return _read(path, "labels", dimensions=1).astype(np.int64)


def _read(path: Path, what: str, *, dimensions: int) -> npt.NDArray[np.uint8]:
    content = _unpacked(path)
    if looks_like_html(content[:512]):
        raise DataError(f"{path}: {HTML}, not IDX {what}")
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(
            f"{path}: {len(content)} bytes; the header of IDX {what} alone has {header}"
        )
    magic, *sizes = struct.unpack_from(f">{1 + dimensions}I", content)
    expected = _UNSIGNED_BYTE << 8 | dimensions
    if magic != expected:
        raise DataError(
            f"{path}: magic number {magic:#010x}; that of IDX {what} is {expected:#010x}"
        )
    if len(content) - header != math.prod(sizes):
        raise DataError(
            f"{path}: {len(content) - header} bytes of {what}; the header's "
            f"{' x '.join(map(str, sizes))} asks for {math.prod(sizes)}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)


def _unpacked(path: Path) -> bytes:
    with reading(path):
        content = path.read_bytes()
    if not content.startswith(GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged gzip file ({error})") from error
