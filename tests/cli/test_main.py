import subprocess
import sys

import pytest

import fastnn as package
from fastnn.cli import COMMANDS


def modules_after(*arguments):
    """Return the modules that a command line imports, in a process of its own."""
    code = (
        "import sys\nfrom fastnn.cli import main\n"
        f"assert main({list(arguments)!r}) == 0\nprint(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return set(done.stderr.split())


def test_help_lists_the_commands_and_imports_none(fastnn):
    text = fastnn("--help").out
    for name, summary in COMMANDS.items():
        assert f" {name} " in text
        assert summary in text
    modules = modules_after("--help")
    assert not modules & {"numpy", "numba", "msgspec"}
    assert not modules & {f"fastnn.cli.{name}" for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_does_not_wait_for_numba(name):
    modules = modules_after(name, "--help")
    assert f"fastnn.cli.{name}" in modules
    assert "numba" not in modules


def test_version(fastnn):
    assert fastnn("--version").out == f"{package.__version__}\n"


@pytest.mark.parametrize(("typed", "meant"), [("trian", "train"), ("evalute", "evaluate")])
def test_unknown_command_suggests_a_known_one(fastnn, typed, meant):
    fastnn(typed).assert_error(typed, f"Did you mean '{meant}'?")
