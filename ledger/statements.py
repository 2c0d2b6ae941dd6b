"""Statements as rows: a void or blank void is reserved, then settled with its signature.

What each decides before it is reserved is in ``voids.py`` and ``blank_voids.py``.
"""

from collections.abc import Sequence

import apsw

from invoice import rates
from invoice.content import read
from invoice.document import Kind
from invoice.lifecycle import InvoiceState
from invoice.statements import StatementKind
from ledger.bindings import bind
from ledger.meters import Change, MeterName, draw
from ledger.month_totals import Month, MonthTotals
from ledger.records import Act, Binding, SigningPlace, StatementRecord
from ledger.reversals import Red, give_back
from ledger.rows import DEAD_AFTER_S, invoice_name
from ledger.values import Row, fetch
from quota.period import period_of

_STATEMENT = """
SELECT s.tenant, s.request_id, s.kind, s.tax_number, s.machine_number, i.point, i.type, i.code,
       i.number, s.statement_time, s.content, s.state, s.worker, s.reserved_at, s.signature,
       s.key_id
  FROM statement AS s
  JOIN invoice AS i ON i.invoice_id = s.invoice_id
"""
_BY_REQUEST = _STATEMENT + "WHERE s.tenant = ? AND s.request_id = ?"
_OF_INVOICE = _STATEMENT + "WHERE s.invoice_id = ?"
_ORPHANS = (
    _STATEMENT  # noqa: S608 - put together from constants
    + """
 WHERE s.statement_id IN (
    SELECT o.statement_id
      FROM statement AS o INDEXED BY statement_reserved
     WHERE o.state = 'RESERVED'
       AND (o.worker = ? OR o.worker NOT IN (SELECT worker FROM worker WHERE beat_at > ?))
     ORDER BY o.statement_id
     LIMIT ?)
 ORDER BY s.statement_id
"""
)
_ORPHANS_AT = _ORPHANS.replace(
    "= 'RESERVED'", "= 'RESERVED' AND o.tax_number = ? AND o.machine_number = ?"
)
_RESERVE = """
INSERT INTO statement (tenant, request_id, kind, invoice_id, tax_number, machine_number,
    statement_time, content, state, worker, reserved_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'RESERVED', ?, ?)
"""
_SETTLE = """
UPDATE statement
   SET state = 'SETTLED', signature = ?, key_id = ?
 WHERE tenant = ? AND request_id = ? AND state = 'RESERVED'
RETURNING invoice_id, kind, statement_time
"""
_ENDED = """
SELECT i.tax_number, i.machine_number, i.type, i.kind, i.net_fen, i.tax_fen, d.original_id,
       i.issue_time, c.content
  FROM invoice AS i
  LEFT JOIN content AS c ON c.invoice_id = i.invoice_id
  LEFT JOIN red AS d ON d.invoice_id = i.invoice_id
 WHERE i.invoice_id = ?
"""
_VOID = "UPDATE invoice SET state = 'VOIDED' WHERE invoice_id = ?"
_SEND = """
INSERT INTO outbox (tax_number, invoice_id, event, state, issue_time, family_id)
VALUES (?, ?, ?, 'PENDING', ?, ?)
"""
_TRACE = "UPDATE outbox SET traceparent = ? WHERE invoice_id = ? AND event = ?"


def find_statement(
    connection: apsw.Connection, tenant: str, request_id: str
) -> StatementRecord | None:
    """Return the statement a request id stands for; None when there is none."""
    rows = fetch(connection, _BY_REQUEST, (tenant, request_id))
    return _record(rows[0]) if rows else None


def bound_statement(connection: apsw.Connection, binding: Binding) -> StatementRecord:
    """Return the statement of an id that is known to be bound to one."""
    return _found(connection, binding.tenant, binding.request_id)


def statement_of(connection: apsw.Connection, invoice_id: int) -> StatementRecord | None:
    """Return the statement about an invoice; None when there is none."""
    rows = fetch(connection, _OF_INVOICE, (invoice_id,))
    return _record(rows[0]) if rows else None


