"""Runs what a document shows: its Python, its shell lines, and the files that it speaks of.

A block of Python or CSV is written to the file that the paragraph before it names, if it names one
of that kind; other Python is executed, all blocks of a document in one namespace.
"""

import doctest
import importlib
import re
import shlex
import sys

import pytest

from fastnn.cli import main

BLOCK = re.compile(r"^```(python|pycon|sh|csv)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SUFFIXES = {"python": "py", "csv": "csv"}
SLOW = re.compile(r"fastnn (compare|report|kernels check|kernels --measure)\b")
ROWS = 20  # times that the rows of a CSV file are repeated, for enough to train on


def fastnn_commands(shell):
    """Return the lines of FastNN's own in a block of shell, as written but for ``.venv/bin/``."""
    lines = re.sub(r"\\\n\s*", "", shell).splitlines()
    parts = [part.strip() for line in lines for part in line.split("&&")]
    parts = [part.removeprefix(".venv/bin/") for part in parts]
    return [part for part in parts if re.match(r"(env (-u \w+ )+|[A-Z_]+=\S+ )?fastnn ", part)]


class Player:
    """Plays a document in an empty directory.

    Parameters
    ----------
    directory : Path
        The working directory.
    slow : bool
        Run everything as written. Otherwise commands that measure are left out, and trainings of
        no stated length take one epoch.

    """

    def __init__(self, directory, slow):
        self.directory, self.slow = directory, slow
        self.names, self.modules = {}, []

    def play(self, text):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.directory)
            patch.syspath_prepend(self.directory)
            for match in BLOCK.finditer(text):
                language, code = match.groups()
                file = named_file(text[: match.start()], SUFFIXES.get(language))
                if file:
                    self.keep(file, code)
                else:
                    getattr(self, f"run_{language}")(code)
        for name in self.modules:
            sys.modules.pop(name, None)

    def keep(self, file, code):
        if file.endswith(".csv"):
            header, rows = code.split("\n", 1)
            code = f"{header}\n{rows * ROWS}"
        (self.directory / file).write_text(code, encoding="utf-8")
        if file.endswith(".py"):
            self.modules.append(file.removesuffix(".py"))
            importlib.import_module(self.modules[-1])

    def run_python(self, code):
        # In a file, as a user's would be: Numba keeps what it compiles beside its source.
        path = self.directory / f"example_{len(self.names)}_.py"
        path.write_text(code, encoding="utf-8")
        exec(compile(code, path, "exec"), self.names)

    def run_pycon(self, code):
        example = doctest.DocTestParser().get_doctest(code, self.names, "example", None, 0)
        report = []
        runner = doctest.DocTestRunner()
        assert not runner.run(example, out=report.append, clear_globs=False).failed, "".join(report)
        self.names.update(example.globs)

    def run_sh(self, code):
        for line in fastnn_commands(code):
            if self.slow or not SLOW.search(line):
                self.run_fastnn(line)

    def run_fastnn(self, line):
        before, _, rest = line.partition("fastnn ")
        arguments = shlex.split(rest, comments=True)
        if not self.slow and arguments[0] == "train" and not {"--epochs", "--out"} & {*arguments}:
            arguments += ["--epochs", "1"]
        with pytest.MonkeyPatch.context() as patch:
            for name in re.findall(r"-u (\w+)", before):
                patch.delenv(name, raising=False)
            for name, value in re.findall(r"([A-Z_]+)=(\S+)", before):
                patch.setenv(name, value)
            assert main(arguments) == 0, line


def named_file(before, suffix):
    """Return the last file of this kind that the paragraph before a block names in code."""
    paragraph = before.strip().split("\n\n")[-1]
    names = re.findall(rf"`(\w+\.{suffix})`", paragraph) if suffix else []
    return names[-1] if names else None
