"""The books of invoices: each row against its segment, content, signature, marks, id and upload.

Rows come in the order they were reserved, which inside a segment is the order of the numbers:
so each must carry exactly the number its segment expects next.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import apsw

from invoice import content, marks
from ledger.bindings import ISSUE
from ledger.books_stock import Shelf, Shelves
from ledger.books_tally import Tally, found, invoice_subject
from ledger.records import Finding
from ledger.values import Row, fetch

_PAGE_ROWS = 1_000
_ROWS = """
SELECT i.invoice_id, i.tax_number, i.code, i.number, i.tenant, i.request_id, i.fingerprint,
       i.machine_number, i.point, i.type, i.kind, i.issue_time, i.net_fen, i.tax_fen, i.state,
       c.content, s.signature, s.key_id, s.check_code, s.fiscal_code, r.action, r.invoice_id,
       i.submission_number,
       (SELECT count(*) FROM outbox AS o WHERE o.invoice_id = i.invoice_id AND o.event = 'ISSUE'),
       (SELECT count(*) FROM submission AS m WHERE m.submission_number = i.submission_number)
  FROM invoice AS i
  LEFT JOIN content AS c ON c.invoice_id = i.invoice_id
  LEFT JOIN signature AS s ON s.invoice_id = i.invoice_id
  LEFT JOIN request_id AS r ON r.tenant = i.tenant AND r.request_id = i.request_id
