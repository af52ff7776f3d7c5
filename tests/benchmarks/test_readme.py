"""README.md: its blocks, its commands, its code and its links are what they say."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import typer
import typer.main

from benchmarks import readme
from benchmarks.markers import MarkerError, body, fill, find_blocks
from fastnn.cli import app

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = find_blocks(TEXT)

COMMANDS = [
    "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/fastnn train",
    "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest",
]


def fenced(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def fastnn_commands():
    """Every command line of FastNN: in shell blocks, in running text, and in markers."""
    lines = [line for block in fenced("sh") for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", TEXT)
    lines += [command for block in BLOCKS.values() for command in block.commands]
    words = [part.strip() for line in lines for part in line.split("&&")]
    return sorted({word for word in words if re.match(r"(\.venv/bin/)?fastnn ", word)})


# Markers.


def test_every_block_is_made_by_the_program_and_none_is_missing():
    assert list(BLOCKS) == list(readme.BLOCKS)


@pytest.mark.parametrize("name", list(BLOCKS))
def test_no_block_is_empty(name):
    assert body(TEXT, BLOCKS[name]).strip()


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
def test_broken_markers_are_refused(text, complaint):
    with pytest.raises(MarkerError, match=complaint):
        find_blocks(text)


def test_filling_changes_the_named_block_and_nothing_else():
    text = "A\n<!-- begin a: x; y 'b; c' -->\nold\n<!-- end a -->\nB\n"
    text += "<!-- begin b: z -->\nkept\n<!-- end b -->\nC\n"
    assert find_blocks(text)["a"].commands == ("x", "y 'b; c'")
    once = fill(text, {"a": "new"})
    assert once == text.replace("old", "\nnew\n")
    assert fill(once, {"a": "new"}) == once
    with pytest.raises(MarkerError, match="no block is called c"):
        fill(text, {"c": "new"})


def test_the_plan_is_that_of_the_code_as_it_is():
    block = BLOCKS["plan"]
    program, *arguments = shlex.split(block.commands[0])
    assert program == "python"
    printed = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() in body(TEXT, block)


# Commands, code and links.


def test_the_first_screen_has_the_two_commands():
    first_screen = "\n".join(TEXT.splitlines()[:30])
    for command in COMMANDS:
        assert f"```sh\n{command}\n```" in first_screen


@pytest.mark.parametrize("line", fastnn_commands())
def test_every_fastnn_command_parses(line):
    command = typer.main.get_command(app)
    arguments = shlex.split(line)[1:]
    while hasattr(command, "commands") and arguments and not arguments[0].startswith("-"):
        command = command.commands[arguments.pop(0)]
    with suppress(typer.Exit):  # --help has been found
        command.make_context(command.name, arguments)


def test_a_wrong_flag_would_not_parse():
    command = typer.main.get_command(app).commands["train"]
    with pytest.raises(typer.TyperException, match="--kernle"):
        command.make_context("train", ["--kernle", "naive"])


def test_python_code_runs_and_prints_what_it_says():
    names = {}
    blocks = re.findall(r"^```(python|pycon)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert {language for language, _ in blocks} == {"python", "pycon"}
    for language, code in blocks:
        if language == "python":
            exec(compile(code, "README.md", "exec"), names)
        else:
            example = doctest.DocTestParser().get_doctest(code, names, "README.md", None, 0)
            report = []
            assert (
                doctest.DocTestRunner().run(example, out=report.append, clear_globs=False).failed
                == 0
            ), "".join(report)
            names.update(example.globs)


def test_the_run_that_can_be_repeated_can_be(tmp_path):
    (block,) = (block for block in fenced("sh") if "--resume" in block)
    for line in block.splitlines():
        arguments = shlex.split(line)
        assert arguments[0] == "fastnn"
        command = [sys.executable, "-m", "fastnn", *arguments[1:]]
        # One thread, since threads that wait for a core that others use take very long.
        env = os.environ | {"NUMBA_NUM_THREADS": "1"}
        subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=True)
    (directory,) = (tmp_path / "runs").iterdir()
    assert len((directory / "history.csv").read_text().splitlines()) == 1 + 60
    named = set(re.findall(r"`([a-z]+\.(?:toml|json|csv|safetensors))`", TEXT))
    assert {path.name for path in directory.iterdir()} == named


def test_links_and_pictures_are_there():
    targets = re.findall(r"\]\(([^)#]+)\)", TEXT)
    local = [target for target in targets if not target.startswith("https://")]
    assert local
    assert [target for target in local if not (ROOT / target).exists()] == []


def test_pictures_are_small_and_on_a_ground_of_their_own():
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+\.svg)\)", TEXT)
    assert pictures
    for picture in pictures:
        path = ROOT / picture
        assert path.stat().st_size < 60_000
        assert "fill: #ffffff" in path.read_text(encoding="utf-8")
