"""A check of the books finds whatever was changed about reds, voids and blank voids, and nothing else."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from ledger.records import BooksProgress, Finding
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import NOW, TAX_NUMBER, WORKER, a_red, a_reservation

# Who works on it and since when is nobody's right or wrong.
COLUMNS = [
    *(("reversal", name) for name in ("invoice_id", "live_count", "live_net_fen", "live_tax_fen")),
    *(("reversal", name) for name in ("issued_count", "issued_net_fen", "issued_tax_fen")),
    *(("red", name) for name in ("invoice_id", "original_id", "tax_number", "red_notice_number")),
    ("red", "live"),
    *(("statement", name) for name in ("tenant", "request_id", "kind", "invoice_id", "tax_number")),
    *(("statement", name) for name in ("machine_number", "statement_time", "content", "state")),
    *(("statement", name) for name in ("signature", "key_id", "submission_number")),
    *(("submission", name) for name in ("tax_number", "state", "accepted_sum")),
    ("outbox", "state"),
    ("outbox", "family_id"),
    ("outbox", "event"),
    ("outbox", "issue_time"),
    ("invoice", "buyer_digest"),
    ("invoice", "state"),
    ("invoice", "kind"),
    ("invoice", "submission_number"),
    ("change", "what"),
]
# To what else a text may be set where only some are allowed.
OTHERWISE = {
    "kind": {"VOID": "BLANK_VOID", "BLANK_VOID": "VOID", "blue": "red", "red": "blue"},
    "event": {"ISSUE": "VOID", "VOID": "ISSUE", "BLANK_VOID": "VOID"},
    "what": {
        "PARTLY_REVERSED": "RESTORED",
        "RESTORED": "PARTLY_REVERSED",
        "VOIDED": "ISSUED",
        "VOID_REJECTED": "VOID_SIGNATURE_REJECTED",
    },
    "state": {
        "RESERVED": "SETTLED",
        "SETTLED": "RESERVED",
        "ISSUED": "PARTLY_REVERSED",
        "VOIDED": "ISSUED",
        "BLANK_VOIDED": "ISSUED",
        "REVERSED": "PARTLY_REVERSED",
        "PARTLY_REVERSED": "REVERSED",
        "PENDING": "PREPARED",
        "PREPARED": "IN_DOUBT",
        "REJECTED": "SIGNATURE_REJECTED",
        "SIGNATURE_REJECTED": "REJECTED",
        "DONE": "SUBMITTED",
    },
}
# Of one invoice the first change and its void; then the submissions of two invoices.
SWAPPED_BEGINNING = """
UPDATE change
   SET what = iif(what = 'ISSUED', 'VOIDED', 'ISSUED')
 WHERE invoice_id = (SELECT invoice_id FROM invoice WHERE state = 'VOIDED' AND kind = 'blue' LIMIT 1)
   AND what IN ('ISSUED', 'VOIDED')
"""
# Two that were issued and no more, of two meters.
SWAPPED_METERS = """
WITH issued AS (SELECT invoice_id, meter_id
                  FROM change
                 GROUP BY invoice_id
                HAVING count(*) = 1 AND max(what) = 'ISSUED'),
     ends AS (SELECT (SELECT invoice_id FROM issued ORDER BY meter_id, invoice_id LIMIT 1) AS one,
                     (SELECT invoice_id FROM issued ORDER BY meter_id DESC LIMIT 1) AS other)
UPDATE change
   SET invoice_id = ends.one + ends.other - invoice_id
  FROM ends
 WHERE invoice_id IN (ends.one, ends.other)
"""
SWAPPED_SUBMISSIONS = """
UPDATE invoice
   SET submission_number = 3 - submission_number
 WHERE invoice_id IN ((SELECT min(invoice_id) FROM invoice WHERE submission_number = 1),
                      (SELECT min(invoice_id) FROM invoice WHERE submission_number = 2))
