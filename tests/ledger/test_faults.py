"""At every step, failed and failed-but-persisted: reopened, the books balance and a retry is exact.

The ledger never guesses: what failed is unknown to the caller, who asks again with the same ids.
"""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from invoice.errors import LedgerUnavailable
from invoice.lifecycle import InvoiceState
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import NOW, TAX_NUMBER, TENANT, WORKER, a_reservation
from tests.ledger.faults import Disk, Faults, When

HOT_STATEMENTS = [
    "BEGIN",
    "SELECT w.column1, i.invoice_id",
    "UPDATE invoice SET state",
    "INSERT INTO signature",
    "INSERT INTO outbox",
    "UPDATE meter SET change_number",
    "INSERT INTO change",
    "SELECT tenant, request_id, invoice_id",
    "SELECT w.column1, w.column2, w.column3, t.tenant",
    "INSERT INTO request_id",
    "INSERT INTO invoice",
    "INSERT INTO content",
    "UPDATE segment SET next",
    "UPDATE meter SET unuploaded_count",
    "COMMIT",
]
UPLOAD_STATEMENTS = [
    "INSERT INTO submission ",
    "UPDATE outbox SET state = 'PREPARED'",
    "INSERT INTO submission_item",
    "DELETE FROM outbox",
    "UPDATE invoice SET submission_number",
    "UPDATE meter SET unuploaded_count",
    "INSERT INTO change",
    "UPDATE submission SET state = 'DONE'",
    "DELETE FROM submission_item",
    "COMMIT",
]
STOCK_STATEMENTS = [
    "INSERT INTO stock_grant",
    "UPDATE stock_grant SET state = 'GRANTED'",
    "UPDATE stock_grant SET state = 'CONFIRMED'",
    "INSERT INTO segment (grant_number, tax_number, type, code, prefix, width, first",
    "INSERT INTO audit",
    "INSERT INTO request_id",
    "DELETE FROM segment",
    "INSERT INTO segment (grant_number, tax_number, type, code, prefix, width, point",
    "COMMIT",
]
BOTH: list[When] = ["before", "after"]
ERRORS = [apsw.IOError, apsw.FullError, apsw.BusyError]
_disks = itertools.count(1)


def _balanced(ledger: SqliteLedger) -> bool:
    *_, last = ledger.check_books()
    return last.balanced


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def ledger(tmp_path: Path, faults: Faults) -> AsyncIterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "ledger.db", verify=building.verify, connect=faults.connect)
    await ledger.start(WORKER, NOW)
    yield ledger
    await ledger.close()


@pytest.fixture
async def disk() -> AsyncIterator[Disk]:
    disk = Disk(f"faulty-{next(_disks)}")
    yield disk
    disk.unregister()


@pytest.fixture
async def on_disk(tmp_path: Path, disk: Disk) -> AsyncIterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "ledger.db", verify=building.verify, connect=disk.connect)
    await ledger.start(WORKER, NOW)
    yield ledger
    await ledger.close()


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("when", BOTH)
@pytest.mark.parametrize("statement", HOT_STATEMENTS)
async def test_a_fault_in_a_group_is_unknown_and_a_retry_is_exact(
    ledger: SqliteLedger, faults: Faults, statement: str, when: When, error: type[apsw.Error]
) -> None:
    await building.open_shop(ledger)
    before = await building.reserve(ledger, a_reservation("a-1"), a_reservation("a-2"))
    settlements = [building.signed(entry) for entry in before]
    drafts = [a_reservation("b-1"), a_reservation("b-2")]
    faults.error = error
    faults.arm(statement, when)

    with pytest.raises(LedgerUnavailable):
        await building.commit(ledger, settlements, drafts)

    assert faults.fired == 1
    assert _balanced(ledger)
    again = await building.commit(ledger, settlements, drafts)
    assert [entry.state for entry in again.settled] == [InvoiceState.ISSUED] * 2
    assert [item.entry.number for item in again.reserved if item.entry] == [
        "00000003", "00000004",
    ]  # fmt: skip
    persisted = statement == "COMMIT" and when == "after"
    assert [item.replayed for item in again.reserved] == [persisted] * 2
    assert _balanced(ledger)


@pytest.mark.parametrize("when", BOTH)
@pytest.mark.parametrize("statement", UPLOAD_STATEMENTS)
async def test_a_fault_in_an_upload_loses_no_event(
    ledger: SqliteLedger, faults: Faults, statement: str, when: When
) -> None:
    await building.open_shop(ledger)
    await building.issue(ledger, "r-1", "r-2", "r-3")
    faults.arm(statement, when)

    with pytest.raises(LedgerUnavailable):
        await building.upload(ledger, "s-1")
    assert faults.fired == 1
    assert _balanced(ledger)

    for submission in await ledger.open_submissions(TAX_NUMBER):
        await ledger.release_submission(submission.submission_id, not_before=0, batch_count_max=9)
    await building.upload(ledger, "s-2")

    assert await ledger.backlogged() == []
    assert _balanced(ledger)


@pytest.mark.parametrize("when", BOTH)
@pytest.mark.parametrize("statement", STOCK_STATEMENTS)
async def test_a_fault_in_a_draw_or_an_assignment_moves_numbers_once(
    ledger: SqliteLedger, faults: Faults, statement: str, when: When
) -> None:
    await building.register(ledger)
    wish, drawn = building.a_wish(10)
    given = building.binding("assign")
    faults.arm(statement, when)

    async def draw_and_assign() -> None:
        await ledger.request_grant(wish, drawn, building.ACT)
        await ledger.store_grant(building.granted(wish, 1))
        await ledger.confirm_grant(TENANT, wish.request_id, NOW)
        await ledger.assign(
            tax_number=TAX_NUMBER,
            point=0,
            type=building.TYPE,
            count=10,
            binding=given,
            act=building.ACT,
        )

    with pytest.raises(LedgerUnavailable):
        await draw_and_assign()
    assert faults.fired == 1
    assert _balanced(ledger)
    await draw_and_assign()

    (segment,) = await ledger.segments(TENANT, TAX_NUMBER)
    assert (segment.point, segment.first, segment.count) == (0, 1, 10)
    assert _balanced(ledger)


