"""The documents: their blocks, commands, code, links and tables are what they say."""

import re
import shlex
import subprocess
import sys
import tomllib
from contextlib import suppress
from importlib.util import find_spec

import pytest
import typer
import typer.main

from benchmarks import documents
from benchmarks.documents import DOCUMENTS, ROOT
from benchmarks.markers import find_blocks
from fastnn import kernels
from fastnn.cli import app
from tests.documents.examples import SLOW, Player, fastnn_commands, named_file

TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in DOCUMENTS}
README, LESSON, LADDER = TEXTS["README.md"], TEXTS["fastnn/README.md"], TEXTS["kernels/README.md"]
BLOCKS = {name: find_blocks(text) for name, text in TEXTS.items()}
EVERY_BLOCK = [(document, name) for document, blocks in BLOCKS.items() for name in blocks]

COMMANDS = [
    "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/fastnn train",
    "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest",
]

each_document = pytest.mark.parametrize("document", TEXTS)


def body(document, name):
    block = BLOCKS[document][name]
    return "\n".join(TEXTS[document].splitlines()[block.start : block.stop])


def prose(text):
    """Return what people wrote: no generated blocks, no code, no comments."""
    text = re.sub(r"<!-- begin .*?<!-- end .*?-->", "", text, flags=re.DOTALL)
    return re.sub(r"^```.*?^```$|<!--.*?-->", "", text, flags=re.MULTILINE | re.DOTALL)


# Generated blocks.


def test_every_block_is_made_by_the_program_and_none_is_missing():
    assert {name for _, name in EVERY_BLOCK} == set(documents.BLOCKS)


@pytest.mark.parametrize(("document", "name"), EVERY_BLOCK)
def test_block_is_filled_by_the_same_commands_everywhere(document, name):
    assert body(document, name).strip()
    commands = {blocks[name].commands for blocks in BLOCKS.values() if name in blocks}
    assert len(commands) == 1


def test_the_plan_is_that_of_the_code_as_it_is():
    program, *arguments = shlex.split(BLOCKS["fastnn/README.md"]["plan"].commands[0])
    assert program == "python"
    command = [sys.executable, *arguments]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "\n".join(map(str.rstrip, printed.splitlines())).strip() in body(
        "fastnn/README.md", "plan"
    )


@each_document
def test_no_figure_is_typed(document):
    assert not re.search(r"\d[\d.,]* ?(GFLOP/s|ms|µs|ns|GB/s|%)", prose(TEXTS[document]))


# Commands.


def test_readme_shows_its_two_commands_first_and_ends_soon():
    lines = README.splitlines()
    for command in COMMANDS:
        assert f"```sh\n{command}\n```" in "\n".join(lines[:30])
    assert len(lines) <= 250


def every_fastnn_command():
    """Return FastNN's command lines in shell blocks, in running text, and in markers."""
    found = set()
    for document, text in TEXTS.items():
        lines = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        lines += re.findall(r"`([^`\n]+)`", text)
        lines += [command for block in BLOCKS[document].values() for command in block.commands]
        found.update(command for line in lines for command in fastnn_commands(line))
    return sorted(found)


@pytest.mark.parametrize("line", every_fastnn_command())
def test_fastnn_command_parses(line):
    command = typer.main.get_command(app)
    arguments = shlex.split(line.partition("fastnn ")[2], comments=True)
    while hasattr(command, "commands") and arguments and not arguments[0].startswith("-"):
        command = command.commands[arguments.pop(0)]
    if arguments:  # without any it may be a mention
        with suppress(typer.Exit):  # --help has been found
            command.make_context(command.name, arguments)


def test_a_wrong_flag_would_not_parse():
    command = typer.main.get_command(app).commands["train"]
    with pytest.raises(typer.TyperException, match="--kernle"):
        command.make_context("train", ["--kernle", "naive"])


def test_commands_were_found():
    assert {"fastnn compare", "fastnn kernels --measure"} <= set(every_fastnn_command())


@each_document
def test_modules_to_be_run_and_extras_to_be_installed_are_there(document):
    modules = set(re.findall(r"python -m (benchmarks[\w.]+)", TEXTS[document]))
    assert all(map(find_spec, modules))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {
        name for names in re.findall(r"'\.\[(.*?)\]'", TEXTS[document]) for name in names.split(",")
    }
    assert extras <= project["optional-dependencies"].keys()


# Examples.


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Return a function that plays a document, once, and returns its directory."""
    directories = {}

    def play(document, *, slow=False):
        if document not in directories or slow:
            directories[document] = tmp_path_factory.mktemp("document")
            Player(directories[document], slow).play(TEXTS[document])
        return directories[document]

    return play


@each_document
def test_examples_run_and_print_what_they_say(played, document):
    played(document)


@pytest.mark.slow
@pytest.mark.parametrize("document", [name for name, text in TEXTS.items() if SLOW.search(text)])
def test_slow_examples_run(played, document):
    played(document, slow=True)


def test_examples_that_fail_are_noticed(tmp_path):
    for wrong in ("```python\n1 / 0\n```", "```pycon\n>>> 1\n2\n```", "```sh\nfastnn nothing\n```"):
        with pytest.raises((ZeroDivisionError, AssertionError)):
            Player(tmp_path, slow=False).play(wrong)
    assert named_file("`a.py`\n\nIn `b.py`, `c.py`:\n\n", "py") == "c.py"
    assert named_file("`a.py`\n\nElsewhere:\n\n", "py") is None


def test_readme_names_the_files_of_a_run(played):
    directory = played("README.md") / "runs" / "first"
    assert len((directory / "history.csv").read_text().splitlines()) == 1 + 60
    named = re.findall(r"`([a-z]+\.(?:toml|json|csv|safetensors))`", README)
    assert {path.name for path in directory.iterdir()} == set(named) - {"my.csv"}


# Links, figures and tables.


@each_document
def test_links_lead_somewhere(document):
    for target, heading in re.findall(r"\]\((?!https://)([^)#]*)(?:#([^)]+))?\)", TEXTS[document]):
        path = (ROOT / document).parent / target if target else ROOT / document
        assert path.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles]


@each_document
def test_figures_are_small_and_on_a_ground_of_their_own(document):
    for figure in re.findall(r"!\[[^]]+\]\(([^)]+\.svg)\)", TEXTS[document]):
        path = (ROOT / document).parent / figure
        assert path.stat().st_size < 60_000
        assert "fill: #ffffff" in path.read_text(encoding="utf-8")


def test_no_figure_is_left_over():
    shown = {name for text in TEXTS.values() for name in re.findall(r"/([\w-]+\.svg)\)", text)}
    assert shown == {path.name for path in documents.FIGURES.iterdir()}


def test_the_lesson_lists_every_file_of_its_folder():
    (table,) = re.findall(r"^\| subject \|.*?\n\n", LESSON, re.MULTILINE | re.DOTALL)
    listed = {name.strip("/") for name in re.findall(r"\[`([^`]+)`\]", table)}
    folder = {
        path.name
        for path in (ROOT / "fastnn").iterdir()
        if path.name not in ("README.md", "__init__.py", "__init__.pyi", "__pycache__", "py.typed")
    }
    assert listed == folder


def test_the_ladder_is_the_one_that_there_is():
    rows = re.findall(r"^\| `.*$", LADDER, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert list(dict.fromkeys(names)) == list(kernels.LADDER)
