"""Single keys of a terminal, read as they are pressed."""

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, Final, Self


class Key(Enum):
    """What a key asks for."""

    QUIT = auto()
    NEXT = auto()
    BACK = auto()


# Whole sequences first: an arrow begins with an escape, which alone means nothing here.
_KEYS: Final = (
    (b"\x1b[A", Key.BACK),
    (b"\x1b[B", Key.NEXT),
    (b"\x1bOA", Key.BACK),
    (b"\x1bOB", Key.NEXT),
    (b"\x1b[5~", Key.BACK),
    (b"\x1b[6~", Key.NEXT),
    (b"q", Key.QUIT),
    (b"Q", Key.QUIT),
    (b"p", Key.NEXT),
    (b" ", Key.NEXT),
    (b"u", Key.BACK),
)
_BYTES: Final = 64


class Keys:
    """The keyboard while it is entered; nothing is ever pressed where there is none."""

    def __init__(self) -> None:
        self.present = sys.stdin.isatty()
        self._kept: list[Any] = []

    def __enter__(self) -> Self:
        if self.present:
            self._kept = termios.tcgetattr(sys.stdin)
            # Ctrl-C stays a signal.
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, *_: object) -> None:
        if self.present:
            # What was typed and not read is no command for the shell.
            termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, self._kept)

    def until(self, moment_s: float) -> Iterator[Key]:
        """Yield what is pressed until a moment of the monotonic clock."""
        while (left_s := moment_s - time.monotonic()) > 0:
            if not self.present:
                time.sleep(left_s)
                return
            ready, _, _ = select.select([sys.stdin], [], [], left_s)
            if ready:
                yield from self._read()

    def _read(self) -> Iterator[Key]:
        data = os.read(sys.stdin.fileno(), _BYTES)
        if not data:  # the terminal is gone
            yield Key.QUIT
        while data:
            found = next((pair for pair in _KEYS if data.startswith(pair[0])), None)
            if found is not None:
                yield found[1]
            data = data[len(found[0]) if found else 1 :]
