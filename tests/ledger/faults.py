"""A disk that fails when told to: connections for ``SqliteLedger(connect=…)``.

Two seams. ``Faults.connect`` fails a statement, before it ran or after; ``Disk.connect`` fails
writes and syncs underneath SQLite, before they reached the real disk or after.
"""

from typing import Any, Literal

import apsw

When = Literal["before", "after"]


class Faults:
    """Which statement fails next. ``after``: it took effect, and the answer was lost."""

    def __init__(self, error: type[apsw.Error] = apsw.IOError) -> None:
        self.error = error
        self.fired = 0
        self._prefix: str | None = None
        self._when: When = "before"

    def arm(self, prefix: str, when: When) -> None:
        """Fail the next statement that begins with ``prefix``."""
        self._prefix, self._when = prefix, when

    def connect(self, filename: str, *, flags: int, statementcachesize: int) -> apsw.Connection:
        """Open a connection that asks here before and after each statement."""
        connection = _Connection(filename, flags=flags, statementcachesize=statementcachesize)
        connection.faults = self
        return connection

    def check(self, statement: str, when: When) -> None:
        """Fail if it is this statement's turn."""
        if self._prefix is None or when != self._when:
            return
        if " ".join(statement.split()).startswith(self._prefix):
            self._prefix = None
            self.fired += 1
            raise self.error(f"injected {when} {statement[:40]!r}")


class _Connection(apsw.Connection):
    faults: Faults

    def execute(self, statements: str, *args: Any, **kwargs: Any) -> apsw.Cursor:
        self.faults.check(statements, "before")
        cursor = super().execute(statements, *args, **kwargs)
        self.faults.check(statements, "after")
        return cursor


class Disk(apsw.VFS):
    """A file system on which the n-th sync or write from now on fails."""

    def __init__(self, name: str) -> None:
        self.fired = 0
        self._call = ""
        self._left = 0
        self._when: When = "before"
        self._error: type[apsw.Error] = apsw.IOError
        self._name = name
        super().__init__(name, "")

    def arm(
        self, call: str, when: When, *, after: int = 0, error: type[apsw.Error] = apsw.IOError
    ) -> None:
        """Fail a ``sync`` or ``write`` once, after letting ``after`` of them pass."""
        self._call, self._when, self._left, self._error = call, when, after, error

    def connect(self, filename: str, *, flags: int, statementcachesize: int) -> apsw.Connection:
        """Open a connection on this disk."""
        return apsw.Connection(
            filename, flags=flags, vfs=self._name, statementcachesize=statementcachesize
        )

    def xOpen(self, name: Any, flags: list[int]) -> "_File":  # noqa: N802 - SQLite's name
        """Open a file that asks here before and after each call."""
        return _File(self, name, flags)

    def check(self, call: str, when: When) -> None:
        """Fail if it is this call's turn."""
        if call == self._call and when == self._when:
            if self._left:
                self._left -= 1
                return
            self._call = ""
            self.fired += 1
            raise self._error(f"injected {when} {call}")


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.check("sync", "before")
        super().xSync(flags)
        self._disk.check("sync", "after")

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.check("write", "before")
        super().xWrite(data, offset)
        self._disk.check("write", "after")
