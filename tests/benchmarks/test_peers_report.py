"""The tables of the comparison with other libraries."""

from dataclasses import replace

import pytest

from benchmarks.peers import report
from benchmarks.peers.compare import summary
from benchmarks.peers.libraries import COLUMNS, FASTNN
from benchmarks.peers.tasks import Task

CLASSIFICATION = Task("training", (12, 9, 7, 5), 8, "noise", 40)
INFERENCE = Task("inference", (4, 2), 1, "noise", 1)
EPOCH = replace(CLASSIFICATION, kind="epoch", epochs=2)


def test_summary_has_medians_of_ratios_by_pairs_and_the_share_of_the_peak():
    results = {
        FASTNN: {"seconds": [1.0, 2.0, 4.0]},
        "NumPy": {"seconds": [2.0, 2.0, 4.0]},
        "tinygrad": {"seconds": [4.0, 8.0]},
        "PyTorch": {"error": "it fell over"},
    }
    # As many FLOP/s as a step has flops: FastNN's median is 2 s, half of the peak.
    found = summary(CLASSIFICATION, 1, results, [CLASSIFICATION.flops])["results"]
    assert found[FASTNN]["share"] == pytest.approx(0.5)
    assert found["NumPy"]["ratio"] == 1.0
    assert found["NumPy"]["ratio_spread"] == pytest.approx(0.5)
    assert found["tinygrad"]["ratio"] == 4.0
    assert found["PyTorch"] == {"error": "it fell over"}


@pytest.fixture
def measured():
    """What a run writes, with a library that is missing and one that failed."""
    rows = [
        summary(
            CLASSIFICATION,
            1,
            {
                FASTNN: {"seconds": [1e-4, 1e-4]},
                "NumPy": {"seconds": [1.3e-4, 1.3e-4]},
                "JAX step": {"seconds": [1.6e-4, 1.6e-4]},
                "JAX scan": {"seconds": [0.7e-4, 0.7e-4]},
                "scikit-learn": {"error": "it fell over"},
            },
        ),
        *(
            summary(
                INFERENCE,
                threads,
                {FASTNN: {"seconds": [1e-6]}, "onnxruntime": {"seconds": [seconds]}},
            )
            for threads, seconds in ((1, 1e-6), (2, 4e-6))
        ),
        summary(
            replace(CLASSIFICATION, kind="memory"),
            2,
            {FASTNN: {"bytes": 2**30}, "NumPy": {"bytes": 2**31}},
        ),
    ]
    return {
        "versions": {"numpy": "2", "torch": None},
        "missing": ["PyTorch"],
        "missing_data": ["fashion-mnist is not there"],
        "left_out": [],
        "rows": rows,
    }


def test_table_shows_what_is_ahead_what_fails_and_what_is_missing(measured):
    columns, rows = report.table(measured)
    assert columns[:3] == ("work", "threads", FASTNN)
    first, memory = (dict(zip(columns, rows[number], strict=True)) for number in (0, 3))
    assert first["NumPy"] == "130 µs\n1.30 ± 0.00 ×"
    assert first["JAX"].startswith("70.0 µs")  # of two ways the faster
    assert first["PyTorch"] == "missing"
    assert first["scikit-learn"] == "failed"
    assert first["onnxruntime"] == "–"
    assert first["ahead"] == "JAX"
    assert memory["NumPy"] == "2048 MiB\n2.00 ×"
    assert memory["ahead"] == FASTNN


def test_table_ends_with_geometric_means(measured):
    columns, rows = report.table(measured)
    training, inference = (dict(zip(columns, row, strict=True)) for row in rows[-2:])
    assert training["work"] == "geometric mean of training"
    assert (training["NumPy"], training["JAX"]) == ("1.30 ×", "0.70 ×")
    assert training["ahead"] == "JAX"
    assert inference["onnxruntime"] == "2.00 ×"
    assert inference["ahead"] == FASTNN


