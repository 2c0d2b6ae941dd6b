"""Finding an invoice by what is printed on it, whoever issued it."""

import apsw

from invoice.lifecycle import InvoiceState
from ledger.queries import PrintedRecord
from ledger.values import fetch, fetch_one

# Grants never overlap, so the one that begins last before a number has it, or none has.
_GRANT = """
SELECT tax_number
  FROM stock_grant
 WHERE code = ?1 AND width = length(?2) AND first_number <= ?2
   AND state IN ('GRANTED', 'CONFIRMED')
 ORDER BY first_number DESC
 LIMIT 1
"""
_PRINTED = """
SELECT i.type, i.state, i.issue_time, i.net_fen, s.check_code
  FROM invoice AS i
  JOIN signature AS s ON s.invoice_id = i.invoice_id
 WHERE i.tax_number = ? AND i.code = ? AND i.number = ?
"""


def find_printed(connection: apsw.Connection, code: str, number: str) -> PrintedRecord | None:
    """Return what is printed on a signed invoice; None for every other number.

    The way is the same for a number nobody has as for one that is there; behind the end of its
    grant the second step finds nothing.
    """
    seller = fetch_one(connection, _GRANT, (code, number))
    rows = fetch(connection, _PRINTED, (seller or "", code, number))
    if not rows:
        return None
    type_, state, issue_time, net_fen, check_code = rows[0]
    return PrintedRecord(
        type=type_,
        state=InvoiceState(state),
        issue_time=issue_time,
        net_fen=net_fen,
        check_code=check_code,
    )
