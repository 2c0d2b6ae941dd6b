"""Checking the books: that nothing is missing, doubled or changed.

One read snapshot, one pass over the invoices in the order they were reserved, one over each of
what hangs on them. What is kept meanwhile grows with segments, meters and keys, never with invoices.
"""

from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import apsw

from ledger.books_alerts import check_alerts
from ledger.books_changes import check_changes
from ledger.books_desk import check_desk
from ledger.books_events import check_events
from ledger.books_invoices import InvoiceCheck
from ledger.books_keys import Keys
from ledger.books_lives import check_lives
from ledger.books_meters import check_meters
from ledger.books_operators import check_operators
from ledger.books_periods import check_periods
from ledger.books_reds import check_reversals
from ledger.books_rows import page
from ledger.books_statements import check_statements
from ledger.books_stock import Shelves, check_grants
from ledger.books_submissions import check_submissions
from ledger.books_tally import Findings, Tally, found
from ledger.books_writes import check_writes
from ledger.database import unavailable
from ledger.opening import Connect, connect_reader
from ledger.records import BooksProgress, Finding
from ledger.secrets import BUYER_DIGEST, RESUME_TOKEN, SECRET_BYTES, buyer_digest, secret
from ledger.values import fetch_one

Verify: TypeAlias = Callable[[bytes, str, bytes, bytes], bool]
"""(public key, algorithm, digest, signature) → whether it is right."""

_TOTAL = "SELECT count(*) FROM invoice"


def check_books(path: Path, verify: Verify, connect: Connect) -> Iterator[BooksProgress]:
    """Check every invariant, with a word at least every thousand rows; see the port.

    Raises:
        LedgerUnavailable: The file cannot be read at all.
        NotALedger: It is something else.
    """
    try:
        connection = connect_reader(connect, path)
    except apsw.Error as error:
        raise unavailable(error) from error
    try:
        connection.execute("BEGIN")
        yield from _Check(connection, verify).run()
    except apsw.Error as error:
        raise unavailable(error) from error
    finally:
        connection.close(True)


class _Check:
    """One run: where it is, and whether anything was found."""

    def __init__(self, connection: apsw.Connection, verify: Verify) -> None:
        self._connection = connection
        self._keys = Keys(verify)
        self._tally = Tally()
        self._total_count = 0
        self._balanced = True

    def run(self) -> Iterator[BooksProgress]:
        try:
            self._total_count = fetch_one(self._connection, _TOTAL)
            yield from self._steps()
        except (apsw.CorruptError, UnicodeDecodeError) as error:
            yield self._word([found("FILE", "ledger", f"cannot be read: {error}")])
        yield self._word([], done=True)

    def _steps(self) -> Iterator[BooksProgress]:
        connection, tally = self._connection, self._tally
        shelves = Shelves(connection)
        yield self._word(check_grants(connection, shelves))
        self._keys.load(connection)
        yield from self._invoices(shelves)
        yield self._word(shelves.unfinished())
        for findings in chain(
            check_statements(connection, self._keys, tally), check_reversals(connection)
        ):
            yield self._word(findings)
        yield self._word(check_events(connection, tally))
        yield self._word(check_submissions(connection, tally))
        yield self._word(check_changes(connection))
        for findings in check_lives(connection):
            yield self._word(findings)
        yield self._word(check_meters(connection, tally))
        yield self._word(check_periods(connection, self._keys, tally))
        yield self._word(check_writes(connection))
        yield self._word(check_operators(connection))
        yield self._word(check_desk(connection))
        yield self._word(check_alerts(connection))

    def _invoices(self, shelves: Shelves) -> Iterator[BooksProgress]:
        connection = self._connection
        buyer_key = yield from self._secret(BUYER_DIGEST, "I9_BUYER")
        yield from self._secret(RESUME_TOKEN, "I9_TOKENS")
        check = InvoiceCheck(self._keys, shelves, self._tally, partial(buyer_digest, buyer_key))
        rows, unreadable = page(connection, 0)
        while rows or unreadable:
            yield self._word([*unreadable, *check.rows(rows)])
            rows, unreadable = page(connection, check.last_invoice_id(rows, unreadable))

    def _secret(self, name: str, check: str) -> Generator[BooksProgress, None, bytes]:
        try:
            key = secret(self._connection, name)
        except LookupError as error:
            yield self._word([found(check, "ledger", str(error))])
            return b""
        if len(key) != SECRET_BYTES:
            message = f"its secret {name} has {len(key)} bytes, not {SECRET_BYTES}"
            yield self._word([found(check, "ledger", message)])
        return key

    def _word(self, findings: Findings, *, done: bool = False) -> BooksProgress:
        told: tuple[Finding, ...] = tuple(findings)
        self._balanced = self._balanced and not told
        tally = self._tally
        return BooksProgress(
            checked_count=tally.checked_count,
            total_count=self._total_count,
            findings=told,
            issued_count=tally.issued_count,
            reserved_count=tally.reserved_count,
            uploaded_count=tally.uploaded_count,
            rejected_count=tally.rejected_count,
            pending_count=tally.pending_count,
            signature_count=self._keys.right_count,
            done=done,
            balanced=done and self._balanced,
        )