@pytest.mark.parametrize("passed", range(4))
@pytest.mark.parametrize("when", BOTH)
@pytest.mark.parametrize("call", ["sync", "write"])
async def test_a_failing_disk_is_unknown_and_a_retry_is_exact(
    on_disk: SqliteLedger, disk: Disk, call: str, when: When, passed: int
) -> None:
    await building.open_shop(on_disk)
    disk.arm(call, when, after=passed)

    unknown = None
    for group in range(6):
        drafts = [a_reservation(f"r-{group}-{at}") for at in range(20)]
        try:
            await building.reserve(on_disk, *drafts)
        except LedgerUnavailable:
            unknown = drafts
            break

    assert unknown is not None
    entries = await building.reserve(on_disk, *unknown)
    numbers = [int(entry.number) for entry in entries]
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    assert _balanced(on_disk)


async def test_a_full_disk_refuses_until_there_is_room(on_disk: SqliteLedger, disk: Disk) -> None:
    await building.open_shop(on_disk)
    disk.arm("write", "before", error=apsw.FullError)

    with pytest.raises(LedgerUnavailable):
        await building.reserve(on_disk, a_reservation("r-1"))

    (entry,) = await building.reserve(on_disk, a_reservation("r-1"))
    assert entry.number == "00000001"
    assert _balanced(on_disk)


async def test_nothing_is_written_until_the_file_opens_again(
    ledger: SqliteLedger, faults: Faults
) -> None:
    await building.open_shop(ledger)
    faults.arm("COMMIT", "before")
    with pytest.raises(LedgerUnavailable):
        await building.reserve(ledger, a_reservation("r-1"))
    opening = "SELECT count(*) FROM sqlite_schema"

    faults.arm(opening, "before")
    with pytest.raises(LedgerUnavailable):
        await ledger.ping()
    faults.arm(opening, "before")
    with pytest.raises(LedgerUnavailable):
        await building.reserve(ledger, a_reservation("r-1"))
    assert faults.fired == 3

    await ledger.ping()
    (entry,) = await building.reserve(ledger, a_reservation("r-1"))
    assert entry.number == "00000001"


@pytest.mark.parametrize("first", ["read", "write", "ping"])
async def test_an_exchanged_file_answers_nothing_and_ends_the_ledger_until_a_restart(
    ledger: SqliteLedger, tmp_path: Path, first: str
) -> None:
    await building.open_shop(ledger)
    path = tmp_path / "ledger.db"
    _back_up(path, tmp_path / "backup.db")
    (sold,) = await building.issue(ledger, "r-after-the-backup")

    path.rename(tmp_path / "right.db")
    (tmp_path / "backup.db").rename(path)

    use = {
        "read": lambda: ledger.find_request(TENANT, "r-after-the-backup"),
        "write": lambda: building.reserve(ledger, a_reservation("r-new")),
        "ping": ledger.ping,
    }
    for name in (first, *use, *use):
        with pytest.raises(LedgerUnavailable, match="was exchanged; restart"):
            await use[name]()
    # The right file back at its path: nobody knows what was read elsewhere, so only a start helps.
    (tmp_path / "right.db").rename(path)
    with pytest.raises(LedgerUnavailable, match="was exchanged; restart"):
        await ledger.ping()
    await ledger.close()

    again = SqliteLedger(path, verify=building.verify)
    await again.start(WORKER, NOW)
    (entry,) = await building.reserve(again, a_reservation("r-new"))
    await again.close()
    assert (sold.number, entry.number) == ("00000001", "00000002")


async def test_a_file_exchanged_while_the_connection_is_thrown_away_is_not_opened(
    ledger: SqliteLedger, faults: Faults, tmp_path: Path
) -> None:
    await building.open_shop(ledger)
    path = tmp_path / "ledger.db"
    _back_up(path, tmp_path / "backup.db")
    faults.arm("COMMIT", "after")
    with pytest.raises(LedgerUnavailable):
        await building.reserve(ledger, a_reservation("r-1"))

    (tmp_path / "backup.db").rename(path)

    with pytest.raises(LedgerUnavailable, match="was exchanged"):
        await building.reserve(ledger, a_reservation("r-2"))


async def test_a_file_that_was_taken_away_stays_away_though_it_comes_back(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    path.rename(tmp_path / "away.db")
    with pytest.raises(LedgerUnavailable, match="is gone; restart"):
        await ledger.find_request(TENANT, "r-1")
    (tmp_path / "away.db").rename(path)

    with pytest.raises(LedgerUnavailable, match="is gone; restart"):
        await ledger.ping()


def _back_up(path: Path, copy: Path) -> None:
    source, target = apsw.Connection(str(path)), apsw.Connection(str(copy))
    with target.backup("main", source, "main") as copying:
        copying.step()
    source.close()
    target.close()


async def test_a_closed_ledger_writes_nothing(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db", verify=building.verify)
    await ledger.start(WORKER, NOW)
    await building.register(ledger)

    await ledger.close()

    with pytest.raises(LedgerUnavailable):
        await ledger.ping()
    with pytest.raises(LedgerUnavailable):
        await ledger.taxpayer(TENANT, TAX_NUMBER)
