"""The markers of generated blocks: what is a block, what is refused, and what filling changes."""

import pytest

from benchmarks.markers import MarkerError, fill, find_blocks


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("<!-- begin a: x -->", "'a' has no end"),
        ("<!-- end a -->", "ends a block that is not open"),
        ("<!-- begin a: x -->\n<!-- end b -->", "ends a block that is not open"),
        ("<!-- begin a: x -->\n<!-- begin b: y -->\n<!-- end b -->\n<!-- end a -->", "inside of"),
        ("<!-- begin a: x -->\n<!-- end a -->\n" * 2, "this name already"),
        ("<!-- begin a -->\n<!-- end a -->", "is neither"),
        ("<!-- begin a: -->\n<!-- end a -->", "is neither"),
        ("<!-- begin a: x; ; y -->\n<!-- end a -->", "empty command"),
        ("<!--begin a: x -->", "is neither"),
        ("<!-- begin a: x --> text", "is neither"),
    ],
)
def test_find_blocks_refuses_broken_markers(text, complaint):
    with pytest.raises(MarkerError, match=complaint):
        find_blocks(text)


def test_find_blocks_splits_commands_at_semicolons_outside_quotes():
    text = "<!-- begin a: x; y 'b; c' -->\n<!-- end a -->\n"
    assert find_blocks(text)["a"].commands == ("x", "y 'b; c'")


def test_fill_changes_the_named_block_and_nothing_else():
    text = "A\n<!-- begin a: x -->\nold\n<!-- end a -->\nB\n"
    text += "<!-- begin b: z -->\nkept\n<!-- end b -->\nC\n"
    once = fill(text, {"a": "new"})
    assert once == text.replace("old", "\nnew\n")
    assert fill(once, {"a": "new"}) == once
    with pytest.raises(MarkerError, match="no block is called c"):
        fill(text, {"c": "new"})
