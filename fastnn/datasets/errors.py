"""What goes wrong with data, and the looks of a file that is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HTML = "an HTML page (a login or captive portal's page, saved in place of the download?)"


class DataError(ValueError):
    """Data that cannot be used; the message, one line, names the file and what is allowed."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the operating system says against reading `path` into a `DataError`."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error


def looks_like_html(head: bytes) -> bool:
    """Tell whether a file that starts with `head` is a web page; no data format here starts so."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")
