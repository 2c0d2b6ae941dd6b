"""A check of the books finds what was changed behind the ledger's back, and nothing else."""

import sys
from pathlib import Path
from random import Random

import apsw
import pytest

from invoice.errors import LedgerUnavailable
from invoice.lifecycle import UploadState
from ledger.books_lives import check_lives
from ledger.records import BooksProgress, EventVerdict, Finding
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import ACT, NOW, TAX_NUMBER, WORKER, a_reservation

ISSUED = 12
OTHERS = "UPDATE submission SET tax_number = '91310115X12J2H3L4B' WHERE submission_number = 2"
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
        rejected_count=1,
        pending_count=ISSUED - 6,
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
        ("I7_METERS", ["UPDATE meter SET oldest_issue_time = 0 WHERE meter_id = 1"]),
        ("I7_METERS", ["UPDATE meter SET oldest_issue_time = oldest_issue_time - 1 WHERE meter_id = 1"]),
        ("I7_METERS", ["UPDATE meter SET oldest_issue_time = 7 WHERE meter_id = 2"]),
        ("I7_METERS", ["UPDATE meter SET open_period = '2027-02' WHERE meter_id = 1"]),
        ("I7_METERS", ["UPDATE meter SET summarised_at = summarised_at + 1 WHERE meter_id = 1"]),
        ("I7_METERS", ["UPDATE meter SET issue_time_min = 1801411200 WHERE meter_id = 1"]),
        ("I7_METERS", ["UPDATE meter SET open_period = 'never'"]),
        ("I7_METERS", ["UPDATE meter SET open_period = '2026-12'"]),
        ("I7_METERS", ["UPDATE meter SET open_period = '2027-02'"]),
        ("I7_METERS", ["UPDATE meter SET open_period = '2027-02', issue_time_min = 1801411200"]),
        ("I7_METERS", ["UPDATE meter SET summarised_at = summarised_at + 1"]),
        ("I7_METERS", ["UPDATE meter SET issue_time_min = 1"]),
        ("I7_METERS", ["UPDATE outbox SET meter_id = NULL WHERE invoice_id = 8"]),
        ("I7_METERS", ["UPDATE outbox SET meter_id = meter_id + 1 WHERE invoice_id = 8"]),
        ("I6_CHANGES", ["UPDATE meter SET change_number = change_number + 1 WHERE meter_id = 1"]),
        ("I6_CHANGES", ["DELETE FROM change WHERE change_number = 3"]),
        ("I6_CHANGES", ["UPDATE change SET invoice_id = 4 WHERE change_number = 5"]),
        ("I6_CHANGES", ["UPDATE change SET invoice_id = 999 WHERE change_number = 5"]),
        ("I6_CHANGES", ["UPDATE change SET change_number = -1 WHERE change_number = 3"]),
        ("I6_CHANGES", ["UPDATE outbox SET state = 'SIGNATURE_REJECTED' WHERE state = 'REJECTED'"]),
        ("I6_CHANGES", ["UPDATE change SET what = 'SIGNATURE_REJECTED' WHERE what = 'REJECTED'"]),
        ("I6_CHANGES", [
            "UPDATE change SET what = iif(what = 'ISSUED', 'ACCEPTED', 'ISSUED') WHERE invoice_id = 5"
        ]),
        ("I6_UPLOADED", ["UPDATE outbox SET not_before = 9e15 WHERE invoice_id = 12"]),
        ("I6_TRACED", ["UPDATE outbox SET traceparent = 'somewhere' WHERE invoice_id = 12"]),
        ("I6_TRACED", [
            "UPDATE outbox SET traceparent = '00-' || hex(zeroblob(15)) || 'xy-' || hex(zeroblob(8)) || '-01' WHERE invoice_id = 12"
        ]),
        ("I6_UPLOADED", ["UPDATE outbox SET not_before = 9e999 WHERE invoice_id = 12"]),
        ("I6_UPLOADED", [
            "PRAGMA ignore_check_constraints = 1",
            "UPDATE outbox SET batch_count_max = 0 WHERE invoice_id = 12",
        ]),
        ("I6_UPLOADED", ["UPDATE invoice SET submission_number = 2 WHERE invoice_id = 5"]),
        ("I6_UPLOADED", ["UPDATE outbox SET submission_number = 2 WHERE state = 'REJECTED'", OTHERS]),
        ("I6_UPLOADED", ["UPDATE outbox SET submission_number = 77 WHERE state = 'REJECTED'"]),
        ("I6_UPLOADED", ["UPDATE submission SET state = 'RELEASED' WHERE submission_number = 1"]),
        ("I6_UPLOADED", ["UPDATE submission SET state = 'SUBMITTED' WHERE submission_number = 1"]),
        ("I6_UPLOADED", ["UPDATE submission SET tax_number = '91310115X12J2H3L4B' WHERE submission_number = 1"]),
        ("I6_UPLOADED", [OTHERS]),
        ("I6_UPLOADED", ["UPDATE submission SET accepted_sum = accepted_sum + 1 WHERE submission_number = 1"]),
        ("I6_UPLOADED", ["INSERT INTO submission_item VALUES (2, 12, 12, 'ISSUE', 1)"]),
        ("I6_UPLOADED", ["INSERT INTO submission_item VALUES (2, 99, 5, 'ISSUE', 1)"]),
        ("I6_UPLOADED", ["INSERT INTO submission_item VALUES (1, 7, 7, 'ISSUE', 1)"]),
        ("I6_UPLOADED", ["UPDATE submission_item SET invoice_id = 5 WHERE invoice_id = 7"]),
        ("I6_UPLOADED", ["UPDATE submission_item SET event = 'VOID' WHERE invoice_id = 7"]),
        ("I2_GAPLESS", ["UPDATE segment SET type = '028' WHERE point IS NULL"]),
        ("I2_GAPLESS", ["UPDATE segment SET tax_number = '91310115X12J2H3L4B' WHERE point IS NULL"]),
        ("I2_GAPLESS", ["UPDATE segment SET code = '011002600112' WHERE point IS NULL"]),
        ("I2_GAPLESS", ["UPDATE segment SET prefix = '1' WHERE point IS NULL"]),
        ("I2_GAPLESS", ["UPDATE segment SET width = 10 WHERE point IS NULL"]),
        ("I2_GAPLESS", ["UPDATE segment SET first = 7000000000, next = 7000000000 WHERE point IS NULL"]),
        ("I2_GAPLESS", ["UPDATE stock_grant SET type = '028' WHERE grant_number = 3"]),
        ("I2_GAPLESS", ["UPDATE stock_grant SET prefix = '1' WHERE grant_number = 3"]),
        ("I2_GAPLESS", ["UPDATE stock_grant SET first = first + 1 WHERE grant_number = 3"]),
        ("I2_GAPLESS", ["UPDATE stock_grant SET last_number = '99999999' WHERE grant_number = 3"]),
        ("I3_EXACTLY_ONCE", [
            "UPDATE stock_grant SET type = '028' WHERE grant_number = 3",
            "UPDATE segment SET type = '028' WHERE grant_number = 3",
        ]),
        ("I3_EXACTLY_ONCE", ["UPDATE request_id SET request = x'7b7d' WHERE action = 'draw'"]),
        ("I9_AUDITED", ["UPDATE request_id SET effect = replace(effect, '50', '51') WHERE action = 'draw'"]),
        ("I9_TOKENS", ["DELETE FROM secret WHERE name = 'resume-token'"]),
        ("I9_TOKENS", [
            "PRAGMA ignore_check_constraints = 1",
            "UPDATE secret SET value = x'00' WHERE name = 'resume-token'",
        ]),
        ("I9_BUYER", [
            "PRAGMA ignore_check_constraints = 1",
            "UPDATE secret SET value = x'00' WHERE name = 'buyer-digest'",
        ]),
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


