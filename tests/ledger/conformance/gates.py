"""Transactions that stand open, right before their commit, until a test lets them go.

    gate = Gate()
    ledger = SqliteLedger(path, verify=…, connect=gate.connect)
    gate.shut()
    task = asyncio.create_task(ledger.commit(…))
    await gate.standing(1)          # it has done everything but commit
    await gate.let_last_go()        # the one that came last commits first

A ledger whose writers queue has one standing at a time; one whose writers meet has as many as there
are. A test that lets the last one go, until nobody stands, is right for both.
"""

import asyncio
import threading
from typing import Any

import apsw

_WAIT_S = 30.0


class Gate:
    """Holds every COMMIT while it is shut."""

    def __init__(self) -> None:
        self._shut = False
        self._changed = threading.Condition()
        self._standing: list[threading.Event] = []

    def shut(self) -> None:
        """Hold commits from now on."""
        self._shut = True

    def open(self) -> None:
        """Let everybody go."""
        self._shut = False
        with self._changed:
            for one in self._standing:
                one.set()
            self._standing.clear()

    def connect(self, filename: str, *, flags: int, statementcachesize: int) -> apsw.Connection:
        """Open a connection that commits through this gate."""
        connection = _Connection(filename, flags=flags, statementcachesize=statementcachesize)
        connection.gate = self
        return connection

    async def standing(self, count: int) -> None:
        """Wait until so many stand before their commit."""
        assert await asyncio.to_thread(self._await_standing, count), "nobody came to its commit"

    def let_last_go(self) -> None:
        """Let the one that came last commit."""
        with self._changed:
            self._standing.pop().set()

    def wait(self) -> None:
        """Stand before a commit, on the thread of the ledger."""
        if not self._shut:
            return
        mine = threading.Event()
        with self._changed:
            self._standing.append(mine)
            self._changed.notify_all()
        mine.wait()

    def _await_standing(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self._standing) >= count, _WAIT_S)


class _Connection(apsw.Connection):
    gate: Gate

    def execute(self, statements: str, *args: Any, **kwargs: Any) -> apsw.Cursor:
        if statements == "COMMIT":
            self.gate.wait()
        return super().execute(statements, *args, **kwargs)
