"""The books of invoices: each row against its segment, content, signature, marks, id and upload.

Rows come in the order they were reserved, which inside a segment is the order of the numbers:
so each must carry exactly the number its segment expects next.
"""

from collections.abc import Callable, Iterator, Sequence

from invoice import content, marks
from invoice.content import Facts
from ledger.bindings import ISSUE
from ledger.blank_voids import NO_FINGERPRINT
from ledger.books_keys import Keys
from ledger.books_reds import blue_faults, red_faults
from ledger.books_rows import Stored
from ledger.books_stock import Shelf, Shelves
from ledger.books_submissions import acceptance_faults
from ledger.books_tally import MeterTally, Tally, found, invoice_subject
from ledger.month_totals import Month
from ledger.records import Finding
from ledger.values import Row
from quota.period import period_of

_Faults = Iterator[tuple[str, str]]
"""The invariants that do not hold, and why."""


class InvoiceCheck:
    """Checks rows page by page and adds them up. ``buyer_digest`` makes one of a tax number."""

    def __init__(
        self,
        keys: Keys,
        shelves: Shelves,
        tally: Tally,
        buyer_digest: Callable[[str], bytes | None],
    ) -> None:
        self._keys = keys
        self._shelves = shelves
        self._tally = tally
        self._buyer_digest = buyer_digest

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
            stored = Stored(*row)
            for check, message in self._row(stored):
                subject = invoice_subject(stored.tax_number, stored.code, stored.number)
                findings.append(found(check, subject, message))
        return findings

    def _row(self, stored: Stored) -> _Faults:
        self._tally.checked_count += 1
        yield from self._number(stored)
        yield from self._clock(stored)
        if stored.never_taken:
            yield from _never_taken(stored)
        else:
            if stored.action != ISSUE or stored.bound_id != stored.invoice_id:
                message = f"its request id {stored.request_id} is bound to something else"
                yield "I3_EXACTLY_ONCE", message
            yield from self._content(stored)
        yield from blue_faults(stored)
        if stored.state == "RESERVED":
            yield from self._reserved(stored)
        elif stored.state == "BLANK_VOIDED":
            yield from _blank_voided(stored)
        else:
            yield from self._issued(stored)

    def _number(self, stored: Stored) -> _Faults:
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

    def _clock(self, stored: Stored) -> _Faults:
        meter = self._meter(stored)
        if stored.issue_time < meter.last_issue_time:
            yield "I8_MONOTONE", f"issued at {stored.issue_time}, after {meter.last_issue_time}"
        meter.last_issue_time = max(meter.last_issue_time, stored.issue_time)

    def _content(self, stored: Stored) -> _Faults:
        if stored.content is None:
            yield "I5_CONTENT", "it has no content"
            return
        try:
            facts = content.facts(stored.content)
            tail = content.tail_of(stored.content)
        except ValueError as error:
            yield "I5_CONTENT", f"its content cannot be read: {error}"
            return
        self._month(stored, facts)
        told = facts[: len(stored.facts)]
        if told != stored.facts:
            named = zip(Facts._fields, told, stored.facts, strict=False)
            differing = [name for name, said, kept in named if said != kept]
            yield "I5_CONTENT", f"content and row differ: {', '.join(differing)}"
        if content.fingerprint(tail) != stored.fingerprint:
            yield "I3_EXACTLY_ONCE", "its fingerprint is not that of its content"
        if self._buyer_digest(facts.buyer_tax_number) != stored.buyer_digest:
            yield "I9_BUYER", "it would not be found by its buyer"
        yield from red_faults(stored, facts)

    def _month(self, stored: Stored, facts: Facts) -> None:
        if stored.state == "BLANK_VOIDED":
            return
        period = period_of(stored.issue_time)
        month = Month(stored.tax_number, stored.machine_number, stored.type, period)
        whats = (stored.kind.upper(), f"{stored.kind.upper()}_VOID")
        for what in whats[: 2 if stored.state == "VOIDED" else 1]:
            self._tally.months.add(month, what, stored.net_fen, stored.tax_fen, facts.rates)

    def _reserved(self, stored: Stored) -> _Faults:
        meter = self._meter(stored)
        meter.reserved_count += 1
        # They come in the order of their times, which a meter never turns back.
        meter.oldest_reserved_time = meter.oldest_reserved_time or stored.issue_time
        meter.reserved_amount_fen += abs(stored.net_fen)
        self._tally.reserved_count += 1
        if stored.statement_kind is not None:
            yield "I6_STATED", f"there is a {stored.statement_kind} and it is still RESERVED"
        yield from _never_sent(stored)

    def _issued(self, stored: Stored) -> _Faults:
        self._tally.issued_count += 1
        yield from self._signature(stored)
        yield from _stated(stored)
        accepted = stored.submission_number is not None
        count = stored.event_count + accepted
        # Of what the authority has refused it may accept the void, which carries it along.
        if count != 1 and not (count == 0 and stored.void_accepted):
            where = f"{stored.event_count} times in the outbox, {int(accepted)} times accepted"
            yield "I6_UPLOADED", where
        if stored.submission_number is not None:
            yield from self._accepted(stored, stored.submission_number)

    def _accepted(self, stored: Stored, submission_number: int) -> _Faults:
        self._tally.uploaded_count += 1
        if stored.accepted_sum is not None:
            self._tally.add_accepted(submission_number, stored.invoice_id, "ISSUE")
        submission = stored.submission_tax_number, stored.submission_state
        for fault in acceptance_faults(stored.tax_number, submission_number, submission):
            yield "I6_UPLOADED", fault

    def _signature(self, stored: Stored) -> _Faults:
        signature, signed = stored.signature, stored.content
        if signature is None or signed is None:
            yield "I5_SIGNED", "it has no signature" if signature is None else "it has no content"
            return
        key = stored.tax_number, stored.machine_number, stored.key_id
        for fault in self._keys.faults(key, content.INVOICE_TAG, signed, signature):
            yield "I5_SIGNED", fault
        yield from _marks(stored, signature)

    def _meter(self, stored: Stored) -> MeterTally:
        return self._tally.meters[stored.tax_number, stored.machine_number, stored.type]


