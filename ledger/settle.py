"""Settling: a reserved number becomes an issued invoice. The commit of this is the commit point."""

from collections import defaultdict
from collections.abc import Sequence

import apsw

from invoice.document import Kind
from invoice.lifecycle import InvoiceState
from ledger.bulk import Bulk
from ledger.meters import Change, MeterName, draw
from ledger.records import Entry, Settlement
from ledger.reversals import Red, count_issued, originals_of
from ledger.rows import entry_by_number
from ledger.values import Value

# One row for all, so that one step answers a whole group.
_FIND = Bulk(
    """
SELECT w.column1, i.invoice_id
  FROM (VALUES {rows}) AS w
  JOIN invoice AS i ON i.tax_number = w.column2 AND i.code = w.column3 AND i.number = w.column4
 WHERE i.state = 'RESERVED'
""",
    column_count=4,
)
_ISSUE = Bulk(
    "UPDATE invoice SET state = 'ISSUED' WHERE invoice_id IN (VALUES {rows})", column_count=1
)
_SIGN = Bulk(
    "INSERT INTO signature (invoice_id, signature, key_id, check_code, fiscal_code) VALUES {rows}",
    column_count=5,
)
_SEND = Bulk(
    """
INSERT INTO outbox (tax_number, invoice_id, event, state, issue_time, family_id, meter_id)
VALUES {rows}
""",
    column_count=7,
)
# Few are traced, so the others do not pay for a column more.
_TRACE = "UPDATE outbox SET traceparent = ? WHERE invoice_id = ? AND event = 'ISSUE'"


def settle(
    connection: apsw.Connection, settlements: Sequence[Settlement], now: float
) -> list[Entry]:
    """Store the signatures of entries that are still RESERVED; answer the stored rows, in order.

    Whoever comes second, in this group or long after, changes nothing and answers what is stored.

    Raises:
        LookupError: There is no such entry: it did not come from this ledger.
    """
    if not settlements:
        return []
    won = _reserved(connection, settlements)
    if won:
        _store(connection, [(invoice_id, settlements[at]) for at, invoice_id in won.items()], now)
    return [
        _settled(settlement) if at in won else _stored(connection, settlement.entry)
        for at, settlement in enumerate(settlements)
    ]


def _reserved(connection: apsw.Connection, settlements: Sequence[Settlement]) -> dict[int, int]:
    """Map position to invoice id, for the first settlement of each entry that is RESERVED."""
    wanted: list[Value] = []
    for at, settlement in enumerate(settlements):
        entry = settlement.entry
        wanted += (at, entry.tax_number, entry.code, entry.number)
    found = sorted(_FIND.run(connection, wanted))
    first: dict[int, int] = {}
    for at, invoice_id in found:
        first.setdefault(invoice_id, at)
    return {at: invoice_id for invoice_id, at in first.items()}


def _store(connection: apsw.Connection, won: Sequence[tuple[int, Settlement]], now: float) -> None:
    signatures: list[Value] = []
    changes: defaultdict[MeterName, list[Change]] = defaultdict(list)
    reds = [
        Red(invoice_id, abs(settlement.entry.net_fen), abs(settlement.entry.tax_fen))
        for invoice_id, settlement in won
        if settlement.entry.kind is Kind.RED
    ]
    original_of = originals_of(connection, reds) if reds else {}
    for invoice_id, settlement in won:
        entry = settlement.entry
        signatures += (
            invoice_id,
            settlement.signature,
            settlement.key_id,
            settlement.check_code,
            settlement.fiscal_code,
        )
        changes[_meter(entry)].append((invoice_id, "ISSUED"))
    _ISSUE.run(connection, [invoice_id for invoice_id, _ in won])
    _SIGN.run(connection, signatures)
    if reds:
        for meter, change in count_issued(connection, reds, original_of):
            changes[meter].append(change)
    meter_ids = draw(connection, changes, now)
    events: list[Value] = []
    for invoice_id, settlement in won:
        entry = settlement.entry
        events += (entry.tax_number, invoice_id, "ISSUE", "PENDING", entry.issue_time)
        events += (original_of.get(invoice_id), meter_ids[_meter(entry)])
    _SEND.run(connection, events)
    for invoice_id, settlement in won:
        if settlement.traceparent is not None:
            connection.execute(_TRACE, (settlement.traceparent, invoice_id))


def _meter(entry: Entry) -> MeterName:
    return entry.tax_number, entry.machine_number, entry.type


def _stored(connection: apsw.Connection, entry: Entry) -> Entry:
    stored = entry_by_number(connection, entry.tax_number, entry.code, entry.number)
    if stored is None:
        raise LookupError(f"no entry {entry.code}-{entry.number} of {entry.tax_number}")
    return stored


def _settled(settlement: Settlement) -> Entry:
    entry = settlement.entry
    return Entry(
        tenant=entry.tenant,
        request_id=entry.request_id,
        fingerprint=entry.fingerprint,
        tax_number=entry.tax_number,
        machine_number=entry.machine_number,
        point=entry.point,
        type=entry.type,
        kind=entry.kind,
        code=entry.code,
        number=entry.number,
        issue_time=entry.issue_time,
        net_fen=entry.net_fen,
        tax_fen=entry.tax_fen,
        content=entry.content,
        state=InvoiceState.ISSUED,
        worker=entry.worker,
        reserved_at=entry.reserved_at,
        content_key_id=entry.content_key_id,
        signature=settlement.signature,
        key_id=settlement.key_id,
        check_code=settlement.check_code,
        fiscal_code=settlement.fiscal_code,
    )
