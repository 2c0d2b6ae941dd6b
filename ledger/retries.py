"""Sending once more what the authority refused: an operator's act, counted against the budget again."""

from collections import defaultdict
from collections.abc import Sequence
from heapq import merge
from itertools import chain, islice

import apsw

from invoice.errors import InvalidRequest, InvoiceNotFound
from ledger.bindings import bind, first_effect
from ledger.bulk import Bulk
from ledger.meters import Backlog, MeterName, draw_changes, put_back
from ledger.records import Act, Binding
from ledger.rows import invoice_name
from ledger.taxpayers import taxpayer_of
from ledger.values import Row, fetch, fetch_one

_COUNT_MAX = 10_000
# While an event that depends on this one (see uploads.py) is with the authority, this one must not
# arrive behind it: in doubt, it goes again under the same id and waits for nobody any more. Once it
# has its answer, whatever that is, this one may go.
_REFUSED = """
SELECT o.event_id, o.event, o.invoice_id, i.tax_number, i.machine_number, i.type, i.net_fen,
       o.issue_time
  FROM outbox AS o
  JOIN invoice AS i ON i.invoice_id = o.invoice_id
 WHERE o.tax_number = ? AND o.state = ?
   AND NOT EXISTS (SELECT 1
                     FROM outbox AS v
                    WHERE v.family_id = ifnull(o.family_id, o.invoice_id) AND v.event = 'VOID'
                      AND v.event_id > o.event_id
                      AND v.state IN ('PREPARED', 'SUBMITTED', 'IN_DOUBT'))
   AND NOT ((o.family_id IS NULL OR o.event = 'VOID')
            AND EXISTS (SELECT 1
                          FROM outbox AS d
                         WHERE d.family_id = ifnull(o.family_id, o.invoice_id) AND d.event = 'ISSUE'
                           AND d.event_id > o.event_id
                           AND d.state IN ('PREPARED', 'SUBMITTED', 'IN_DOUBT')))
"""
_OLDEST = _REFUSED + "ORDER BY o.event_id LIMIT ?"
# The invoice leads: an outbox of many refused events is not looked through for each name.
_NAMED = _REFUSED.replace("o.tax_number = ? AND", "i.tax_number = ? AND +") + (
    "AND i.code = ? AND i.number = ?"
)
_KNOWN = "SELECT 1 FROM invoice WHERE tax_number = ? AND code = ? AND number = ?"
_STATES = ("REJECTED", "SIGNATURE_REJECTED")
_AGAIN = Bulk(
    """
UPDATE outbox
   SET state = 'PENDING', submission_number = NULL, rejection = '', not_before = 0,
       batch_count_max = NULL
 WHERE event_id IN (VALUES {rows})
""",
    column_count=1,
)


def retry(
    connection: apsw.Connection,
    *,
    tax_number: str,
    invoices: Sequence[tuple[str, str]],
    binding: Binding,
    act: Act,
) -> tuple[int, bool]:
    """Make refused events pending again; see ``port.Ledger.retry_uploads``."""
    effect = first_effect(connection, binding)
    if effect is not None:
        return int(effect["retried_count"]), True
    taxpayer_of(connection, binding.tenant, tax_number)
    if invoices:
        found = _of_invoices(connection, tax_number, invoices)
    else:
        found = _oldest(connection, tax_number)
    _AGAIN.run(connection, [row[0] for row in found])
    _count_again(connection, found)
    _draw_changes(connection, found, act.at)
    bind(
        connection,
        binding,
        act,
        target=f"taxpayers/{tax_number}",
        effect={"tax_number": tax_number, "retried_count": len(found)},
    )
    return len(found), False


def _oldest(connection: apsw.Connection, tax_number: str) -> list[Row]:
    # The index gives each state in order; merging them reads no more than is retried.
    pages = (fetch(connection, _OLDEST, (tax_number, state, _COUNT_MAX)) for state in _STATES)
    return list(islice(merge(*pages), _COUNT_MAX))


def _of_invoices(
    connection: apsw.Connection, tax_number: str, invoices: Sequence[tuple[str, str]]
) -> list[Row]:
    found: dict[tuple[str, str], list[Row]] = {}
    for index, name in enumerate(invoices):
        found[name] = [
            row
            for state in _STATES
            for row in fetch(connection, _NAMED, (tax_number, state, *name))
        ]
        if not found[name]:
            raise _nothing_of(connection, tax_number, name, index)
    return sorted(chain.from_iterable(found.values()))


def _nothing_of(
    connection: apsw.Connection, tax_number: str, name: tuple[str, str], index: int
) -> InvalidRequest | InvoiceNotFound:
    if fetch_one(connection, _KNOWN, (tax_number, *name)) is None:
        return InvoiceNotFound("no such invoice", name=invoice_name(tax_number, *name))
    return InvalidRequest(
        f"invoices[{index}]",
        "NOT_REJECTED",
        "the authority has refused no event of it, or what depends on it is on the way: "
        "a later red or void of the same family, which must have its answer first",
    )


def _count_again(connection: apsw.Connection, found: Sequence[Row]) -> None:
    """Put what is issued on the meters again; a void never counted."""
    again: defaultdict[MeterName, Backlog] = defaultdict(Backlog)
    for _, event, _, *meter, net_fen, issue_time in found:
        if event == "ISSUE":
            name: MeterName = tuple(meter)
            again[name] = again[name].with_one(net_fen, issue_time)
    put_back(connection, again)


def _draw_changes(connection: apsw.Connection, found: Sequence[Row], now: float) -> None:
    changed: defaultdict[str, defaultdict[MeterName, list[int]]]
    changed = defaultdict(lambda: defaultdict(list))
    for _, event, invoice_id, *meter, _, _ in found:
        what = "RETRIED" if event == "ISSUE" else f"{event}_RETRIED"
        name: MeterName = tuple(meter)
        changed[what][name].append(invoice_id)
    for what in sorted(changed):
        draw_changes(connection, changed[what], what=what, now=now)