def _blank_voided(stored: Stored) -> _Faults:
    if stored.statement_kind != "BLANK_VOID":
        yield "I6_STATED", "it is BLANK_VOIDED and nothing says so"
    yield from _never_sent(stored)


def _never_taken(stored: Stored) -> _Faults:
    if stored.content is not None or stored.fingerprint != NO_FINGERPRINT:
        yield "I5_CONTENT", "nobody asked for it, and it has a content"
    plain = (stored.kind, stored.net_fen, stored.tax_fen, stored.buyer_digest)
    if plain != ("blue", 0, 0, None):
        yield "I5_CONTENT", "nobody asked for it, and it has a buyer or an amount"
    if stored.original_id is not None:
        yield "I10_REVERSED", "nobody asked for it, and it is linked to a blue"


def _never_sent(stored: Stored) -> _Faults:
    if stored.signature is not None:
        yield "I5_SIGNED", f"it has a signature and is {stored.state}"
    if stored.event_count or stored.submission_number is not None:
        yield "I6_UPLOADED", f"its issue is on its way to the authority and it is {stored.state}"


def _stated(stored: Stored) -> _Faults:
    voided = (stored.statement_kind, stored.statement_state) == ("VOID", "SETTLED")
    if stored.statement_kind == "BLANK_VOID":
        yield "I6_STATED", f"it is stated to be blank and is {stored.state}"
    if voided != (stored.state == "VOIDED"):
        yield "I6_STATED", f"it is {stored.state}, its void {stored.statement_state or 'missing'}"
    elif stored.statement_kind == "VOID" and stored.state not in ("ISSUED", "VOIDED"):
        yield "I6_STATED", f"its void was decided and it is {stored.state}"


def _marks(stored: Stored, signature: bytes) -> _Faults:
    try:
        check_code = marks.check_code(signature, stored.type)
        fiscal_code = marks.fiscal_code(signature, stored.type)
    except KeyError:
        yield "I5_MARKS", f"there is no type {stored.type}"
        return
    if stored.fiscal_code != fiscal_code:
        yield "I5_MARKS", "its fiscal code does not follow from its signature"
    if stored.check_code != check_code:
        yield "I5_MARKS", "its check code does not follow from its signature"


def _out_of_turn(shelf: Shelf, number: str) -> _Faults:
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