"""


def _check(path: Path) -> BooksProgress:
    *_, last = SqliteLedger(path, verify=building.verify).check_books()
    return last


def _findings(path: Path) -> list[Finding]:
    words = SqliteLedger(path, verify=building.verify).check_books()
    return [finding for word in words for finding in word.findings]


async def _write_books(path: Path) -> None:
    """Books with reds, voids and blank voids in every state they can be in."""
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    await building.open_family_shop(ledger)
    blues = await building.issue_all(
        ledger, *(a_reservation(f"blue-{at}", type="028") for at in range(8))
    )
    in_part, whole, restored, voided, resolved, voiding, half, refused = blues
    await building.upload(ledger, "s-1", rejected=[resolved.number, refused.number])
    reds = await building.issue_all(
        ledger,
        a_red("red-1", in_part, 5_000, 450, notice="1234567890123450"),
        a_red("red-2", in_part, 5_000, 450),
        a_red("red-3", whole),
        a_red("red-4", restored),
        a_red("red-5", half, 10_000, 900),
        a_red("red-6", half, 10_000, 900),
    )
    await building.void(ledger, reds[3])
    await building.void(ledger, reds[4])
    for invoice in (voided, resolved):
        await building.void(ledger, invoice)
    await building.upload(ledger, "s-2", count_max=7)
    await building.upload(ledger, "s-3", rejected=[voided.number])
    await building.decide_void(ledger, voiding)
    waiting = await building.reserve(
        ledger, a_red("red-7", in_part, 1_000, 90), a_red("red-8", in_part, 1_000, 90)
    )
    code = in_part.code
    number = waiting[0].number
    await building.decide_blank_void(ledger, number, code=code, type="028", now=NOW + 60)
    for type_code, given_up in (("026", "00000001"), ("026", "00000002"), ("025", "00000001")):
        statement = await building.decide_blank_void(
            ledger, given_up, code=f"0110026001{type_code[1:]}", type=type_code
        )
        if given_up == "00000001":
            await building.settle_statement(ledger, statement)
    roll, other = await building.issue_all(
        ledger, a_reservation("roll-1", type="025"), a_reservation("roll-2", type="025")
    )
    await building.issue_all(ledger, a_red("red-9", roll, type="026"))
    await building.void(ledger, other)
    await ledger.prepare_submission(TAX_NUMBER, "s-4", count_max=2, now=NOW)
    await building.issue_all(ledger, a_reservation("late", type="028", net_fen=20_000))
    await ledger.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "ledger.db"
    loop = asyncio.new_event_loop()
    loop.run_until_complete(_write_books(path))
    loop.close()
    return path


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "ledger.db"))


@contextmanager
def _changed(path: Path, *statements: str) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(path))
    connection.pragma("ignore_check_constraints", 1)
    connection.pragma("synchronous", 0)
    for statement in statements:
        connection.execute(statement)
    yield connection
    connection.close()


def test_sound_books_balance(path: Path) -> None:
    assert _findings(path) == []
    last = _check(path)
    assert (last.balanced, last.checked_count, last.reserved_count) == (True, 23, 1)
    assert (last.issued_count, last.signature_count) == (18, 18 + 7)


def _otherwise(column: str, value: object) -> object:
    """Another value of the same kind; None where there is nothing to change."""
    if isinstance(value, str):
        return OTHERWISE.get(column, {}).get(
            value, f"{value}x" if column not in OTHERWISE else None
        )
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    return None if value is None else int(str(value)) + 1


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_any_other_value_is_found(path: Path, table: str, column: str) -> None:
    """Each value of a column, one after the other; two the database itself may refuse."""
    key = "change_number, meter_id" if table == "change" else "rowid, 0"
    where = "change_number = ? AND meter_id = ?" if table == "change" else "rowid = ? AND 0 = ?"
    tried = 0
    with _changed(path) as connection:
        rows = connection.execute(f"SELECT {key}, {column} FROM {table}").fetchall()
        for *row, value in rows:
            other = _otherwise(column, value)
            if other is None:
                continue
            update = f"UPDATE {table} SET {column} = ? WHERE {where}"
            try:
                connection.execute(update, (other, *row))
            except apsw.ConstraintError:
                continue
            tried += 1
            assert not _check(path).balanced, (row, value, other)
            key_now = other if column == "invoice_id" and table != "statement" else row[0]
            connection.execute(update, (value, key_now, row[1]))
    assert tried
    assert _check(path).balanced


@pytest.mark.parametrize(
    ("check", "statement"),
    [
        ("I10_REVERSED", "DELETE FROM reversal WHERE invoice_id = 1"),
        ("I10_REVERSED", "DELETE FROM red WHERE invoice_id = 9"),
        ("I10_REVERSED", "INSERT INTO red SELECT 3, 2, tax_number, '', 1 FROM red LIMIT 1"),
        ("I10_REVERSED", "INSERT INTO red SELECT 99, 2, tax_number, '', 1 FROM red LIMIT 1"),
        ("I10_REVERSED", "INSERT INTO reversal VALUES (99, 0, 0, 0, 0, 0, 0)"),
        ("I6_STATED", "DELETE FROM statement WHERE kind = 'VOID' AND state = 'SETTLED'"),
        ("I6_STATED", "DELETE FROM statement WHERE kind = 'BLANK_VOID'"),
        ("I6_STATED", "UPDATE statement SET invoice_id = 99 WHERE statement_id = 1"),
        ("I6_STATED", "UPDATE outbox SET event = 'BLANK_VOID' WHERE event = 'VOID'"),
        ("I6_UPLOADED", "DELETE FROM outbox WHERE event = 'VOID'"),
        ("I6_UPLOADED", "DELETE FROM outbox WHERE event = 'BLANK_VOID'"),
        ("I6_UPLOADED", "UPDATE statement SET submission_number = 77 WHERE submission_number = 3"),
        ("I6_UPLOADED", "UPDATE outbox SET family_id = 2 WHERE event = 'VOID'"),
        ("I6_CHANGES", "UPDATE change SET what = 'UNHEARD' WHERE what = 'RESTORED'"),
        ("I6_CHANGES", "UPDATE change SET invoice_id = 8 WHERE what = 'RESTORED'"),
        ("I6_CHANGES", "UPDATE change SET what = 'ACCEPTED' WHERE what = 'VOID_ACCEPTED'"),
        ("I6_CHANGES", "UPDATE change SET what = 'RETRIED' WHERE what = 'REJECTED'"),
        ("I6_CHANGES", SWAPPED_BEGINNING),
        ("I6_CHANGES", SWAPPED_METERS),
        ("I6_CHANGES", "UPDATE change SET what = 'VOIDED' WHERE what = 'BLANK_VOIDED'"),
        ("I6_UPLOADED", SWAPPED_SUBMISSIONS),
        ("I6_UPLOADED", "INSERT INTO submission_item SELECT 4, 900 + invoice_id, invoice_id, kind, 1 FROM statement WHERE submission_number IS NOT NULL"),
        ("I3_EXACTLY_ONCE", "UPDATE request_id SET request = x'7b7d' WHERE action = 'void_invoice'"),
        ("I3_EXACTLY_ONCE", "UPDATE request_id SET request = x'7b7d' WHERE action = 'void_blank_number'"),
        ("I9_AUDITED", "UPDATE request_id SET effect = replace(effect, 'BLANK_VOID', 'VOID') WHERE action = 'void_blank_number'"),
        ("I2_GAPLESS", "DELETE FROM invoice WHERE type = '026' AND state = 'BLANK_VOIDED'"),
        ("I3_EXACTLY_ONCE", "DELETE FROM request_id WHERE action = 'void_invoice'"),
        ("I3_EXACTLY_ONCE", "DELETE FROM request_id WHERE action = 'void_blank_number'"),
        ("I3_EXACTLY_ONCE", "UPDATE statement SET request_id = request_id || 'x'"),
        ("I9_BUYER", "UPDATE secret SET value = zeroblob(32) WHERE name = 'buyer-digest'"),
        ("I9_BUYER", "DELETE FROM secret"),
        ("I9_BUYER", "UPDATE invoice SET buyer_digest = NULL WHERE invoice_id = 1"),
        ("I5_SIGNED", "UPDATE statement SET signature = zeroblob(64) WHERE statement_id = 1"),
        ("I5_CONTENT", "UPDATE statement SET content = x'7b7d' WHERE state = 'RESERVED'"),
        ("I5_CONTENT", "UPDATE invoice SET net_fen = 5 WHERE state = 'BLANK_VOIDED' AND type = '026'"),
        ("I8_MONOTONE", "UPDATE statement SET statement_time = 7"),
    ],
)  # fmt: skip
def test_what_was_changed_is_found(path: Path, check: str, statement: str) -> None:
    with _changed(path, statement) as connection:
        assert connection.changes() > 0

    assert check in {finding.check for finding in _findings(path)}


def test_a_finding_names_the_invoice(path: Path) -> None:
    with _changed(path, "UPDATE reversal SET live_net_fen = 20001 WHERE invoice_id = 1"):
        pass

    subject = f"taxpayers/{TAX_NUMBER}/invoices/011002600128-00000001"
    found = _findings(path)
    assert {finding.subject for finding in found} == {subject}
    assert "reds of 20001 and 990 fen exceed 20000, 1800" in {one.message for one in found}
