"""One server process: started, waited for by its ready line, stopped or killed."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from sandbox.layout import ROOT

_READY_S_MAX: Final = 30.0
_STOP_S_MAX: Final = 30.0
_LAST_WORDS_BYTES: Final = 2000


class CannotStart(Exception):
    """A process did not become ready; the sentence has its own last words."""


class Process:
    """A server that says ``PROGRAM: listening on HOST:PORT`` once it takes calls.

    ``name`` is what people call it; ``program`` is what it calls itself, where that differs.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], *, log: Path, program: str = ""
    ) -> None:
        self.name = name
        self._program = program or name
        self._arguments = list(arguments)
        self._log = log
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id; it must have been started."""
        return self._running().pid

    @property
    def exit_status(self) -> int | None:
        """How it ended; None while it runs."""
        return self._running().poll()

    def start(self) -> str:
        """Start it, wait until it is ready, and return ``HOST:PORT``; raise as ``ready`` does."""
        self.launch()
        return self.ready()

    def launch(self) -> None:
        """Start it, and leave it to ``ready`` to wait: so that several may come up side by side."""
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C reaches the sandbox alone, which stops the others in order.
            self._popen = subprocess.Popen(
                self._arguments,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def ready(self) -> str:
        """Wait until it is ready, and return ``HOST:PORT``.

        Raises:
            CannotStart: It ended, or said nothing in time; it does not run any more.
        """
        try:
            return self._address()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> int:
        """Ask it to end (SIGTERM), wait, and return its exit status; 0 when it never ran."""
        if self._popen is None:
            return 0
        self._popen.terminate()
        try:
            return self._popen.wait(_STOP_S_MAX)
        except subprocess.TimeoutExpired:
            return self.kill()
        finally:
            self._stdout().close()

    def kill(self) -> int:
        """Kill it (SIGKILL), wait, and return its exit status."""
        popen = self._running()
        popen.send_signal(signal.SIGKILL)
        status = popen.wait()
        self._stdout().close()
        return status

    def last_words(self) -> str:
        """The last line it wrote on standard error; empty when there is none."""
        with self._log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - _LAST_WORDS_BYTES))
            lines = log.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _address(self) -> str:
        line = self._first_line(time.monotonic() + _READY_S_MAX)
        prefix = f"{self._program}: listening on "
        if not line.startswith(prefix):
            raise CannotStart(self.last_words() or f"{self.name} did not get ready in time")
        return line.removeprefix(prefix)

    def _first_line(self, until: float) -> str:
        """Read its first line of output; what there is when it ends or the time is over."""
        read = b""
        stdout = self._stdout()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while not read.endswith(b"\n"):
                if not selector.select(max(0.0, until - time.monotonic())):
                    break
                chunk = os.read(stdout.fileno(), 4096)
                if not chunk:
                    self._running().wait(_STOP_S_MAX)
                    break
                read += chunk
        return read.decode("utf-8", "replace").strip()

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._popen is not None, f"{self.name} was not started"
        return self._popen

    def _stdout(self) -> IO[bytes]:
        stdout = self._running().stdout
        assert stdout is not None
        return stdout
