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
