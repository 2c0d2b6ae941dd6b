"""The simulator's durable store: one writer thread, group commit, and snapshots for reading.

Rules of this file: a job's answer is delivered after the group it ran in is on disk. A job that
raises leaves nothing behind. A group that cannot be committed ends the store for good, since what
is on disk is then not known.
"""

import asyncio
import fcntl
import os
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from authority.simulator.schema import SchemaNewer, migrate

_T = TypeVar("_T")
Job = Callable[[apsw.Connection], _T]

_GROUP_COUNT_MAX: Final = 256
_PAGE_ROW_COUNT: Final = 500

_PRAGMAS: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
"""


class StoreUnusable(Exception):
    """The folder cannot be used as a store; the message is a sentence for people."""


class StoreBroken(Exception):
    """A commit failed. Nothing is written any more."""


class Store:
    """Owns the folder. ``broken`` is set once a commit has failed."""

    def __init__(self, folder: Path) -> None:
        self._lock = _lock(folder)
        self._path = str(folder / "simulator.sqlite")
        self._connection = _open(self._path)
        self._loop = asyncio.get_running_loop()
        self.broken = asyncio.Event()
        self._jobs: queue.SimpleQueue[tuple[Job[Any], asyncio.Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        # One thread, so that a snapshot is never closed under the page being read.
        self._readers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="export")
        self._writer = threading.Thread(target=self._write, name="store", daemon=True)
        self._writer.start()

    async def run(self, job: Job[_T]) -> _T:
        """Answer ``job(connection)``, run in a transaction, once it is durable."""
        answer: asyncio.Future[_T] = self._loop.create_future()
        self._jobs.put((job, answer))
        return await answer

    async def close(self) -> None:
        """Finish what was asked for, then close."""
        self._jobs.put(None)
        closing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="close")
        await self._loop.run_in_executor(closing, self._writer.join)
        closing.shutdown()
        self._readers.shutdown()
        self._connection.close()
        os.close(self._lock)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["Snapshot"]:
        """Open a view of one instant; writing goes on beside it."""
        connection = await self._loop.run_in_executor(self._readers, _open_snapshot, self._path)
        try:
            yield Snapshot(connection, self._readers)
        finally:
            await self._loop.run_in_executor(self._readers, connection.close)

    def _write(self) -> None:
        while group := self._next_group():
            try:
                outcomes = self._commit(group)
            except apsw.Error as error:
                outcomes = [(answer, None, StoreBroken(str(error))) for _, answer in group]
                self._loop.call_soon_threadsafe(self.broken.set)
                self._connection.close()
            self._loop.call_soon_threadsafe(_deliver, outcomes)

    def _next_group(self) -> list[tuple[Job[Any], asyncio.Future[Any]]]:
        """Wait for work and return all there is; empty when the store closes."""
        group = []
        entry = self._jobs.get()
        while entry is not None:
            group.append(entry)
            if len(group) == _GROUP_COUNT_MAX:
                return group
            try:
                entry = self._jobs.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._jobs.put(None)  # finish the group first, then see the end again
        return group

    def _commit(
        self, group: Sequence[tuple[Job[Any], asyncio.Future[Any]]]
    ) -> list[tuple[asyncio.Future[Any], Any, Exception | None]]:
        outcomes: list[tuple[asyncio.Future[Any], Any, Exception | None]] = []
        self._connection.execute("BEGIN IMMEDIATE")
        for job, answer in group:
            try:
                with self._connection:  # a savepoint: a job that fails fails alone
                    outcomes.append((answer, job(self._connection), None))
            except Exception as error:  # noqa: BLE001 - handed to the one who asked
                outcomes.append((answer, None, error))
        self._connection.execute("COMMIT")
        return outcomes


class Snapshot:
    """A view of one instant, read page by page off the event loop."""

    def __init__(self, connection: apsw.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    async def pages(
        self, query: str, parameters: Mapping[str, str | int]
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Yield the rows of ``query``, a page at a time."""
        loop = asyncio.get_running_loop()
        rows = iter(self._connection.execute(query, dict(parameters)))
        while page := await loop.run_in_executor(self._thread, _page, rows):
            yield page


def _page(rows: Iterator[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return list(islice(rows, _PAGE_ROW_COUNT))


def _deliver(outcomes: Sequence[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
    for answer, value, error in outcomes:
        if answer.cancelled():
            continue
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)


def _lock(folder: Path) -> int:
    """Take the folder for this process alone; freed when the process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnusable(f"store {folder} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreUnusable(f"store {folder} is in use by another simulator") from error
    return lock


def _open(path: str) -> apsw.Connection:
    try:
        connection = apsw.Connection(path)
        connection.execute(_PRAGMAS)
        migrate(connection)
    except SchemaNewer as error:
        raise StoreUnusable(f"store {path} is of a newer simulator: {error}") from error
    except apsw.Error as error:
        raise StoreUnusable(f"store {path} cannot be used: {error}") from error
    return connection


def _open_snapshot(path: str) -> apsw.Connection:
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM policy").fetchall()  # the instant is that of a read
    return connection
