"""The READMEs of kernels/ and benchmarks/: their links, commands and names are right."""

import re
import shlex
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
import typer.main

from fastnn import kernels
from fastnn.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "kernels" / "README.md", ROOT / "benchmarks" / "README.md"]
TEXTS = {path.parent.name: path.read_text(encoding="utf-8") for path in DOCUMENTS}


def commands(text):
    """Return every command line in code, in blocks and in running text."""
    found = re.findall(r"`([^`\n]+)`", text)
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        found += block.splitlines()
    return [re.sub(r"^env (-u \w+ )*", "", line) for line in found]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.parent.name)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []


FASTNN = sorted(
    {line for text in TEXTS.values() for line in commands(text) if line.startswith("fastnn ")}
)


@pytest.mark.parametrize("line", FASTNN)
def test_every_fastnn_command_parses(line):
    command = typer.main.get_command(app)
    arguments = shlex.split(line)[1:]
    while hasattr(command, "commands") and arguments and not arguments[0].startswith("-"):
        command = command.commands[arguments.pop(0)]
    with suppress(typer.Exit):
        command.make_context(command.name, arguments)


def test_commands_were_found():
    assert {"fastnn kernels --measure", "fastnn compare"} <= set(FASTNN)
    assert any(line.startswith("fastnn kernels check") for line in FASTNN)


def test_every_module_that_is_to_be_run_is_there():
    modules = re.findall(r"python -m ([\w.]+)", TEXTS["benchmarks"])
    assert {"benchmarks.products", "benchmarks.peers", "benchmarks.readme"} == set(modules)
    assert all(find_spec(module) for module in modules)


def test_the_ladder_is_the_one_that_there_is():
    table = re.findall(r"^\| `.*$", TEXTS["kernels"], re.MULTILINE)
    names = [name for row in table for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert names == list(kernels.LADDER)


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_no_figure_is_typed(text):
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"\d[\d.,]* ?(GFLOP/s|ms|µs|ns|GB/s|%)", prose)