def orphans(
    connection: apsw.Connection,
    *,
    worker: str,
    now: float,
    count_max: int,
    place: SigningPlace | None = None,
) -> list[StatementRecord]:
    """Return RESERVED statements of ``worker`` and of dead workers, oldest first."""
    values = (worker, now - DEAD_AFTER_S, count_max)
    if place is None:
        return list(map(_record, fetch(connection, _ORPHANS, values)))
    values_at = (place.tax_number, place.machine_number, *values)
    return list(map(_record, fetch(connection, _ORPHANS_AT, values_at)))


def reserve(
    connection: apsw.Connection,
    statement: StatementRecord,
    invoice_id: int,
    binding: Binding,
    act: Act,
) -> None:
    """Store a statement that has been decided, and bind its id to it."""
    connection.execute(
        _RESERVE,
        (
            statement.tenant,
            statement.request_id,
            statement.kind,
            invoice_id,
            statement.tax_number,
            statement.machine_number,
            statement.statement_time,
            statement.content,
            statement.worker,
            statement.reserved_at,
        ),
    )
    bind(
        connection,
        binding,
        act,
        target=invoice_name(statement.tax_number, statement.code, statement.number),
        effect={
            "statement": statement.kind,
            "code": statement.code,
            "number": statement.number,
            "time": statement.statement_time,
        },
    )


def settle(
    connection: apsw.Connection,
    record: StatementRecord,
    *,
    signature: bytes,
    key_id: str,
    now: float,
) -> StatementRecord:
    """Put a statement into effect; see ``port.Ledger.settle_statement``.

    Raises:
        LookupError: There is no such statement: it did not come from this ledger.
    """
    settled = fetch(connection, _SETTLE, (signature, key_id, record.tenant, record.request_id))
    for invoice_id, kind, statement_time in settled:
        _take_effect(connection, invoice_id, StatementKind(kind), statement_time, now)
        if record.traceparent is not None:
            connection.execute(_TRACE, (record.traceparent, invoice_id, kind))
    return _found(connection, record.tenant, record.request_id)


def _found(connection: apsw.Connection, tenant: str, request_id: str) -> StatementRecord:
    stored = find_statement(connection, tenant, request_id)
    if stored is None:
        raise LookupError(f"no statement {request_id} of {tenant}")
    return stored


def _take_effect(
    connection: apsw.Connection,
    invoice_id: int,
    kind: StatementKind,
    statement_time: int,
    now: float,
) -> None:
    row = fetch(connection, _ENDED, (invoice_id,))[0]
    *meter, invoice_kind, net_fen, tax_fen, original_id, issue_time, content = row
    name: MeterName = (meter[0], meter[1], meter[2])
    family_id = None
    changes: list[tuple[MeterName, Change]] = []
    if kind is StatementKind.VOID:
        connection.execute(_VOID, (invoice_id,))
        totals = MonthTotals()
        month = Month(*name, period_of(issue_time))
        by_rate = rates.of_content(read(content))
        totals.add(month, f"{Kind(invoice_kind).name}_VOID", net_fen, tax_fen, by_rate)
        totals.store(connection)
        changes.append((name, (invoice_id, InvoiceState.VOIDED)))
        family_id = invoice_id if original_id is None else original_id
        if invoice_kind == Kind.RED:
            red = Red(invoice_id, abs(net_fen), abs(tax_fen))
            changes += give_back(connection, red, was_issued=True)
    else:
        changes.append((name, (invoice_id, InvoiceState.BLANK_VOIDED)))
    connection.execute(_SEND, (name[0], invoice_id, kind, statement_time, family_id))
    _draw(connection, changes, now)


def _draw(
    connection: apsw.Connection, changes: Sequence[tuple[MeterName, Change]], now: float
) -> None:
    by_meter: dict[MeterName, list[Change]] = {}
    for name, change in changes:
        by_meter.setdefault(name, []).append(change)
    draw(connection, by_meter, now)


def _record(row: Row) -> StatementRecord:
    return StatementRecord(
        tenant=row[0],
        request_id=row[1],
        kind=StatementKind(row[2]),
        tax_number=row[3],
        machine_number=row[4],
        point=row[5],
        type=row[6],
        code=row[7],
        number=row[8],
        statement_time=row[9],
        content=row[10],
        state=row[11],
        worker=row[12],
        reserved_at=row[13],
        signature=row[14],
        key_id=row[15],
    )
