"""`fastnn.study.tables`: what cells say."""

import pytest

from fastnn.study import tables


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.00123456, "0.00123"), (1, "1.00"), (12.345, "12.3"), (1234.5, "1,234")]
)
def test_ratio_has_three_digits_and_no_exponent(ratio, text):
    cell = tables._ratio({"median": ratio})
    assert (cell, cell.value) == (text, ratio)


def test_ratio_that_was_not_measured_is_a_dash():
    assert tables._ratio(None) == "–"


def test_nothing_is_concluded_from_lines_in_doubt():
    line = {"part": "loss", "layer": "", "call": "x", "shapes": "", "flops": 0, "bytes": 8}
    rows = [
        {"kernel": "a", "doubt": None, "lines": [line | {"seconds": 1.0}]},
        {"kernel": "b", "doubt": "the lines add up", "lines": [line | {"seconds": 1.0}]},
    ]
    shares = [
        table.rows[0][table.columns.index("share")] for table in map(tables.lines_table, rows)
    ]
    assert shares == ["100.0%", "–"]
    assert tables.doubts(rows) == {"b": "the lines add up"}


def test_training_seconds_leave_out_what_the_first_epoch_loaded():
    history = [{"seconds": seconds} for seconds in (5.0, 1.0, 2.0, 1.0)]
    assert tables.training_seconds(history) == 1.0 + 1.0 + 2.0 + 1.0
    assert tables.training_seconds(history[:1]) == 5.0