def test_the_submission_that_accepted_others_is_named(path: Path) -> None:
    _plant(path, "UPDATE invoice SET submission_number = 2 WHERE invoice_id = 5")

    assert {finding.subject for finding in _findings(path)} == {"submissions/1", "submissions/2"}


def test_an_event_without_a_batch_is_refused_by_the_database(path: Path) -> None:
    with pytest.raises(apsw.ConstraintError):
        _plant(path, "UPDATE outbox SET batch_count_max = 0 WHERE invoice_id = 12")


async def test_what_was_retried_before_its_submission_was_over_is_right(path: Path) -> None:
    """Its submission still holds it, while it goes in another one and is accepted there."""
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    (submission,) = await ledger.open_submissions(TAX_NUMBER)
    event_id = submission.items[0].event_id
    for answer, again in (("REJECTED", "s-3"), ("SIGNATURE_REJECTED", "s-4"), ("REJECTED", "")):
        verdict = EventVerdict(event_id=event_id, state=UploadState(answer), reason="")
        await ledger.record_verdicts(submission.submission_id, [verdict], now=NOW)
        assert _check(path).balanced
        retry = building.binding("retry")
        await ledger.retry_uploads(tax_number=TAX_NUMBER, invoices=[], binding=retry, act=ACT)
        assert _check(path).balanced
        if again:
            found = await ledger.prepare_submission(TAX_NUMBER, again, count_max=9, now=NOW)
            assert found is not None
            submission = found

    await building.upload(ledger, "s-5")

    assert _findings(path) == []
    await ledger.close()


def test_what_was_accepted_and_bound_before_there_were_sums_is_right(path: Path) -> None:
    _plant(
        path,
        "UPDATE submission SET accepted_sum = NULL",
        "DROP TRIGGER audit_is_never_changed",
        "UPDATE audit SET request_digest = NULL",
    )

    assert _findings(path) == []


@pytest.mark.parametrize("slice_rows", [1, 5, 1_000])
def test_lives_are_compared_whatever_is_kept_in_mind(path: Path, slice_rows: int) -> None:
    def found() -> set[str]:
        words = check_lives(apsw.Connection(str(path)), slice_rows=slice_rows)
        return {finding.subject for word in words for finding in word}

    assert found() == set()

    _plant(
        path,
        "UPDATE outbox SET state = 'SIGNATURE_REJECTED' WHERE state = 'REJECTED'",
        "UPDATE change SET what = 'VOIDED' WHERE invoice_id = 5 AND what = 'ISSUED'",
        "UPDATE change SET invoice_id = 999 WHERE invoice_id = 12",
    )
    name = INVOICE_5[:-2]
    assert found() == {INVOICE_5, f"{name}02", f"{name}12", "changes"}


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
