"""Verified downloads; nothing else in the package uses the network."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import pooch
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TransferSpeedColumn

from fastnn.datasets.dataset import HTML, DataError, looks_like_html
from fastnn.datasets.idx import GZIP_MAGIC
from fastnn.datasets.mnist import IDX_DATASETS, home


def fetch(
    name: str,
    *,
    data_dir: str | PathLike[str] | None = None,
    progress: bool = True,
    mirrors: Sequence[str] | None = None,
) -> Path:
    """Download the missing files of a data set to where `load` finds them.

    Each file is verified against a known checksum and then moved into place in one rename. A
    good file that is there already is kept; a bad one is replaced only by a good one.

    Parameters
    ----------
    name : {"mnist", "fashion-mnist"}
    data_dir : path, optional
        Where to make the directory `name`. Default: the user's cache directory.
    progress : bool
        Whether to draw a progress bar on stderr, if that is a terminal.
    mirrors : sequence of str, optional
        Base addresses to try, in this order, instead of the known mirrors.

    Returns
    -------
    Path
        The directory that holds the files.

    Raises
    ------
    DataError
        `name` cannot be fetched, no mirror gave a good file (the message has the reason for
        each), or the directory cannot be written to.

    """
    if name not in IDX_DATASETS:
        raise DataError(f"{name} cannot be fetched; {', '.join(IDX_DATASETS)} can")
    directory = home(name, None if data_dir is None else Path(data_dir))
    urls = tuple(mirrors or IDX_DATASETS[name].mirrors)
    bar = Progress(
        "{task.description}",
        BarColumn(20),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        disable=not (progress and sys.stderr.isatty()),
    )
    with _quiet_pooch(), bar:
        for file, checksum in IDX_DATASETS[name].checksums.items():
            _fetch_file(f"{file}.gz", checksum, directory, urls, bar)
    return directory


def _fetch_file(
    file: str, checksum: str, directory: Path, mirrors: Sequence[str], bar: Progress
) -> None:
    task = bar.add_task(file, total=None)
    download = _Download(bar, task)
    handled = sys.exception()
    reasons = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{file}"
        try:
            pooch.retrieve(url, checksum, fname=file, path=directory, downloader=download)
        except (OSError, ValueError) as error:
            # Errors of the network are OSErrors without a number; a full disk has one.
            if isinstance(error, OSError) and error.errno is not None:
                reason = f"{directory / file}: cannot be written ({error.strerror})"
                raise DataError(reason) from error
            reasons.append(f"{url}: {_root(error, handled)}")
        else:
            size = (directory / file).stat().st_size
            bar.update(task, total=size, completed=size)
            return
    raise DataError(f"{file} could not be fetched from any mirror: {'; '.join(reasons)}")


class _Download:
    """Pooch's HTTP downloader, which also checks the beginning of the file and moves the bar."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task
        self._http = pooch.HTTPDownloader(progressbar=self, chunk_size=1 << 16)

    def __call__(self, url: str, output_file: str, retriever: pooch.Pooch | None) -> None:
        self._http(url, output_file, retriever)
        with open(output_file, "rb") as file:
            head = file.read(512)
        if looks_like_html(head):
            raise DataError(f"sent {HTML}")
        if not head.startswith(GZIP_MAGIC):
            raise DataError("sent something that is not compressed by gzip")

    # Pooch drives a progress bar through tqdm's interface, which follows.

    @property
    def total(self) -> float | None:
        return self._bar.tasks[self._task].total

    @total.setter
    def total(self, size: int) -> None:
        self._bar.reset(self._task, total=size)

    def update(self, size: int) -> None:
        self._bar.advance(self._task, size)

    def reset(self) -> None:
        self._bar.reset(self._task)

    def close(self) -> None:
        self._bar.refresh()


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Silence pooch's announcement of each download, which the bar shows."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _root(error: BaseException, handled: BaseException | None) -> BaseException:
    """Return the first error of a chain: requests and urllib3 wrap a refused connection four times.

    The chain ends at what the caller was already handling, such as missing data.
    """
    while (earlier := error.__context__) is not None and earlier is not handled:
        error = earlier
    return error
