"""A check of the books finds what was changed behind the ledger's back, and nothing else."""

import sys
from pathlib import Path
from random import Random

import apsw
import pytest

from invoice.errors import LedgerUnavailable
from ledger.records import BooksProgress, Finding
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import NOW, TAX_NUMBER, WORKER, a_reservation

ISSUED = 12
INVOICE_5 = "taxpayers/91110000AYTLHUJ0ET/invoices/011002600111-00000005"


def _check(path: Path) -> BooksProgress:
    *_, last = SqliteLedger(path, verify=building.verify).check_books()
    return last


def _findings(path: Path) -> list[Finding]:
    words = SqliteLedger(path, verify=building.verify).check_books()
    return [finding for word in words for finding in word.findings]


def _plant(path: Path, *statements: str) -> None:
    """Change the file as no ledger would."""
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Books with everything in them: accepted, refused, doubtful, waiting and reserved invoices."""
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    await building.open_shop(ledger, 100)
    await building.open_shop(ledger, 100, tax_number=building.OTHER_TAX_NUMBER, code="031002600111")
    await building.draw(ledger, 50, 500)
    await building.issue(ledger, *(f"r-{at}" for at in range(ISSUED)))
    await building.upload(ledger, "s-1", count_max=6, rejected=["00000002"])
    await ledger.prepare_submission(TAX_NUMBER, "s-2", count_max=2, now=NOW)
    await building.reserve(ledger, a_reservation("open-1"), a_reservation("open-2"))
    await ledger.close()
    return path


def test_sound_books_balance_and_are_counted(path: Path) -> None:
    assert _check(path) == BooksProgress(
        checked_count=ISSUED + 2,
        total_count=ISSUED + 2,
        issued_count=ISSUED,
        reserved_count=2,
        uploaded_count=5,
        signature_count=ISSUED,
        done=True,
        balanced=True,
    )


def test_empty_books_balance(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable):
        _check(tmp_path / "missing.db")


@pytest.mark.parametrize(
    ("check", "statements"),
    [
        ("I5_SIGNED", ["UPDATE content SET content = CAST(replace(CAST(content AS TEXT), 'G101', 'G102') AS BLOB) WHERE invoice_id = 5"]),
        ("I3_EXACTLY_ONCE", ["UPDATE invoice SET fingerprint = zeroblob(32) WHERE invoice_id = 5"]),
        ("I5_CONTENT", ["UPDATE invoice SET net_fen = net_fen + 1 WHERE invoice_id = 5"]),
        ("I5_CONTENT", ["UPDATE invoice SET issue_time = issue_time + 1 WHERE invoice_id = 5"]),
        ("I5_CONTENT", ["DELETE FROM content WHERE invoice_id = 5"]),
        ("I5_SIGNED", ["UPDATE signature SET signature = zeroblob(64) WHERE invoice_id = 5"]),
        ("I5_SIGNED", ["DELETE FROM signature WHERE invoice_id = 5"]),
        ("I5_SIGNED", ["UPDATE signature SET key_id = 'other' WHERE invoice_id = 5"]),
        ("I5_MARKS", ["UPDATE signature SET check_code = '01234567890123456789' WHERE invoice_id = 5"]),
        ("I5_MARKS", ["UPDATE signature SET fiscal_code = '' WHERE invoice_id = 5"]),
        ("I6_UPLOADED", ["DELETE FROM outbox WHERE invoice_id = 8"]),
        ("I6_UPLOADED", ["UPDATE invoice SET submission_number = NULL WHERE invoice_id = 5"]),
        ("I6_UPLOADED", ["UPDATE invoice SET submission_number = 77 WHERE invoice_id = 5"]),
        ("I6_UPLOADED", ["DELETE FROM submission_item WHERE invoice_id = 7"]),
        ("I1_UNIQUE", [
            "DROP INDEX invoice_number",
            "UPDATE invoice SET number = '00000004' WHERE invoice_id = 5",
        ]),
        ("I2_GAPLESS", ["UPDATE invoice SET number = '00000099' WHERE invoice_id = 5"]),
        ("I2_GAPLESS", ["DELETE FROM invoice WHERE invoice_id = 5"]),
        ("I2_GAPLESS", ["DELETE FROM invoice WHERE invoice_id = 14"]),
        ("I2_GAPLESS", ["UPDATE invoice SET point = 1 WHERE invoice_id = 5"]),
        ("I2_GAPLESS", ["UPDATE segment SET next = next + 1 WHERE segment_id = 2"]),
        ("I2_GAPLESS", ["UPDATE segment SET count = count - 1 WHERE segment_id = 2"]),
        ("I2_GAPLESS", ["DELETE FROM segment WHERE point IS NULL"]),
        ("I1_UNIQUE", [
            "UPDATE stock_grant SET code = '011002600111', first_number = '00000050' WHERE grant_number = 2"
        ]),
        ("I3_EXACTLY_ONCE", ["DELETE FROM request_id WHERE request_id = 'r-4'"]),
        ("I3_EXACTLY_ONCE", ["UPDATE request_id SET invoice_id = 6 WHERE request_id = 'r-4'"]),
        ("I3_EXACTLY_ONCE", ["INSERT INTO request_id VALUES ('default', 'x', 'issue', 999, NULL, NULL)"]),
        ("I3_EXACTLY_ONCE", [
            "DELETE FROM request_id WHERE action = 'draw' AND request_id = (SELECT min(request_id) FROM stock_grant)"
        ]),
        ("I9_AUDITED", ["DROP TRIGGER audit_is_never_deleted", "DELETE FROM audit WHERE audit_id = 1"]),
        ("I7_METERS", ["UPDATE meter SET unuploaded_count = unuploaded_count + 1 WHERE meter_id = 1"]),
        ("I7_METERS", ["UPDATE meter SET unuploaded_amount_fen = 0 WHERE meter_id = 1"]),
        ("I8_MONOTONE", ["UPDATE meter SET last_issue_time = 7 WHERE meter_id = 1"]),
        ("I6_CHANGES", ["UPDATE meter SET change_number = change_number + 1 WHERE meter_id = 1"]),
        ("I6_CHANGES", ["DELETE FROM change WHERE change_number = 3"]),
        ("I6_CHANGES", ["UPDATE change SET invoice_id = 4 WHERE change_number = 5"]),
    ],
)  # fmt: skip
def test_what_was_changed_is_found(path: Path, check: str, statements: list[str]) -> None:
    _plant(path, *statements)

    assert check in {finding.check for finding in _findings(path)}
    assert not _check(path).balanced


def test_a_finding_names_the_invoice(path: Path) -> None:
    _plant(path, "UPDATE signature SET signature = zeroblob(64) WHERE invoice_id = 5")

    findings = _findings(path)

    assert Finding(check="I5_SIGNED", subject=INVOICE_5, message="it does not verify") in findings
    assert {finding.subject for finding in findings} == {INVOICE_5}


@pytest.mark.parametrize(
    ("table", "column"),
    [("content", "content"), ("signature", "signature"), ("invoice", "number")],
)
def test_any_flipped_bit_is_found(path: Path, table: str, column: str) -> None:
    seed = 20_261_122
    sys.stdout.write(f"seed {seed}\n")
    random = Random(seed)
    connection = apsw.Connection(str(path))
    select = f"SELECT CAST({column} AS BLOB) FROM {table} WHERE invoice_id = ?"
    cast = "?" if column != "number" else "CAST(? AS TEXT)"
    update = f"UPDATE {table} SET {column} = {cast} WHERE invoice_id = ?"
    connection.execute("PRAGMA ignore_check_constraints = 1").fetchall()
    for _ in range(150):
        invoice_id = random.randint(1, ISSUED)
        sound = connection.execute(select, (invoice_id,)).get
        bit = random.randrange(8 * len(sound))
        flipped = bytearray(sound)
        flipped[bit // 8] ^= 1 << bit % 8

        try:
            connection.execute(update, (bytes(flipped), invoice_id))
        except apsw.ConstraintError:
            continue  # another invoice has that number: the database itself refuses
        assert not _check(path).balanced, (invoice_id, bit)

        connection.execute(update, (sound, invoice_id))
    connection.close()
    assert _check(path).balanced


def test_an_issue_time_before_the_last_one_is_found(path: Path) -> None:
    _plant(path, "UPDATE invoice SET issue_time = issue_time - 60 WHERE invoice_id = 5")

    assert "I8_MONOTONE" in {finding.check for finding in _findings(path)}


def test_text_that_is_no_text_is_found_and_the_rest_is_read(path: Path) -> None:
    _plant(path, "UPDATE invoice SET request_id = CAST(x'ff' AS TEXT) WHERE invoice_id = 5")

    last = _check(path)

    assert not last.balanced
    assert last.checked_count == ISSUED + 1
    assert "rows/5" in {finding.subject for finding in _findings(path)}


async def test_the_books_are_checked_on_one_snapshot_while_work_goes_on(path: Path) -> None:
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    words = ledger.check_books()
    next(words)

    await building.issue(ledger, *(f"later-{at}" for at in range(20)))
    *_, last = words

    assert (last.balanced, last.total_count) == (True, ISSUED + 2)
    await ledger.close()


async def test_a_check_may_be_ended_early(path: Path) -> None:
    words = SqliteLedger(path, verify=building.verify).check_books()
    next(words)

    words.close()  # type: ignore[attr-defined]

    assert _check(path).balanced
