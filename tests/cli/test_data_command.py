import pytest

from fastnn import datasets


def test_data_info_lists_the_data_sets(fastnn, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    rows = fastnn("data", "info", "--json").json["data"]
    assert [row["name"] for row in rows] == list(datasets.names())
    text = fastnn("data", "info").out
    assert all(datasets.summary(name) in text for name in datasets.names())


def test_data_info_describes_a_data_set(fastnn):
    report = fastnn("data", "info", "digits", "--json").json
    data = datasets.load("digits")
    assert report["fingerprint"] == data.fingerprint
    assert report["source"] == data.source
    assert (report["training_samples"], report["test_samples"]) == (1433, 364)
    text = fastnn("data", "info", "sine").out
    assert "regression" in text
    assert datasets.load("sine").fingerprint in text.replace("\n", "").replace(" ", "")


def test_data_fetch_says_where_the_data_are(fastnn, monkeypatch, tmp_path):
    asked = []

    def fetch(name, *, data_dir, progress):
        asked.append((name, data_dir, progress))
        return tmp_path / name

    monkeypatch.setattr(datasets, "fetch", fetch)
    assert fastnn("data", "fetch", "mnist").out == f"{tmp_path / 'mnist'}\n"
    report = fastnn("data", "fetch", "mnist", "--data-dir", "there", "--json").json
    assert report == {"name": "mnist", "directory": str(tmp_path / "mnist")}
    assert asked == [("mnist", None, False), ("mnist", "there", False)]


def test_data_fetch_reports_a_failed_download_in_one_line(fastnn, monkeypatch, tmp_path):
    def refuse(*arguments, **keywords):
        raise ConnectionRefusedError("connection refused")

    monkeypatch.setattr("pooch.retrieve", refuse)
    result = fastnn("data", "fetch", "mnist", "--data-dir", tmp_path)
    result.assert_error("could not be fetched from any mirror", "connection refused")
    assert not list(tmp_path.rglob("*ubyte*"))


@pytest.mark.parametrize("command", ["info", "fetch"])
def test_data_command_has_a_help(fastnn, command):
    assert f"Usage: fastnn data {command}" in fastnn("data", command, "--help").out
