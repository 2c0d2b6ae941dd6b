"""The books of reds: what each names, and that together they never exceed their blue (I10)."""

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

import apsw

from invoice.content import Facts
from invoice.types import TYPES
from ledger.books_rows import Stored
from ledger.books_tally import found, invoice_subject
from ledger.records import Finding
from ledger.reversals import state_by_reds
from ledger.values import Row, fetch

_CHECK: Final = "I10_REVERSED"
# The changes of so many blues are kept in mind while the changes are read once.
_SLICE_ROWS = 50_000
_REVERSALS = f"""
SELECT v.invoice_id, i.tax_number, i.code, i.number, i.type,
       ifnull(i.net_fen, 0), ifnull(i.tax_fen, 0),
       v.live_count, v.live_net_fen, v.live_tax_fen,
       v.issued_count, v.issued_net_fen, v.issued_tax_fen,
       count(n.invoice_id) FILTER (WHERE n.state IN ('RESERVED', 'ISSUED')),
       ifnull(sum(abs(n.net_fen)) FILTER (WHERE n.state IN ('RESERVED', 'ISSUED')), 0),
       ifnull(sum(abs(n.tax_fen)) FILTER (WHERE n.state IN ('RESERVED', 'ISSUED')), 0),
       count(n.invoice_id) FILTER (WHERE n.state = 'ISSUED'),
       ifnull(sum(abs(n.net_fen)) FILTER (WHERE n.state = 'ISSUED'), 0),
       ifnull(sum(abs(n.tax_fen)) FILTER (WHERE n.state = 'ISSUED'), 0),
       count(n.invoice_id) FILTER (WHERE n.state = 'VOIDED')
  FROM reversal AS v
  LEFT JOIN invoice AS i ON i.invoice_id = v.invoice_id
  LEFT JOIN red AS d ON d.original_id = v.invoice_id
  LEFT JOIN invoice AS n ON n.invoice_id = d.invoice_id
 WHERE v.invoice_id > ?
 GROUP BY v.invoice_id
 ORDER BY v.invoice_id
 LIMIT {_SLICE_ROWS}
"""  # noqa: S608 - a constant
_STRAY_REDS = """
SELECT d.invoice_id
  FROM red AS d
 WHERE NOT EXISTS (SELECT 1 FROM reversal AS v WHERE v.invoice_id = d.original_id)
    OR NOT EXISTS (SELECT 1 FROM invoice AS i WHERE i.invoice_id = d.invoice_id)
"""
_CHANGES = """
SELECT invoice_id
  FROM change
 WHERE what IN ('PARTLY_REVERSED', 'REVERSED', 'RESTORED') AND invoice_id > ? AND invoice_id <= ?
"""
_LAST_ID = 2**63 - 1


class _Sums(NamedTuple):
    """Reds of one blue: how many, and how much."""

    red_count: int
    net_fen: int
    tax_fen: int


class _Reversal(NamedTuple):
    """A row of ``_REVERSALS``."""

    invoice_id: int
    tax_number: str | None
    code: str
    number: str
    type: str
    net_fen: int
    tax_fen: int
    live: _Sums
    issued: _Sums
    live_found: _Sums
    issued_found: _Sums
    voided_count: int

    @property
    def subject(self) -> str:
        """How a finding names it."""
        return invoice_subject(self.tax_number or "", self.code or "", self.number or "")


def red_faults(stored: Stored, facts: Facts) -> Iterator[tuple[str, str]]:
    """Check a row against the blue it names; a blue names none."""
    if stored.original_id is None or facts.original is None:
        if stored.original_id is not None or stored.kind == "red":
            yield _CHECK, f"it is {stored.kind} and is linked to {stored.blue_number or 'no blue'}"
        return
    named = stored.blue_tax_number, stored.blue_code, stored.blue_number
    if named != (stored.tax_number, *facts.original):
        yield _CHECK, f"it names {facts.original} and is linked to {named}"
    type_ = TYPES.get(stored.type)
    if type_ is None or stored.blue_type not in type_.reverses or stored.blue_kind != "blue":
        yield _CHECK, f"it cannot reverse a {stored.blue_kind} {stored.blue_type}"
    if stored.red_tax_number != stored.tax_number:
        yield _CHECK, f"its red is one of {stored.red_tax_number}"
    if stored.red_notice_number != facts.red_notice_number:
        yield _CHECK, f"its red notice is not {stored.red_notice_number}"
    if stored.red_live != (stored.state in ("RESERVED", "ISSUED")):
        yield _CHECK, f"it is {stored.state}, and live is {stored.red_live}"