def test_ahead_is_even_where_the_rounds_do_not_tell():
    results = {FASTNN: {}, "NumPy": {"ratio": 1.5, "ratio_spread": 0.1}}
    assert report.ahead(results) == FASTNN
    for ratio, expected in ((1.04, "even"), (0.96, "even"), (1.06, FASTNN), (0.94, "JAX")):
        results["JAX"] = {"ratio": ratio, "ratio_spread": 0.1}
        assert report.ahead(results) == expected
    assert report.ahead({FASTNN: {}}) == "–"


def test_notes_say_who_is_ahead_what_is_missing_and_why_something_failed(measured):
    notes = report.notes(measured)
    assert notes[0] == (
        "FastNN is ahead of NumPy in 2 of 2 rows, of JAX in 0 of 1, of onnxruntime in 1 of 2."
    )
    text = "\n".join(notes)
    assert "Not installed, so not measured: PyTorch." in text
    assert text.count("fashion-mnist is not there") == 1
    assert "scikit-learn: it fell over" in text
    assert "torch" not in text


def test_markdown_is_a_table_with_one_line_a_row(measured):
    lines = report.markdown(measured).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(measured["rows"]) + 2
    assert len({line.count("|") for line in table}) == 1
    assert "130 µs<br>1.30 ± 0.00 ×" in table[2]


def test_merged_has_the_rows_of_all_runs(measured):
    other = measured | {"missing": ["JAX"], "rows": measured["rows"][:1]}
    both = report.merged([measured, other])
    assert both["missing"] == ["PyTorch", "JAX"]
    assert len(both["rows"]) == len(measured["rows"]) + 1


def test_columns_join_the_ways_of_a_library():
    assert [name for name, column in COLUMNS.items() if column == "JAX"] == ["JAX step", "JAX scan"]


@pytest.fixture
def epochs():
    """What a run writes of epochs; FastNN happens to be faster keeping denormals."""
    seconds = {
        FASTNN: ("flushed", 1.0),
        "FastNN keeping": ("kept", 0.9),
        "PyTorch": ("kept", 4.0),
        "PyTorch flushing": ("flushed", 3.0),
        "JAX scan": ("flushed", 2.0),
    }
    results = {
        name: {"denormals": mode, "seconds": [taken, taken]}
        for name, (mode, taken) in seconds.items()
    }
    rows = [summary(EPOCH, 1, results | {"scikit-learn": {"error": "it fell over"}})]
    return {"versions": {}, "missing": [], "missing_data": [], "left_out": [], "rows": rows}


def test_table_of_epochs_says_what_becomes_of_denormals(epochs):
    (table,) = report.tables(epochs)
    (row,) = (dict(zip(table.columns, cells, strict=True)) for cells in table.rows)
    assert row == {
        "work": "an epoch of Fashion-MNIST, 12-9-7-5, batch 8, sgd, after 2",
        "threads": "1",
        "FastNN, flushed": "1.00 s\n± 0%",
        "FastNN, kept": "900 ms\n0.90 ± 0.00 ×",
        "PyTorch, kept": "4.00 s\n4.00 ± 0.00 ×",
        "PyTorch, flushed": "3.00 s\n3.00 ± 0.00 ×",
        "JAX, flushed": "2.00 s\n2.00 ± 0.00 ×",
        "scikit-learn": "failed",
        "FMA peak": "–",
        "ahead": FASTNN,
    }


def test_ratios_count_fastnn_as_it_is_by_default_and_others_at_their_best(epochs):
    assert report.ratios(epochs) == {"PyTorch": [3.0], "JAX": [2.0]}
    assert report.notes(epochs)[0] == (
        "FastNN is ahead of PyTorch in 1 of 1 rows, of JAX in 1 of 1."
    )


def test_tables_have_a_row_for_each_task(measured, epochs):
    both = report.tables(measured | {"rows": measured["rows"] + epochs["rows"]})
    assert [len(table.rows) for table in both] == [len(measured["rows"]) + 2, 1]
