"""A ledger opens only what is a ledger, for one gateway, and says by name why not."""

import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from ledger.errors import LedgerError, LedgerInUse, LedgerReadOnly, LedgerTooNew, NotALedger
from ledger.migrate import Migration, shipped
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import NOW, TENANT, WORKER


@asynccontextmanager
async def _open(
    path: Path, steps: tuple[Migration, ...] | None = None
) -> AsyncIterator[SqliteLedger]:
    ledger = SqliteLedger(path, verify=building.verify, steps=steps)
    await ledger.start(WORKER, NOW)
    try:
        yield ledger
    finally:
        await ledger.close()


async def _refusal(path: Path, steps: tuple[Migration, ...] | None = None) -> LedgerError:
    with pytest.raises(LedgerError) as refused:
        async with _open(path, steps):
            pass
    return refused.value


def _raw(path: Path, *statements: str) -> None:
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement).fetchall()
    connection.close()


async def test_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "ledger"

    async with _open(folder / "ledger.db") as ledger:
        await building.register(ledger)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert set(modes) == {"ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"}
    assert set(modes.values()) == {0o600}


async def test_a_second_gateway_is_kept_out(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"

    async with _open(path):
        refusal = await _refusal(path)

    assert type(refusal) is LedgerInUse
    async with _open(path) as ledger:
        await ledger.ping()


async def test_what_was_written_is_there_after_closing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with _open(path) as ledger:
        await building.open_shop(ledger)
        issued = await building.issue(ledger, "r-1")

    async with _open(path) as ledger:
        assert await ledger.find_request(TENANT, "r-1") == issued[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b"an ordinary file, longer than a header\n" * 200),
        lambda path: _raw(path, "CREATE TABLE a (b)"),
        lambda path: _raw(path, "PRAGMA application_id = 7"),
    ],
    ids=["no database", "somebody's database", "another application's"],
)
async def test_a_foreign_file_is_refused_and_left_alone(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    path = tmp_path / "ledger.db"
    make(path)
    before = path.read_bytes()

    refusal = await _refusal(path)

    assert type(refusal) is NotALedger
    assert path.read_bytes() == before


async def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    newer = Migration(99, "from_the_future", "CREATE TABLE future (a)")
    async with _open(tmp_path / "ledger.db", (*shipped(), newer)):
        pass

    refusal = await _refusal(tmp_path / "ledger.db")

    assert type(refusal) is LedgerTooNew
    assert "0099 (from_the_future)" in str(refusal)


async def test_a_changed_migration_is_refused(tmp_path: Path) -> None:
    async with _open(tmp_path / "ledger.db"):
        pass
    first, *rest = shipped()
    changed = replace(first, script=first.script + "\n-- one more word")

    refusal = await _refusal(tmp_path / "ledger.db", (changed, *rest))

    assert type(refusal) is NotALedger
    assert "0001 (books)" in str(refusal)


async def test_a_migration_that_was_skipped_is_refused(tmp_path: Path) -> None:
    late = Migration(9002, "late", "CREATE TABLE late (a)")
    async with _open(tmp_path / "ledger.db", (*shipped(), late)):
        pass
    skipped = Migration(9001, "skipped", "CREATE TABLE skipped (a)")

    refusal = await _refusal(tmp_path / "ledger.db", (*shipped(), skipped, late))

    assert type(refusal) is NotALedger


async def test_a_new_migration_is_applied_once(tmp_path: Path) -> None:
    async with _open(tmp_path / "ledger.db") as ledger:
        await building.open_shop(ledger)
    steps = (*shipped(), Migration(9001, "more", "CREATE TABLE more (a)"))

    for _ in range(2):
        async with _open(tmp_path / "ledger.db", steps) as ledger:
            await building.issue(ledger, "r-1")

    connection = apsw.Connection(str(tmp_path / "ledger.db"))
    assert connection.execute("SELECT number, applied_at FROM migration").fetchall() == [
        *((step.number, NOW) for step in steps),
    ]
    connection.close()


async def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = Migration(9001, "broken", "CREATE TABLE half (a); CREATE TABLE half (a)")

    refusal = await _refusal(tmp_path / "ledger.db", (*shipped(), broken))

    assert type(refusal) is NotALedger
    async with _open(tmp_path / "ledger.db") as ledger:
        await building.register(ledger)


async def test_a_folder_that_cannot_be_made_is_read_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    refusal = await _refusal(tmp_path / "file" / "ledger.db")

    assert type(refusal) is LedgerReadOnly


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A folder that nobody may write to."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    return folder


@pytest.fixture
def nobody(locked: Path, tmp_path: Path) -> Iterator[None]:
    """Root may write anywhere, so the test becomes nobody for a while."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


@pytest.mark.usefixtures("nobody")
async def test_a_folder_of_somebody_else_is_read_only(locked: Path) -> None:
    refusal = await _refusal(locked / "ledger.db")

    assert type(refusal) is LedgerReadOnly


async def test_every_connection_is_set_for_safety(tmp_path: Path) -> None:
    made: list[apsw.Connection] = []

    def connect(filename: str, *, flags: int, statementcachesize: int) -> apsw.Connection:
        made.append(apsw.Connection(filename, flags=flags, statementcachesize=statementcachesize))
        return made[-1]

    ledger = SqliteLedger(tmp_path / "ledger.db", verify=building.verify, connect=connect)
    await ledger.start(WORKER, NOW)
    await ledger.backlogged()

    writer, reader = made
    assert writer.pragma("journal_mode") == "wal"
    assert writer.pragma("synchronous") == 2
    assert writer.pragma("foreign_keys") == 1
    assert [connection.pragma("mmap_size") for connection in made] == [0, 0]
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("DELETE FROM worker")
    await ledger.close()
