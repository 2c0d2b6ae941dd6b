"""Entries as rows: how an invoice is read back, whole."""

from collections.abc import Iterator

import apsw

from invoice.document import Kind
from invoice.lifecycle import InvoiceState
from ledger.records import Entry, SigningPlace
from ledger.values import Row, Value, fetch, fetch_one

_ENTRY = """
SELECT i.tenant, i.request_id, i.fingerprint, i.tax_number, i.machine_number, i.point, i.type,
       i.kind, i.code, i.number, i.issue_time, i.net_fen, i.tax_fen, c.content, i.state, i.worker,
       i.reserved_at, i.content_key_id, s.signature, s.key_id, s.check_code, s.fiscal_code
  FROM invoice AS i
  LEFT JOIN content AS c ON c.invoice_id = i.invoice_id
  LEFT JOIN signature AS s ON s.invoice_id = i.invoice_id
"""
_BY_ID = _ENTRY + "WHERE i.invoice_id = ?"
_BY_NUMBER = _ENTRY + "WHERE i.tax_number = ? AND i.code = ? AND i.number = ?"
# By the order of rows alone, every invoice there is would be looked at, every second.
_ORPHANS = (
    _ENTRY  # noqa: S608 - put together from constants
    + """
 WHERE i.invoice_id IN (
    SELECT o.invoice_id
      FROM invoice AS o INDEXED BY invoice_reserved
     WHERE o.state = 'RESERVED'
       AND (o.worker = ? OR o.worker NOT IN (SELECT worker FROM worker WHERE beat_at > ?))
     ORDER BY o.invoice_id
     LIMIT ?)
 ORDER BY i.invoice_id
"""
)
_ORPHANS_AT = _ORPHANS.replace(
    "= 'RESERVED'", "= 'RESERVED' AND o.tax_number = ? AND o.machine_number = ?"
)
_OF_REQUEST = "SELECT invoice_id FROM request_id WHERE tenant = ? AND request_id = ?"

# A worker that has not been heard of for this long is dead.
DEAD_AFTER_S = 3.0


def invoice_name(tax_number: str, code: str, number: str) -> str:
    """Return an invoice's resource name."""
    return f"taxpayers/{tax_number}/invoices/{code}{'-' if code else ''}{number}"


def entry_by_id(connection: apsw.Connection, invoice_id: int) -> Entry:
    """Return the entry of a row that is known to exist."""
    return next(_entries(connection, _BY_ID, (invoice_id,)))


def entry_by_number(
    connection: apsw.Connection, tax_number: str, code: str, number: str
) -> Entry | None:
    """Return the entry of an invoice's name; None when there is none."""
    return next(_entries(connection, _BY_NUMBER, (tax_number, code, number)), None)


def entry_by_request(connection: apsw.Connection, tenant: str, request_id: str) -> Entry | None:
    """Return the entry an issue id is bound to; None when it is not, or to something else."""
    invoice_id = fetch_one(connection, _OF_REQUEST, (tenant, request_id))
    return None if invoice_id is None else entry_by_id(connection, invoice_id)


def orphans(
    connection: apsw.Connection,
    *,
    worker: str,
    now: float,
    count_max: int,
    place: SigningPlace | None = None,
) -> list[Entry]:
    """Return RESERVED entries of ``worker`` and of dead workers, oldest first."""
    values = (worker, now - DEAD_AFTER_S, count_max)
    if place is None:
        return list(_entries(connection, _ORPHANS, values))
    values_at = (place.tax_number, place.machine_number, *values)
    return list(_entries(connection, _ORPHANS_AT, values_at))


def _entries(
    connection: apsw.Connection, statement: str, values: tuple[Value, ...]
) -> Iterator[Entry]:
    return map(_entry, fetch(connection, statement, values))


def _entry(row: Row) -> Entry:
    return Entry(
        tenant=row[0],
        request_id=row[1],
        fingerprint=row[2],
        tax_number=row[3],
        machine_number=row[4],
        point=row[5],
        type=row[6],
        kind=Kind(row[7]),
        code=row[8],
        number=row[9],
        issue_time=row[10],
        net_fen=row[11],
        tax_fen=row[12],
        content=row[13] or b"",
        state=InvoiceState(row[14]),
        worker=row[15],
        reserved_at=row[16],
        content_key_id=row[17],
        signature=row[18],
        key_id=row[19] or "",
        check_code=row[20] or "",
        fiscal_code=row[21] or "",
    )
