"""SIGINT (Ctrl-C) and SIGTERM as one exception, which ends a command cleanly."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class Interrupted(BaseException):
    """A signal asks the process to end; notes say what becomes of its work."""

    def __init__(self, number: int) -> None:
        self.number = signal.Signals(number)
        super().__init__(WORDS[self.number])

    @property
    def status(self) -> int:
        """The exit status by the shell's convention: 130, 143."""
        return 128 + self.number

    def __str__(self) -> str:
        return "; ".join([WORDS[self.number], *getattr(self, "__notes__", ())])


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` on SIGINT and SIGTERM inside, unless the parent had them ignored."""
    heard = [number for number in WORDS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, _interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted(number)
