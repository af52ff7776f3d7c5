"""CSV files: the rule for the target column, the header, and lines that are wrong."""

import numpy as np
import pytest

from fastnn import datasets
from fastnn.datasets import DataError


@pytest.fixture
def write(tmp_path):
    def write_text(text, encoding="utf-8"):
        path = tmp_path / "own.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write_text


def table(targets, header=""):
    """Return a CSV text whose features are the row's number and its half."""
    rows = (f"{i},{i / 2},{target}\n" for i, target in enumerate(targets))
    return header + "".join(rows)


def both(data):
    """Return all x and y, in the order of the file."""
    x = np.concatenate([data.x_train, data.x_test])
    y = np.concatenate([data.y_train, data.y_test])
    order = np.argsort(x[:, 0])
    return x[order], y[order]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("header", ["", "first,second,kind\n", "first,second,7\n"])
def test_integers_are_labels(write, dtype, header):
    path = write(table([0, 1, 2] * 10, header))
    data = datasets.load(path, dtype=dtype)
    assert data.name == str(path)
    assert data.classes == ("0", "1", "2")
    assert np.bincount(data.y_test).tolist() == [2, 2, 2]
    x, y = both(data)
    expected = [[i, i / 2] for i in range(30)]
    np.testing.assert_array_equal(x, np.array(expected, dtype), strict=True)
    np.testing.assert_array_equal(y, np.array([0, 1, 2] * 10), strict=True)


@pytest.mark.parametrize("header", ["", "first,second,kind\n"])
def test_text_is_class_names_in_sorted_order(write, header):
    data = datasets.load(write(table(["setosa", '"iris, other"', "virginica"] * 5, header)))
    assert data.classes == ("iris, other", "setosa", "virginica")


def test_labels_follow_the_sorted_names(write):
    data = datasets.load(write(table(["no", "yes", "maybe"] * 5)))
    assert both(data)[1].tolist() == [1, 2, 0] * 5


@pytest.mark.parametrize("targets", [[0.5, 1.5] * 5, [0, 1.5] * 5, ["0", "1."] * 5, [1e300] * 10])
def test_other_numbers_are_regression_targets(write, targets):
    data = datasets.load(write(table(targets)), dtype="float64")
    assert (data.task, data.n_outputs) == ("regression", 1)
    assert (len(data.y_train), len(data.y_test)) == (8, 2)
    assert both(data)[1].ravel().tolist() == [float(target) for target in targets]


def test_the_seed_draws_the_test_set(write):
    path = write(table([0, 1] * 50))
    prints = [datasets.load(path, rng=seed).fingerprint for seed in (0, 0, 1)]
    assert prints[0] == prints[1] != prints[2]


def test_small_classes_are_split_by_rounding(write):
    """One sample: for training. Two to seven: one of them is the test."""
    data = datasets.load(write(table(["a"] * 1 + ["b"] * 2 + ["c"] * 7 + ["d"] * 8)))
    assert np.bincount(data.y_train).tolist() == [1, 1, 6, 6]
    assert np.bincount(data.y_test).tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.removesuffix("\n"),
        lambda text: text.replace(",", " , "),
        lambda text: "\ufeff" + text,
        lambda text: "\ufefffirst,second,kind\n" + text,
    ],
)
def test_line_ends_blanks_and_marks_do_not_matter(write, change):
    text = table([0, 1] * 10)
    plain = datasets.load(write(text)).fingerprint
    assert datasets.load(write(change(text))).fingerprint == plain


GOOD = table([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty; at least two rows"),
        ("\n\n", "the file is empty"),
        ("a,b,c\n", "a header without rows"),
        (GOOD + "4,2\n", ", line 5: 2 cells; the first row has 3"),
        (GOOD + "\n4,2,1,1\n", ", line 6: 4 cells; the first row has 3"),
        ("a,b,c\n1,2\n", ", line 2: 2 cells; the first row has 3"),
        ("1\n2\n", ", line 1: one column; at least two"),
        ("1;2;0\n2;3;1\n", ", line 1: one column; .* separated by commas"),
        (GOOD + "4,two,1\n", ", line 5: 'two' is not a finite number"),
        ("1,x,0\n" + GOOD, ", line 1: 'x' is not a finite number"),
        (GOOD + "4,,1\n", ", line 5: '' is not a finite number"),
        (GOOD + "nan,2,1\n", ", line 5: 'nan' is not a finite number"),
        (GOOD + "4,-inf,1\n", ", line 5: '-inf' is not a finite number"),
        (GOOD + "4,1e999,1\n", ", line 5: '1e999' is not a finite number"),
        (GOOD + "4,1e300,1\n", r": features\[4, 1\] is inf; .* finite in float32"),
        (GOOD + "4,2,\n", ", line 5, target: '' is not a finite number"),
        (GOOD + "4,2,nan\n", ", line 5, target: 'nan' is not a finite number"),
        (GOOD + "4,2,cat\n", ", line 5, target: 'cat' is not a finite number"),
        ("1,2,cat\n3,4,dog\n5,6,\n", ", line 3: the target is missing"),
        (table([1, 2, 1, 2]), ": the last column has the integers 1, 2; .* without a gap"),
        (table([-1, 1, -1, 1]), ": the last column has the integers -1, 1; "),
        (table([100, 250, 317, 4]), "the integers 4, 100, 250 …; .*write 1.0, not 1, .*regression"),
        (table([0, 0, 0]), "1 class; classification needs at least 2"),
        ("1,2,0.5\n", "x_test is empty"),
        ('1,"2,0\n3,4,1\n', ", line 2: unexpected end of data"),
        ("<html>\n<body>\n", ": an HTML page .*, not comma-separated values"),
    ],
)
def test_unusable_text_is_refused(write, text, message):
    path = write(text)
    with pytest.raises(DataError, match=f"^{path}.*{message}") as error:
        datasets.load(path)
    assert "\n" not in str(error.value)


def test_other_encodings_are_refused(write):
    with pytest.raises(DataError, match=r"own.csv: not text in UTF-8 \(byte 0\)"):
        datasets.load(write(GOOD, encoding="utf-16"))
