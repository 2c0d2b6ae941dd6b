"""At every step of a red, a void and a blank void, failed and failed-but-persisted: a retry is exact."""

from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from invoice.errors import LedgerUnavailable
from invoice.lifecycle import InvoiceState
from ledger.records import Entry, GroupResult, InvoiceRecord, StatementRecord
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import NOW, TAX_NUMBER, TENANT, WORKER, a_red, a_reservation
from tests.ledger.faults import Faults, When

RED_STATEMENTS = [
    "SELECT invoice_id, original_id FROM red",
    "SELECT r.invoice_id, i.tax_number",
    "UPDATE reversal SET issued_count",
    "UPDATE invoice SET state = w.column2",
    "SELECT i.tax_number, i.code, i.number, i.invoice_id",
    "SELECT d.tax_number, d.red_notice_number",
    "INSERT INTO red",
    "INSERT INTO reversal",
    "COMMIT",
]
VOID_STATEMENTS = [
    "SELECT r.action, r.request",
    "SELECT i.invoice_id, i.machine_number",
    "INSERT INTO statement",
    "INSERT INTO request_id",
    "INSERT INTO audit",
    "COMMIT",
]
SETTLE_STATEMENTS = [
    "UPDATE statement SET state = 'SETTLED'",
    "SELECT i.tax_number, i.machine_number",
    "UPDATE invoice SET state = 'VOIDED'",
    "UPDATE red SET live = 0",
    "UPDATE reversal SET issued_count",
    "UPDATE invoice SET state = w.column2",
    "UPDATE reversal SET live_count",
    "INSERT INTO outbox",
    "UPDATE meter SET change_number",
    "INSERT INTO change",
    "COMMIT",
]
FRESH_STATEMENTS = [
    "SELECT t.tenant, p.machine_number",
    "SELECT i.invoice_id, i.state",
    "SELECT segment_id",
    "UPDATE segment SET next",
    "INSERT INTO invoice",
    "UPDATE meter SET last_issue_time",
    "INSERT INTO statement",
    "INSERT INTO request_id",
    "INSERT INTO audit",
    "COMMIT",
]
GIVE_UP_STATEMENTS = [
    "UPDATE invoice SET state = 'BLANK_VOIDED'",
    "UPDATE meter SET unuploaded_count",
    "UPDATE red SET live = 0",
    "UPDATE reversal SET live_count",
    "INSERT INTO statement",
    "COMMIT",
]
UPLOAD_STATEMENTS = [
    "SELECT o.event_id, ifnull",
    "UPDATE outbox SET state = 'PREPARED'",
    "UPDATE statement SET submission_number",
    "DELETE FROM outbox WHERE event_id",
    "DELETE FROM outbox WHERE invoice_id",
    "COMMIT",
]
BOTH: list[When] = ["before", "after"]
ERRORS = [apsw.IOError, apsw.FullError]


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def ledger(tmp_path: Path, faults: Faults) -> AsyncIterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "ledger.db", verify=building.verify, connect=faults.connect)
    await ledger.start(WORKER, NOW)
    await building.open_family_shop(ledger)
    yield ledger
    assert faults.fired == 1
    assert _balanced(ledger)
    await ledger.close()


def _balanced(ledger: SqliteLedger) -> bool:
    *_, last = ledger.check_books()
    return last.balanced


async def _blue(ledger: SqliteLedger, request_id: str = "blue") -> Entry:
    (blue,) = await building.issue_all(ledger, a_reservation(request_id, type="028"))
    return blue


async def _shown(ledger: SqliteLedger, entry: Entry) -> InvoiceRecord:
    record = await ledger.find_invoice(TENANT, TAX_NUMBER, entry.code, entry.number)
    assert record is not None
    return record


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("when", BOTH)
@pytest.mark.parametrize("statement", RED_STATEMENTS)
async def test_a_fault_in_a_group_of_reds(
    ledger: SqliteLedger, faults: Faults, statement: str, when: When, error: type[apsw.Error]
) -> None:
    blue = await _blue(ledger)
    waiting = await building.reserve(ledger, a_red("red-1", blue, 5_000, 450))
    settlements = [building.signed(entry) for entry in waiting]
    reds = [
        a_red("red-2", blue, 10_000, 900, notice="1234567890123450"),
        a_red("red-3", blue, 10_000, 900),
    ]
    faults.error = error
    faults.arm(statement, when)

    async def commit() -> GroupResult:
        return await building.commit(ledger, settlements, reds)

    with pytest.raises(LedgerUnavailable):
        await commit()
    assert _balanced(ledger)
    again = await commit()

    taken, refused = again.reserved
    assert taken.entry is not None
    assert taken.entry.number == "00000003"
    assert taken.replayed == (statement == "COMMIT" and when == "after")
    assert refused.error is not None
    assert refused.error.facts["remaining_net_fen"] == "5000"
    assert (await _shown(ledger, blue)).reversed_net_fen == 5_000


