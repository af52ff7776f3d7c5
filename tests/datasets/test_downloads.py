"""Downloads from a real HTTP server on loopback, good ones and bad ones."""

import contextlib
import gzip
import hashlib
import logging
import os
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pooch
import pytest

from fastnn import datasets
from fastnn.datasets import DataError, fetch
from fastnn.datasets.mnist import FILES, IDX_DATASETS, TEST_LABELS

FIRST = f"{FILES[0]}.gz"
PAGE = b"<html><title>Log in to continue</title></html>"


class Server(ThreadingHTTPServer):
    """Serves ``pages``, from a path to (status, content, announced length); keeps the requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages = {}
        self.requests = []

    def url(self, directory):
        return f"http://127.0.0.1:{self.server_port}/{directory}/"

    def serve(self, directory, files):
        for name, content in files.items():
            self.pages[f"/{directory}/{name}"] = (200, content, len(content))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        status, content, length = self.server.pages.get(self.path, (404, b"none", 4))
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        """Keep stderr for what is tested."""


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def packed(idx_files, monkeypatch):
    """Return the four compressed files, whose checksums are now those of mnist."""
    files = {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in idx_files.items()}
    checksums = {name: hashlib.sha256(files[f"{name}.gz"]).hexdigest() for name in FILES}
    monkeypatch.setitem(IDX_DATASETS, "mnist", replace(IDX_DATASETS["mnist"], checksums=checksums))
    return files


@pytest.fixture
def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}/"


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def refuse(tmp_path, mirrors):
    """Fetch what cannot be fetched; return the message, a line, having left no file."""
    with pytest.raises(DataError) as error:
        fetch("mnist", data_dir=tmp_path, mirrors=mirrors)
    assert list((tmp_path / "mnist").iterdir()) == []
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_fetched_can_be_loaded(server, packed, tmp_path, capfd):
    server.serve("good", packed)
    directory = fetch("mnist", data_dir=tmp_path, mirrors=[server.url("good")])
    assert directory == tmp_path / "mnist"
    assert contents(directory) == packed
    assert len(datasets.load("mnist", data_dir=tmp_path).x_train) == 30
    assert capfd.readouterr() == ("", "")


def test_fetch_fills_the_cache(server, packed, cache):
    server.serve("good", packed)
    assert fetch("mnist", mirrors=[server.url("good")]) == cache / "mnist"
    assert len(datasets.load("mnist").x_train) == 30


def test_the_known_mirrors_are_the_default(server, packed, tmp_path, monkeypatch):
    server.serve("known", packed)
    known = replace(IDX_DATASETS["mnist"], mirrors=(server.url("known"),))
    monkeypatch.setitem(IDX_DATASETS, "mnist", known)
    assert contents(fetch("mnist", data_dir=tmp_path)) == packed


def test_good_files_are_not_fetched_again(server, packed, tmp_path):
    server.serve("good", packed)
    for _ in range(2):
        fetch("mnist", data_dir=tmp_path, mirrors=[server.url("good")])
    assert len(server.requests) == len(FILES)


def test_two_datasets_in_one_data_dir_are_kept_apart(server, packed, tmp_path, monkeypatch):
    monkeypatch.setitem(IDX_DATASETS, "fashion-mnist", IDX_DATASETS["mnist"])
    server.serve("good", packed)
    mirrors = [server.url("good")]
    directories = {fetch(name, data_dir=tmp_path, mirrors=mirrors) for name in IDX_DATASETS}
    assert len(directories) == 2


def test_a_good_mirror_follows_404(server, packed, tmp_path):
    server.serve("good", packed)
    mirrors = [server.url("gone"), server.url("good")]
    assert contents(fetch("mnist", data_dir=tmp_path, mirrors=mirrors)) == packed
    assert server.requests[:2] == [f"/gone/{FIRST}", f"/good/{FIRST}"]


def test_a_good_mirror_follows_a_refused_connection(server, packed, tmp_path, closed_port):
    server.serve("good", packed)
    mirrors = [closed_port, server.url("good")]
    assert contents(fetch("mnist", data_dir=tmp_path, mirrors=mirrors)) == packed


def test_a_good_mirror_follows_a_bad_file(server, packed, tmp_path):
    server.serve("good", packed)
    server.serve("bad", packed | {FIRST: gzip.compress(b"something else")})
    mirrors = [server.url("bad"), server.url("good")]
    assert contents(fetch("mnist", data_dir=tmp_path, mirrors=mirrors)) == packed


def test_every_mirror_is_named_with_its_reason(server, packed, tmp_path, closed_port):
    server.serve("portal", dict.fromkeys(packed, PAGE))
    mirrors = [server.url("gone"), closed_port, server.url("portal")]
    message = refuse(tmp_path, mirrors)
    assert message.startswith(f"{FIRST} could not be fetched from any mirror")
    reasons = ("404", "Connection refused", "sent an HTML page")
    places = [message.index(text) for pair in zip(mirrors, reasons, strict=True) for text in pair]
    assert places == sorted(places)


def test_reasons_leave_out_the_error_being_handled(packed, tmp_path, closed_port):
    try:
        datasets.load("mnist", data_dir=tmp_path)
    except DataError:
        message = refuse(tmp_path, [closed_port])
    assert "Connection refused" in message
    assert "missing" not in message


def test_wrong_checksum_is_refused(server, packed, tmp_path):
    server.serve("bad", packed | {FIRST: gzip.compress(b"something else")})
    message = refuse(tmp_path, [server.url("bad")])
    assert hashlib.sha256(packed[FIRST]).hexdigest() in message
    assert "does not match" in message


def test_neither_html_nor_gzip_is_refused(server, packed, tmp_path):
    server.serve("bad", packed | {FIRST: b"AccessDenied"})
    assert "not compressed by gzip" in refuse(tmp_path, [server.url("bad")])


@pytest.mark.parametrize("kept", [0, 1, 100])
def test_a_broken_connection_is_reported(server, packed, tmp_path, kept):
    good = packed[FIRST]
    server.pages[f"/short/{FIRST}"] = (200, good[:kept], len(good))
    assert f"{len(good) - kept} more expected" in refuse(tmp_path, [server.url("short")])


def test_a_file_truncated_on_the_server_is_refused(server, packed, tmp_path):
    server.serve("short", packed | {FIRST: packed[FIRST][:100]})
    assert "does not match" in refuse(tmp_path, [server.url("short")])


def test_a_server_error_is_reported(server, packed, tmp_path):
    server.pages[f"/down/{FIRST}"] = (503, b"", 0)
    assert "503" in refuse(tmp_path, [server.url("down")])


def test_a_bad_file_is_replaced_by_a_good_one(server, packed, tmp_path):
    server.serve("good", packed)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / FIRST).write_bytes(b"half a download")
    assert contents(fetch("mnist", data_dir=tmp_path, mirrors=[server.url("good")])) == packed


def test_an_old_file_is_not_replaced_by_a_bad_one(server, packed, tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / FIRST).write_bytes(b"older")
    server.serve("bad", dict.fromkeys(packed, gzip.compress(b"wrong")))
    with pytest.raises(DataError):
        fetch("mnist", data_dir=tmp_path, mirrors=[server.url("bad")])
    assert contents(tmp_path / "mnist") == {FIRST: b"older"}


def test_files_fetched_before_a_failure_stay(server, packed, tmp_path):
    last = f"{TEST_LABELS}.gz"
    first_three = {name: data for name, data in packed.items() if name != last}
    server.serve("three", first_three)
    with pytest.raises(DataError, match=last):
        fetch("mnist", data_dir=tmp_path, mirrors=[server.url("three")])
    assert contents(tmp_path / "mnist") == first_three
    with pytest.raises(DataError, match=TEST_LABELS):
        datasets.load("mnist", data_dir=tmp_path)


def test_directory_that_cannot_be_made_is_reported(server, packed, tmp_path):
    (tmp_path / "file").write_text("in the way")
    server.serve("good", packed)
    with pytest.raises(DataError, match=rf"{tmp_path}/file/mnist/{FIRST}: cannot be written"):
        fetch("mnist", data_dir=tmp_path / "file", mirrors=[server.url("good")])
    assert server.requests == []


@pytest.mark.parametrize("name", ["digits", "sine", "own.csv"])
def test_other_sources_are_refused(name):
    with pytest.raises(DataError, match=f"{name} cannot be fetched; mnist, fashion-mnist can"):
        fetch(name)


@contextlib.contextmanager
def stderr_on_a_terminal(monkeypatch):
    """Make stderr a pseudo-terminal; yield a list that afterwards holds what it showed."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    controller, follower = os.openpty()
    shown = []

    def read():
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while chunk := os.read(controller, 4096):
                shown.append(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with open(follower, "w", encoding="utf-8") as stderr, monkeypatch.context() as patch:
            patch.setattr("sys.stderr", stderr)
            yield shown
    finally:
        reader.join()
        os.close(controller)


@pytest.mark.parametrize("progress", [True, False])
def test_progress_bar_on_a_terminal_if_wanted(server, packed, tmp_path, monkeypatch, progress):
    server.serve("good", packed)
    with stderr_on_a_terminal(monkeypatch) as shown:
        fetch("mnist", data_dir=tmp_path, mirrors=[server.url("good")], progress=progress)
    text = b"".join(shown).decode()
    assert all((name in text) == progress for name in packed)
    assert bool(text) == progress


def test_the_log_level_of_pooch_is_restored(server, packed, tmp_path):
    level = pooch.get_logger().level
    pooch.get_logger().setLevel(logging.ERROR)
    try:
        server.serve("good", packed)
        fetch("mnist", data_dir=tmp_path, mirrors=[server.url("good")])
        assert pooch.get_logger().level == logging.ERROR
    finally:
        pooch.get_logger().setLevel(level)