"""
_PAGE = _ROWS + f"WHERE i.invoice_id > ? ORDER BY i.invoice_id LIMIT {_PAGE_ROWS}"
_ONE = _ROWS + "WHERE i.invoice_id = ?"
_IDS = f"SELECT invoice_id FROM invoice WHERE invoice_id > ? ORDER BY invoice_id LIMIT {_PAGE_ROWS}"  # noqa: S608 - a constant
_KEYS = """
SELECT tax_number, machine_number, key_id, algorithm, public_key, certificate FROM device_key
"""


class _Stored(NamedTuple):
    """A row of ``_ROWS``."""

    invoice_id: int
    tax_number: str
    code: str
    number: str
    tenant: str
    request_id: str
    fingerprint: bytes
    machine_number: str
    point: int
    type: str
    kind: str
    issue_time: int
    net_fen: int
    tax_fen: int
    state: str
    content: bytes | None
    signature: bytes | None
    key_id: str | None
    check_code: str | None
    fiscal_code: str | None
    action: str | None
    bound_id: int | None
    submission_number: int | None
    event_count: int
    submission_count: int

    @property
    def facts(self) -> tuple[object, ...]:
        """What the content must say, in the order of ``content.Facts``."""
        return (
            self.tax_number,
            self.point,
            self.machine_number,
            self.kind,
            self.type,
            self.code,
            self.number,
            self.issue_time,
            self.net_fen,
            self.tax_fen,
        )


def page(connection: apsw.Connection, after: int) -> tuple[list[Row], list[Finding]]:
    """Return the next rows, and a finding for each that is not even readable text."""
    try:
        return fetch(connection, _PAGE, (after,)), []
    except UnicodeDecodeError:
        return _row_by_row(connection, after)


def _row_by_row(connection: apsw.Connection, after: int) -> tuple[list[Row], list[Finding]]:
    rows, findings = [], []
    for (invoice_id,) in fetch(connection, _IDS, (after,)):
        try:
            rows += fetch(connection, _ONE, (invoice_id,))
        except UnicodeDecodeError as error:
            findings.append(found("I5_CONTENT", f"rows/{invoice_id}", f"no readable text: {error}"))
    return rows, findings


class InvoiceCheck:
    """Checks rows page by page and adds them up."""

    def __init__(
        self,
        connection: apsw.Connection,
        verify: Callable[[bytes, str, bytes, bytes], bool],
        shelves: Shelves,
        tally: Tally,
    ) -> None:
        self._verify = verify
        self._shelves = shelves
        self._tally = tally
        self._keys = {row[:3]: row[3:] for row in fetch(connection, _KEYS)}

    @staticmethod
    def last_invoice_id(rows: Sequence[Row], unreadable: Sequence[Finding]) -> int:
        """Return the row after which the next page begins."""
        last = rows[-1][0] if rows else 0
        broken = (int(finding.subject.removeprefix("rows/")) for finding in unreadable)
        return max(last, *broken, 0)

    def rows(self, rows: Sequence[Row]) -> list[Finding]:
        """Check a page; answer what was found."""
        findings = []
        for row in rows:
            stored = _Stored(*row)
            for check, message in self._row(stored):
                subject = invoice_subject(stored.tax_number, stored.code, stored.number)
                findings.append(found(check, subject, message))
        return findings

    def _row(self, stored: _Stored) -> Iterator[tuple[str, str]]:
        self._tally.checked_count += 1
        yield from self._number(stored)
        yield from self._clock(stored)
        if stored.action != ISSUE or stored.bound_id != stored.invoice_id:
            yield (
                "I3_EXACTLY_ONCE",
                f"its request id {stored.request_id} is bound to something else",
            )
        yield from _content(stored)
        if stored.state == "RESERVED":
            yield from self._reserved(stored)
        elif stored.state != "BLANK_VOIDED":
            yield from self._issued(stored)

    def _number(self, stored: _Stored) -> Iterator[tuple[str, str]]:
        shelf = self._shelves.find(stored.tax_number, stored.code, stored.number)
        if shelf is None:
            yield "I2_GAPLESS", "it lies in no segment of its taxpayer"
            return
        if stored.type != shelf.type or stored.point != shelf.point:
            yield "I2_GAPLESS", f"its segment is of type {shelf.type} at point {shelf.point}"
        _count(shelf, stored.state)
        if stored.number == shelf.expected:
            shelf.move_to(shelf.at + 1)
        else:
            yield from _out_of_turn(shelf, stored.number)

    def _clock(self, stored: _Stored) -> Iterator[tuple[str, str]]:
        meter = self._tally.meters[stored.tax_number, stored.machine_number, stored.type]
        if stored.issue_time < meter.last_issue_time:
            yield "I8_MONOTONE", f"issued at {stored.issue_time}, after {meter.last_issue_time}"
        meter.last_issue_time = max(meter.last_issue_time, stored.issue_time)

    def _reserved(self, stored: _Stored) -> Iterator[tuple[str, str]]:
        meter = self._tally.meters[stored.tax_number, stored.machine_number, stored.type]
        meter.reserved_count += 1
        meter.reserved_amount_fen += abs(stored.net_fen)
        self._tally.reserved_count += 1
        if stored.signature is not None:
            yield "I5_SIGNED", "it has a signature and is still RESERVED"
        if stored.event_count or stored.submission_number is not None:
            yield "I6_UPLOADED", "it is on its way to the authority and still RESERVED"

    def _issued(self, stored: _Stored) -> Iterator[tuple[str, str]]:
        tally = self._tally
        meter = tally.meters[stored.tax_number, stored.machine_number, stored.type]
        meter.issued.add(stored.invoice_id)
        tally.issued_count += 1
        yield from self._signature(stored)
        accepted = stored.submission_number is not None
        if accepted:
            meter.accepted.add(stored.invoice_id)
            tally.uploaded_count += 1
        if stored.event_count + accepted != 1:
            where = f"{stored.event_count} times in the outbox, {int(accepted)} times accepted"
            yield "I6_UPLOADED", where
        if accepted and not stored.submission_count:
            yield "I6_UPLOADED", f"there is no submission {stored.submission_number}"

    def _signature(self, stored: _Stored) -> Iterator[tuple[str, str]]:
        signature, signed = stored.signature, stored.content
        if signature is None or signed is None:
            yield "I5_SIGNED", "it has no signature" if signature is None else "it has no content"
            return
        key = self._keys.get((stored.tax_number, stored.machine_number, stored.key_id))
        if key is None:
            yield "I5_SIGNED", f"its device has no key {stored.key_id}"
            return
        algorithm, public_key, certificate = key
        if not certificate:
            yield "I5_SIGNED", f"key {stored.key_id} has no certificate"
        digest = content.digest(content.INVOICE_TAG, signed)
        try:
            right, why = (
                self._verify(public_key, algorithm, digest, signature),
                "it does not verify",
            )
        except ValueError as error:
            right, why = False, f"its key {stored.key_id} cannot be used: {error}"
        if right:
            self._tally.signature_count += 1
        else:
            yield "I5_SIGNED", why
        yield from _marks(stored, signature)


def _content(stored: _Stored) -> Iterator[tuple[str, str]]:
    if stored.content is None:
        yield "I5_CONTENT", "it has no content"
        return
    try:
        facts = content.facts(stored.content)
        tail = content.tail_of(stored.content)
    except ValueError as error:
        yield "I5_CONTENT", f"its content cannot be read: {error}"
        return
    if facts != stored.facts:
        named = zip(facts._fields, facts, stored.facts, strict=True)
        differing = [name for name, said, kept in named if said != kept]
        yield "I5_CONTENT", f"content and row differ: {', '.join(differing)}"
    if content.fingerprint(tail) != stored.fingerprint:
        yield "I3_EXACTLY_ONCE", "its fingerprint is not that of its content"


def _marks(stored: _Stored, signature: bytes) -> Iterator[tuple[str, str]]:
    if stored.fiscal_code != marks.fiscal_code(signature):
        yield "I5_MARKS", "its fiscal code does not follow from its signature"
    try:
        check_code = marks.check_code(signature, stored.type)
    except KeyError:
        yield "I5_MARKS", f"there is no type {stored.type}"
        return
    if stored.check_code != check_code:
        yield "I5_MARKS", "its check code does not follow from its signature"


def _out_of_turn(shelf: Shelf, number: str) -> Iterator[tuple[str, str]]:
    try:
        running = int(number[len(shelf.segment.prefix) :])
    except ValueError:
        yield "I2_GAPLESS", "it is no number"
        return
    if running < shelf.at:
        yield "I1_UNIQUE", f"it comes twice or out of order: {shelf.expected or 'none'} was due"
    else:
        yield "I2_GAPLESS", f"{running - shelf.at} numbers from {shelf.expected} on are missing"
        shelf.move_to(running + 1)


def _count(shelf: Shelf, state: str) -> None:
    if state == "RESERVED":
        shelf.reserved_count += 1
    elif state == "BLANK_VOIDED":
        shelf.blank_voided_count += 1
    else:
        shelf.issued_count += 1
