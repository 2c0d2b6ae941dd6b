"""The books of voids and blank voids: each says what it should, signed, about an invoice that is so."""

from collections.abc import Iterator
from typing import NamedTuple

import apsw

from invoice.statements import StatementKind, facts, invoice_digest, month
from ledger.books_keys import Keys
from ledger.books_submissions import acceptance_faults
from ledger.books_tally import Tally, found, invoice_subject
from ledger.month_totals import Month
from ledger.records import Finding
from ledger.values import fetch
from quota.period import period_of

_PAGE = """
SELECT t.statement_id, t.tenant, t.request_id, t.kind, t.tax_number, t.machine_number,
       t.statement_time, t.content, t.state, t.signature, t.key_id, t.submission_number,
       i.tenant, i.request_id, i.tax_number, i.machine_number, i.point, i.type, i.code, i.number,
       i.issue_time, c.content, i.invoice_id,
       (SELECT count(*) FROM outbox AS o WHERE o.invoice_id = t.invoice_id AND o.event <> 'ISSUE'),
       (SELECT count(*) FROM outbox AS o WHERE o.invoice_id = t.invoice_id AND o.event = t.kind),
       m.tax_number, m.state, m.accepted_sum,
       (SELECT action FROM request_id AS r WHERE r.tenant = t.tenant AND r.request_id = t.request_id)
  FROM statement AS t
  LEFT JOIN invoice AS i ON i.invoice_id = t.invoice_id
  LEFT JOIN content AS c ON c.invoice_id = t.invoice_id
  LEFT JOIN submission AS m ON m.submission_number = t.submission_number
 WHERE t.statement_id > ?
 ORDER BY t.statement_id
 LIMIT 1000
"""


class _Stored(NamedTuple):
    """A row of ``_PAGE``; what begins with ``of_`` is the invoice's."""

    statement_id: int
    tenant: str
    request_id: str
    kind: str
    tax_number: str
    machine_number: str
    statement_time: int
    content: bytes
    state: str
    signature: bytes | None
    key_id: str
    submission_number: int | None
    of_tenant: str
    of_request_id: str
    of_tax_number: str | None
    of_machine_number: str
    point: int
    type: str
    code: str
    number: str
    issue_time: int
    invoice: bytes | None
    invoice_id: int
    event_count: int
    own_event_count: int
    submission_tax_number: str | None
    submission_state: str | None
    accepted_sum: int | None
    action: str | None

    @property
    def fresh(self) -> bool:
        """Tell whether it ended a number that nobody had taken."""
        return self.kind == StatementKind.BLANK_VOID and self.of_request_id == self.request_id


def check_statements(
    connection: apsw.Connection, keys: Keys, tally: Tally
) -> Iterator[list[Finding]]:
    """Check every statement, a thousand at a time, and add them up."""
    after = -1
    while rows := fetch(connection, _PAGE, (after,)):
        findings = []
        for row in rows:
            stored = _Stored(*row)
            for check, message in _row(stored, keys, tally):
                findings.append(found(check, _subject(stored), message))
        after = rows[-1][0]
        yield findings


def _subject(stored: _Stored) -> str:
    if stored.of_tax_number is None:
        return f"statements/{stored.statement_id}"
    return invoice_subject(stored.of_tax_number, stored.code, stored.number)


def _row(stored: _Stored, keys: Keys, tally: Tally) -> Iterator[tuple[str, str]]:
    if stored.of_tax_number is None:
        yield "I6_STATED", "it is about no invoice"
        return
    whose = stored.tenant, stored.tax_number, stored.machine_number
    if whose != (stored.of_tenant, stored.of_tax_number, stored.of_machine_number):
        yield "I6_STATED", f"its {stored.kind} is another's: {whose}"
    if stored.action in (None, "issue"):
        yield "I3_EXACTLY_ONCE", f"its {stored.kind} has an id that is bound to something else"
    if stored.kind == StatementKind.BLANK_VOID:
        device = stored.tax_number, stored.machine_number
        month = Month(*device, stored.type, period_of(stored.statement_time))
        tally.months.add(month, stored.kind, 0, 0, ())
    yield from _content(stored)
    yield from _time(stored)
    if stored.state == "SETTLED":
        yield from _settled(stored, keys, tally)
        return
    if stored.signature is not None or stored.key_id:
        yield "I5_SIGNED", f"its {stored.kind} has a signature and is still RESERVED"
    if stored.event_count or stored.submission_number is not None:
        yield "I6_UPLOADED", f"its {stored.kind} is on its way and still RESERVED"


def _content(stored: _Stored) -> Iterator[tuple[str, str]]:
    kind = StatementKind(stored.kind)
    try:
        told = facts(kind, stored.content)
    except ValueError as error:
        yield "I5_CONTENT", f"its {kind} cannot be read: {error}"
        return
    digest = "" if kind is StatementKind.BLANK_VOID else invoice_digest(stored.invoice or b"")
    due = (
        stored.machine_number,
        stored.code,
        stored.number,
        stored.statement_time,
        stored.tax_number,
        stored.point,
        stored.type,
        digest,
    )
    if told[:-1] != due:
        named = zip(told._fields, told, due, strict=False)
        differing = [name for name, said, kept in named if said != kept]
        yield "I5_CONTENT", f"its {kind} and the row differ: {', '.join(differing)}"


def _time(stored: _Stored) -> Iterator[tuple[str, str]]:
    told, issued = stored.statement_time, stored.issue_time
    if told < issued or (stored.fresh and told != issued):
        yield "I8_MONOTONE", f"its {stored.kind} is of {told}, it was issued at {issued}"
    if stored.kind == StatementKind.VOID and month(told) != month(issued):
        yield "I6_STATED", "it was voided in another month than it was issued in"


def _settled(stored: _Stored, keys: Keys, tally: Tally) -> Iterator[tuple[str, str]]:
    key = stored.tax_number, stored.machine_number, stored.key_id
    tag = StatementKind(stored.kind).tag
    for fault in keys.faults(key, tag, stored.content, stored.signature or b""):
        yield "I5_SIGNED", f"its {stored.kind}: {fault}"
    accepted = stored.submission_number is not None
    if stored.own_event_count + accepted != 1 or stored.event_count != stored.own_event_count:
        where = f"{stored.event_count} times in the outbox, {int(accepted)} times accepted"
        yield "I6_UPLOADED", f"its {stored.kind} is {where}"
    if stored.submission_number is None:
        return
    if stored.accepted_sum is not None:
        tally.add_accepted(stored.submission_number, stored.invoice_id, stored.kind)
    submission = stored.submission_tax_number, stored.submission_state
    for fault in acceptance_faults(stored.tax_number, stored.submission_number, submission):
        yield "I6_UPLOADED", f"its {stored.kind}: {fault}"
