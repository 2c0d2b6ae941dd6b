"""The writing connection, its transactions, and what happens when the disk says no.

After a failed COMMIT nobody knows what is on disk, so the connection is thrown away and nothing
is retried from memory: the next call opens the file again and reads what is there. Opening again
begins with a full checkpoint, because after a failed fsync the kernel may hold pages it will
never write by itself; the checkpoint writes them anew, must succeed, and starts a new log.

Nothing is answered from a file that is not the one opened at start: each piece of work looks
before it begins and again before its answer leaves.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import apsw

from invoice.errors import LedgerUnavailable
from ledger.errors import LedgerError, LedgerInUse, LedgerReadOnly, NotALedger
from ledger.migrate import Migration, migrate
from ledger.opening import (
    Connect,
    Lock,
    Place,
    connect_reader,
    connect_writer,
    make_files,
)

T = TypeVar("T")

Work = Callable[[apsw.Connection], T]

# Pages of 4 KiB. Small enough for a quick restart, large enough that a page written by many
# groups is copied once.
_IDLE_PAGES = 256
_BUSY_PAGES = 8_192

# After these the connection itself is sound: the statement was refused, nothing else happened.
_REFUSALS = (
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.RangeError,
    apsw.TooBigError,
)


class Database:
    """The one writer of a ledger file. Used by one thread."""

    def __init__(
        self,
        path: Path,
        connect: Connect,
        steps: tuple[Migration, ...],
        *,
        on_commit: Callable[[float], None] | None = None,
    ) -> None:
        """``on_commit`` hears, on the writing thread, how many seconds each COMMIT took."""
        self._path = path
        self._on_commit = on_commit
        self._connect = connect
        self._steps = steps
        self._connection: apsw.Connection | None = None
        self._lock: Lock | None = None
        self.place = Place(path)
        self._log_pages = 0
        self._checkpoint_at = _BUSY_PAGES

    def open(self, now: float) -> None:
        """Lock, make, check and migrate the file; raise :class:`LedgerError` by name."""
        make_files(self._path)
        lock = Lock(self._path)
        try:
            self.place.hold()
            self._connection = self._opened(apsw.SQLITE_CHECKPOINT_PASSIVE)
            migrate(self._connection, self._steps, now)
        except BaseException as error:
            self._abandon()
            self.place.release()
            lock.release()
            if isinstance(error, (apsw.Error, OSError)):
                raise _refused(self._path, error) from error
            raise
        self._lock = lock

    def close(self) -> None:
        """Copy the log into the file and let go of it. The reader has closed before."""
        if self._connection is not None:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._abandon()
        self.place.release()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def write(self, work: Work[T], *, keep: bool = True) -> T:
        """Run ``work`` in one transaction and commit it; with ``keep`` False, undo it instead.

        Raises:
            LedgerUnavailable: The database failed, or its file was exchanged; what became of the
                work is unknown.
        """
        connection = self._writable()
        try:
            connection.execute("BEGIN IMMEDIATE")
            answer = work(connection)
        except apsw.Error as error:
            self._undo(connection, sound=isinstance(error, _REFUSALS))
            raise unavailable(error) from error
        except BaseException:
            self._undo(connection, sound=True)
            raise
        if keep:
            self._commit(connection)
        else:
            self._undo(connection, sound=True)
        self._check_place()
        return answer

    def rest(self) -> None:
        """Copy the log into the file while nobody waits."""
        if self._connection is not None and self._log_pages >= _IDLE_PAGES:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._checkpoint_at = _BUSY_PAGES

    def _commit(self, connection: apsw.Connection) -> None:
        began = time.perf_counter()
        try:
            connection.execute("COMMIT")
        except apsw.Error as error:
            self._abandon()
            raise unavailable(error) from error
        if self._on_commit is not None:
            self._on_commit(time.perf_counter() - began)
        pages = self._log_pages
        if pages >= self._checkpoint_at:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)
            # A long read may keep the log from starting over: do not try at every commit.
            self._checkpoint_at = pages + _BUSY_PAGES
        elif pages < _BUSY_PAGES:
            self._checkpoint_at = _BUSY_PAGES

    def _undo(self, connection: apsw.Connection, *, sound: bool) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except apsw.Error:
            sound = False
        if not sound:
            self._abandon()

    def _writable(self) -> apsw.Connection:
        if self._lock is None:
            raise LedgerUnavailable("the ledger is closed")
        self._check_place()
        if self._connection is None:
            try:
                self._connection = self._opened(apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except (apsw.Error, LedgerError, OSError) as error:
                raise unavailable(error) from error
        return self._connection

    def _check_place(self) -> None:
        try:
            self.place.check()
        except LedgerUnavailable:
            # The log beside the file may be another's by now: not a byte more goes into it.
            self._abandon()
            raise

    def _opened(self, mode: int) -> apsw.Connection:
        connection = connect_writer(self._connect, self._path)
        try:
            self.place.check()
            connection.wal_checkpoint(mode=mode)
        except BaseException:
            connection.close(True)
            raise
        connection.set_wal_hook(self._note_log)
        self._log_pages = 0
        return connection

    def _note_log(self, _connection: apsw.Connection, _name: str, page_count: int) -> int:
        self._log_pages = page_count
        return apsw.SQLITE_OK

    def _checkpoint(self, mode: int) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            connection.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            # A reader stands in the way of starting the log over; it grows a little longer.
            pass
        except apsw.Error:
            # What was committed is in the log and stays there; the next call opens again.
            self._abandon()
        self._log_pages = 0

    def _abandon(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(True)


class Reader:
    """A connection for reading, opened when first wanted and again after a failure."""

    def __init__(self, path: Path, connect: Connect, place: Place) -> None:
        self._path = path
        self._connect = connect
        self._place = place
        self._connection: apsw.Connection | None = None

    def read(self, work: Work[T]) -> T:
        """Answer ``work`` on one snapshot; raise :class:`LedgerUnavailable` when it cannot be read."""
        self._place.check()
        answer = self._read(work)
        self._place.check()
        return answer

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(True)

    def _read(self, work: Work[T]) -> T:
        try:
            if self._connection is None:
                self._connection = connect_reader(self._connect, self._path)
            connection = self._connection
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("ROLLBACK")
        except apsw.Error as error:
            self.close()
            raise unavailable(error) from error


def unavailable(error: Exception) -> LedgerUnavailable:
    """Translate a failure of the database at this room's edge."""
    return LedgerUnavailable(f"the ledger failed: {type(error).__name__}: {error}")


_CANNOT_WRITE = (
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.PermissionsError,
    apsw.FullError,
    apsw.IOError,
    OSError,
)


def _refused(path: Path, error: apsw.Error | OSError) -> LedgerError:
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return LedgerInUse(f"another program keeps {path} locked: {error}")
    if isinstance(error, _CANNOT_WRITE):
        return LedgerReadOnly(f"{path} cannot be written: {error}")
    return NotALedger(f"{path} cannot be read as a ledger: {error}")
