"""The progress bars on a terminal; elsewhere there are none, as the other tests see."""

import os
import pty

import pytest

SMALL = ("--hidden", "8", "--kernel", "numpy")


@pytest.fixture
def on_a_terminal(start, environment):
    """Run a command line whose stderr is a terminal; return its stdout and what was drawn."""

    def run(*arguments):
        ours, theirs = pty.openpty()
        terminal = environment | {"TERM": "xterm", "COLUMNS": "100"}
        running = start(*arguments, stderr=theirs, env=terminal)
        os.close(theirs)
        drawn = b""
        while chunk := _read(ours):
            drawn += chunk
        os.close(ours)
        assert running.wait() == 0
        return running.stdout.read(), drawn.decode()

    return run


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that the other side has gone
        return b""


def test_train_draws_a_bar_with_loss_and_accuracy(on_a_terminal):
    out, drawn = on_a_terminal("train", *SMALL, "--epochs", "4", "--json")
    assert out.startswith("{")
    assert "epoch 4 of 4: loss " in drawn
    assert "accuracy 0." in drawn
    assert "validation 0." in drawn


def test_train_moves_the_bar_within_an_epoch(on_a_terminal):
    _, drawn = on_a_terminal("train", "--hidden", "64", "--kernel", "naive", "--epochs", "1")
    assert drawn.count("epoch 1 of 1") > 4


def test_compare_draws_a_bar(on_a_terminal):
    out, drawn = on_a_terminal(
        *("compare", *SMALL[:2], "--kernels", "numba-naive", "--rounds", "2"),
        *("--seconds", "0.001", "--json"),
    )
    assert out.startswith("{")
    assert "numba-naive" in drawn