@pytest.mark.parametrize("when", BOTH)
@pytest.mark.parametrize("statement", VOID_STATEMENTS)
async def test_a_fault_where_a_void_is_decided(
    ledger: SqliteLedger, faults: Faults, statement: str, when: When
) -> None:
    blue = await _blue(ledger)

    async def decide() -> StatementRecord:
        return await building.decide_void(ledger, blue, request_id="void-1")

    faults.arm(statement, when)
    with pytest.raises(LedgerUnavailable):
        await decide()
    assert _balanced(ledger)
    persisted = statement == "COMMIT" and when == "after"
    assert (await ledger.find_statement(TENANT, "void-1") is not None) == persisted
    await building.settle_statement(ledger, await decide())

    assert (await _shown(ledger, blue)).entry.state is InvoiceState.VOIDED


@pytest.mark.parametrize("when", BOTH)
@pytest.mark.parametrize("statement", SETTLE_STATEMENTS)
async def test_a_fault_where_the_void_of_a_red_settles(
    ledger: SqliteLedger, faults: Faults, statement: str, when: When
) -> None:
    blue = await _blue(ledger)
    red, _ = await building.issue_all(
        ledger, a_red("red-1", blue, 5_000, 450), a_red("red-2", blue, 15_000, 1_350)
    )
    void = await building.decide_void(ledger, red)

    faults.arm(statement, when)
    with pytest.raises(LedgerUnavailable):
        await building.settle_statement(ledger, void)
    assert _balanced(ledger)
    settled = await building.settle_statement(ledger, void)

    assert settled.state == "SETTLED"
    shown = await _shown(ledger, blue)
    assert (shown.entry.state, shown.reversed_net_fen) == (InvoiceState.PARTLY_REVERSED, 15_000)


@pytest.mark.parametrize("when", BOTH)
@pytest.mark.parametrize("statement", FRESH_STATEMENTS)
async def test_a_fault_where_the_next_number_is_given_up(
    ledger: SqliteLedger, faults: Faults, statement: str, when: When
) -> None:
    code = (await _blue(ledger)).code

    async def decide() -> StatementRecord:
        return await building.decide_blank_void(
            ledger, "00000002", request_id="blank-1", code=code, type="028", now=NOW + 5
        )

    faults.arm(statement, when)
    with pytest.raises(LedgerUnavailable):
        await decide()
    assert _balanced(ledger)
    await building.settle_statement(ledger, await decide())

    assert (await _blue(ledger, "next")).number == "00000003"


@pytest.mark.parametrize("when", BOTH)
@pytest.mark.parametrize("statement", GIVE_UP_STATEMENTS)
async def test_a_fault_where_a_waiting_red_is_given_up(
    ledger: SqliteLedger, faults: Faults, statement: str, when: When
) -> None:
    blue = await _blue(ledger)
    (red,) = await building.reserve(ledger, a_red("red-1", blue))

    async def decide() -> StatementRecord:
        return await building.decide_blank_void(
            ledger, red.number, request_id="blank-1", code=red.code, type="028", now=NOW + 60
        )

    faults.arm(statement, when)
    with pytest.raises(LedgerUnavailable):
        await decide()
    assert _balanced(ledger)
    await building.settle_statement(ledger, await decide())

    result = await building.commit(ledger, [building.signed(red)], [a_red("red-2", blue)])
    assert result.settled[0].state is InvoiceState.BLANK_VOIDED
    assert result.reserved[0].error is None


@pytest.mark.parametrize("when", BOTH)
@pytest.mark.parametrize("statement", UPLOAD_STATEMENTS)
async def test_a_fault_in_the_upload_of_a_void(
    ledger: SqliteLedger, faults: Faults, statement: str, when: When
) -> None:
    blue = await _blue(ledger)
    await building.upload(ledger, "s-1", rejected=[blue.number])
    await building.void(ledger, blue)
    faults.arm(statement, when)

    with pytest.raises(LedgerUnavailable):
        await building.upload(ledger, "s-2")
    assert _balanced(ledger)
    for submission in await ledger.open_submissions(TAX_NUMBER):
        await ledger.release_submission(submission.submission_id, not_before=0, batch_count_max=9)
    await building.upload(ledger, "s-3")

    assert await ledger.unuploaded(TENANT, TAX_NUMBER) == []
