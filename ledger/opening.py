"""Opening the ledger's file: who may hold it, who may read it, and how SQLite is set.

Files are 0600 in a folder made 0700, since the contents hold buyer data. A lock file beside the
database is held for as long as the ledger is open: SQLite's own locks would let a second gateway
in between two transactions.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import apsw

from invoice.errors import LedgerUnavailable
from ledger.errors import LedgerInUse, LedgerReadOnly, NotALedger
from ledger.values import fetch_one

# "taxc": `PRAGMA application_id` of every ledger, so that a foreign file is never migrated.
APPLICATION_ID = 0x74617863

# A hot-path statement has up to nine lengths (see bulk.py); all others fit beside them.
_STATEMENTS = 512
_BUSY_MS = 5_000


class Connect(Protocol):
    """Makes a connection; ``apsw.Connection`` does. Tests put faults here."""

    def __call__(self, filename: str, *, flags: int, statementcachesize: int) -> apsw.Connection:
        """Open ``filename``."""


class Lock:
    """The lock file ``<ledger>.lock``, held until :meth:`release`.

    Raises:
        LedgerInUse: Another process, or another ledger in this one, holds it.
        LedgerReadOnly: The file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._file = _private(path.with_name(path.name + ".lock"))
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise LedgerInUse(f"another gateway holds {path}") from error

    def release(self) -> None:
        """Let another gateway in."""
        os.close(self._file)


class Place:
    """The one file this ledger is, from when it is opened until it is closed.

    A file put in its place while we run may be older: numbers would leave the shelf twice. So an
    exchange is final, for writer and reader, until a restart. Used by any thread.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._lost = ""

    def hold(self) -> None:
        """Take the file that is there now as ours."""
        # Held open, so that its inode number can go to no other file. SQLite's locks are the
        # process's and end with any descriptor: it is closed after the connections.
        self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def check(self) -> None:
        """Raise ``LedgerUnavailable`` once another file, or none, was seen at the path."""
        if not self._lost and self._file is not None:
            self._lost = self._look(self._file)
        if self._lost:
            raise LedgerUnavailable(f"{self._lost}; restart the gateway on the right file")

    def release(self) -> None:
        """Let go of the file."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _look(self, file: int) -> str:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return "the ledger's file is gone"
        except OSError as error:
            raise LedgerUnavailable(f"the ledger's file cannot be seen: {error}") from error
        same = os.path.samestat(found, os.fstat(file))
        return "" if same else "the ledger's file was exchanged"


def make_files(path: Path) -> None:
    """Make the folder and the empty database file where they are missing, for the owner only.

    Raises:
        LedgerReadOnly: The folder or the file cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerReadOnly(f"the folder {path.parent} cannot be made: {error}") from error
    # SQLite gives `-wal` and `-shm` the mode of the database itself.
    os.close(_private(path))


def connect_writer(connect: Connect, path: Path) -> apsw.Connection:
    """Open the one connection that writes. The file must exist: nothing is made behind our back.

    Raises:
        NotALedger: The file is something else; nothing was written to it.
    """
    return _connected(connect, path, _set_writer)


def connect_reader(connect: Connect, path: Path) -> apsw.Connection:
    """Open a connection that cannot write; :class:`NotALedger` as above."""
    return _connected(connect, path, _set_reader)


def _private(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerReadOnly(f"{path} cannot be written: {error}") from error


def _connected(
    connect: Connect, path: Path, settle: Callable[[apsw.Connection], None]
) -> apsw.Connection:
    connection = connect(
        str(path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=_STATEMENTS
    )
    try:
        connection.set_busy_timeout(_BUSY_MS)
        # Before anything is set: switching the journal would already write to a foreign file.
        _check_identity(connection, path)
        settle(connection)
    except BaseException:
        connection.close(True)
        raise
    return connection


def _check_identity(connection: apsw.Connection, path: Path) -> None:
    try:
        found = int(connection.pragma("application_id"))
        table_count = fetch_one(connection, "SELECT count(*) FROM sqlite_schema")
    except apsw.NotADBError as error:
        raise NotALedger(f"{path} is not a database") from error
    if found != APPLICATION_ID and (found != 0 or table_count):
        raise NotALedger(f"{path} is a database of something else (application id {found:#x})")


def _set_writer(connection: apsw.Connection) -> None:
    # What cannot be reached by a damaged pointer cannot be damaged by it: no mmap.
    connection.pragma("mmap_size", 0)
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.pragma("wal_autocheckpoint", 0)
    connection.pragma("journal_size_limit", 64 * 1024 * 1024)
    connection.pragma("foreign_keys", 1)
    connection.pragma("trusted_schema", 0)
    connection.pragma("temp_store", 2)
    # Every commit walks the whole cache, and the system keeps the file's pages anyway.
    connection.pragma("cache_size", -16_384)
    # A connection that is thrown away after a fault must not write on its way out.
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)


def _set_reader(connection: apsw.Connection) -> None:
    connection.pragma("mmap_size", 0)
    connection.pragma("query_only", 1)
    connection.pragma("trusted_schema", 0)
    connection.pragma("temp_store", 2)
    connection.pragma("cache_size", -16_384)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