def blue_faults(stored: Stored) -> Iterator[tuple[str, str]]:
    """Check a row's state against the reds that are issued and not voided."""
    count, net_fen = stored.reversed_count or 0, stored.reversed_net_fen or 0
    if stored.kind == "blue" and stored.state in ("ISSUED", "PARTLY_REVERSED", "REVERSED"):
        due = state_by_reds(stored.net_fen, count, net_fen)
        if stored.state != due:
            yield _CHECK, f"it is {stored.state}, by its reds it should be {due}"
    elif count or stored.state in ("PARTLY_REVERSED", "REVERSED"):
        yield _CHECK, f"it is {stored.kind} and {stored.state}, and {count} reds reverse it"


def check_reversals(connection: apsw.Connection) -> Iterator[list[Finding]]:
    """Check every blue that a red ever named, and what its changes tell, some thousand at a time."""
    yield [
        found(_CHECK, f"rows/{invoice_id}", "a red that counts nowhere")
        for (invoice_id,) in fetch(connection, _STRAY_REDS)
    ]
    after = -1
    more = True
    while more:
        rows = fetch(connection, _REVERSALS, (after,))
        more = len(rows) == _SLICE_ROWS
        reversals = [_reversal(row) for row in rows]
        last = reversals[-1].invoice_id if more else _LAST_ID
        findings = [
            found(_CHECK, reversal.subject, fault)
            for reversal in reversals
            for fault in _sum_faults(reversal)
        ]
        yield [*findings, *_change_faults(connection, reversals, after, last)]
        after = last


def _reversal(row: Row) -> _Reversal:
    live, issued, live_found, issued_found = (_Sums(*row[at : at + 3]) for at in (7, 10, 13, 16))
    return _Reversal._make((*row[:7], live, issued, live_found, issued_found, row[19]))


def _sum_faults(reversal: _Reversal) -> Iterator[str]:
    if reversal.tax_number is None:
        yield f"there is no blue in row {reversal.invoice_id}"
        return
    if reversal.live != reversal.live_found:
        yield f"live reds {reversal.live}, they should be {reversal.live_found}"
    if reversal.issued != reversal.issued_found:
        yield f"issued reds {reversal.issued}, they should be {reversal.issued_found}"
    _, net_fen, tax_fen = reversal.live
    if net_fen > reversal.net_fen or tax_fen > reversal.tax_fen:
        yield f"reds of {net_fen} and {tax_fen} fen exceed {reversal.net_fen}, {reversal.tax_fen}"
    type_ = TYPES.get(reversal.type)
    whole = reversal.live == (1, reversal.net_fen, reversal.tax_fen)
    if type_ is not None and not type_.partial_red and reversal.live.red_count and not whole:
        yield "it is reversed in part, which its type does not allow"


def _change_faults(
    connection: apsw.Connection, reversals: list[_Reversal], after: int, last: int
) -> Iterator[Finding]:
    """Each red that was ever issued, and each of them that was voided, changed the blue once.

    What the changes lead to is checked with the lives.
    """
    told = Counter(invoice_id for (invoice_id,) in fetch(connection, _CHANGES, (after, last)))
    for reversal in reversals:
        due = reversal.issued_found.red_count + 2 * reversal.voided_count
        count = told.pop(reversal.invoice_id, 0)
        if count != due:
            message = f"{count} changes tell of its reds, there should be {due}"
            yield found("I6_CHANGES", reversal.subject, message)
    for invoice_id in told:
        yield found("I6_CHANGES", f"rows/{invoice_id}", "changes tell of reds it never had")
