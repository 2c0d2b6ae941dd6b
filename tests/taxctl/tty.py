"""``taxctl`` on a terminal of its own: what it shows there, what is typed, how it ends."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from typing import Self

from sandbox.layout import ROOT

COLUMNS = 80


@dataclass(frozen=True, slots=True)
class Shown:
    """What was on the terminal, and the exit code."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines, as the terminal got them."""
        return self.text.replace("\r\n", "\n").split("\n")


def on_terminal(
    *arguments: str,
    target: str,
    typed: bytes = b"",
    interrupted: bool = False,
    columns: int = COLUMNS,
    **environment: str,
) -> Shown:
    """Run a command on a terminal. Once it asks, ``typed`` answers, or Ctrl-C.

    A terminal of another width than 80 takes a ``TERM`` that is not dumb.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {**os.environ, "TERM": "dumb", "PYTHONUTF8": "1", **environment}
    kept.pop("COLUMNS", None)
    with subprocess.Popen(
        [sys.executable, "-m", "taxctl", "--target", target, *arguments],
        cwd=ROOT,
        env=kept,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while piece := _read(ours, process if interrupted and _waits(seen) else None):
                asked = not _waits(seen) and _waits(seen + piece)
                seen += piece
                if asked and not interrupted:
                    os.write(ours, typed)
        finally:
            os.close(ours)
        try:
            return Shown(process.wait(30), seen.decode())
        finally:
            process.kill()


def _waits(seen: bytes) -> bool:
    """Whether the last thing said is the question."""
    return seen.rstrip().endswith(b"[y/N]")


def _read(descriptor: int, interrupted: "subprocess.Popen[bytes] | None") -> bytes:
    """What comes next; nothing at the end, or when nothing comes for a long time.

    ``interrupted`` is told so every second until it says something: a signal that falls right
    before a blocking read is only seen behind it.
    """
    for _ in range(30):
        if interrupted is not None:
            interrupted.send_signal(signal.SIGINT)
        ready, _, _ = select.select([descriptor], [], [], 1.0)
        if not ready:
            continue
        try:
            return os.read(descriptor, 65536)
        except OSError:  # the other side has closed
            return b""
    return b""


class Live:
    """A command that goes on, on a terminal: what it shows is read as it comes."""

    def __init__(
        self,
        *arguments: str,
        target: str,
        columns: int = COLUMNS,
        rows: int = 24,
        **environment: str,
    ) -> None:
        self._ours, theirs = pty.openpty()
        self.size(columns, rows)
        kept = {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1", **environment}
        for name in ("COLUMNS", "LINES"):
            kept.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "taxctl", "--target", target, *arguments],
            cwd=ROOT,
            env=kept,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(30)
        os.close(self._ours)

    def size(self, columns: int, rows: int) -> None:
        """Make the terminal so large."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, text: str, *, then: str = "") -> str:
        """Read until ``text`` was shown, and ``then`` behind it; the value is all that was shown so far."""
        for _ in range(60):
            if text in self.text and then in self.text.partition(text)[2]:
                return self.text
            ready, _, _ = select.select([self._ours], [], [], 0.5)
            if ready:
                try:
                    self.seen += os.read(self._ours, 65536)
                except OSError:  # it has ended
                    break
        assert text in self.text, self.text
        return self.text

    @property
    def text(self) -> str:
        """All that was shown so far."""
        return self.seen.decode(errors="replace")

    @property
    def frame_count(self) -> int:
        """How often the whole screen was drawn: each time from its first corner on."""
        return self.seen.count(b"\x1b[H")

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._ours, keys)

    def code(self, *, interrupted: bool = False) -> int:
        """The exit code, once it has ended; what it shows at last is read.

        ``interrupted``: it is told to end, again after each second of silence: a signal that falls right before a blocking
        read is only seen behind it.
        """
        if interrupted:
            self.process.send_signal(signal.SIGINT)
        for _ in range(60):
            ready, _, _ = select.select([self._ours], [], [], 1.0)
            if not ready:
                if interrupted:
                    self.process.send_signal(signal.SIGINT)
                continue
            try:
                piece = os.read(self._ours, 65536)
            except OSError:
                break
            if not piece:
                break
            self.seen += piece
        return self.process.wait(30)
