"""The books of meters: their counters equal the sums over what they count."""

from collections.abc import Iterator

import apsw

from ledger.books_tally import MeterTally, Tally, found
from ledger.records import Finding
from ledger.values import Row, fetch

_METERS = """
SELECT tax_number, machine_number, type, unuploaded_count, unuploaded_amount_fen, last_issue_time
  FROM meter
"""
# A void adds nothing to the budget.
_EVENTS = """
SELECT i.tax_number, i.machine_number, i.type, count(*), sum(abs(i.net_fen))
  FROM outbox AS o
  JOIN invoice AS i ON i.invoice_id = o.invoice_id
 WHERE o.event = 'ISSUE' AND o.state IN ('PENDING', 'PREPARED', 'SUBMITTED', 'IN_DOUBT')
 GROUP BY i.tax_number, i.machine_number, i.type
"""
_STRAY_EVENTS = """
SELECT o.event_id, o.tax_number
  FROM outbox AS o
  LEFT JOIN invoice AS i ON i.invoice_id = o.invoice_id AND i.tax_number = o.tax_number
 WHERE i.invoice_id IS NULL
"""


def check_meters(connection: apsw.Connection, tally: Tally) -> Iterator[Finding]:
    """Check every meter, and that every event has its invoice."""
    events = {row[:3]: row[3:] for row in fetch(connection, _EVENTS)}
    meters = fetch(connection, _METERS)
    for row in meters:
        yield from _meter(row, tally.meters[row[0], row[1], row[2]], events.get(row[:3], (0, 0)))
    for name in tally.meters.keys() - {row[:3] for row in meters}:
        yield found("I7_METERS", "/".join(name), "there are invoices and no meter")
    for event_id, tax_number in fetch(connection, _STRAY_EVENTS):
        yield found("I6_UPLOADED", f"events/{event_id}", f"there is no invoice of {tax_number}")


def _meter(row: Row, sums: MeterTally, events: Row) -> Iterator[Finding]:
    tax_number, machine_number, type_code, count, amount_fen, last_issue_time = row
    subject = f"taxpayers/{tax_number}/devices/{machine_number}/types/{type_code}"
    count_due = sums.reserved_count + events[0]
    amount_due = sums.reserved_amount_fen + events[1]
    if count != count_due:
        yield found("I7_METERS", subject, f"un-uploaded count {count}, it should be {count_due}")
    if amount_fen != amount_due:
        yield found(
            "I7_METERS", subject, f"un-uploaded {amount_fen} fen, it should be {amount_due}"
        )
    if last_issue_time != sums.last_issue_time:
        yield found(
            "I8_MONOTONE",
            subject,
            f"last issue time {last_issue_time}, it should be {sums.last_issue_time}",
        )
