"""The authority's final words: an accepted event leaves the outbox, a refused one stays in it."""

from collections import defaultdict
from collections.abc import Sequence

import apsw

from invoice.lifecycle import UploadState
from ledger.bulk import Bulk
from ledger.meters import Backlog, Change, MeterName, draw, take_off
from ledger.records import EventVerdict
from ledger.sums import SUM_MASK, accepted
from ledger.uploads import DROP_ITEMS
from ledger.values import Value, fetch_one

# An event that already has its final word, or is another submission's by now, is not found.
_OPEN = Bulk(
    """
SELECT o.event_id, w.column2, w.column3, o.submission_number, o.invoice_id, i.tax_number,
       i.machine_number, i.type, i.net_fen, o.event, o.issue_time
  FROM (VALUES {rows}) AS w
  JOIN outbox AS o ON o.event_id = w.column1
  JOIN submission AS s ON s.submission_number = o.submission_number
  JOIN invoice AS i ON i.invoice_id = o.invoice_id
 WHERE s.submission_id = w.column4 AND o.state IN ('PREPARED', 'SUBMITTED', 'IN_DOUBT')
""",
    column_count=4,
)
_LEAVE = Bulk("DELETE FROM outbox WHERE event_id IN (VALUES {rows})", column_count=1)
_ACCEPT = Bulk(
    """
UPDATE invoice SET submission_number = w.column2
  FROM (VALUES {rows}) AS w
 WHERE invoice_id = w.column1
""",
    column_count=2,
)
_ACCEPT_STATEMENT = Bulk(
    """
UPDATE statement SET submission_number = w.column2
  FROM (VALUES {rows}) AS w
 WHERE invoice_id = w.column1
""",
    column_count=2,
)
# The void carried the invoice along: what the authority refused of it is resolved.
_RESOLVE = Bulk(
    """
DELETE FROM outbox
 WHERE invoice_id IN (VALUES {rows}) AND event = 'ISSUE'
   AND state IN ('REJECTED', 'SIGNATURE_REJECTED')
""",
    column_count=1,
)
_REJECT = """
UPDATE outbox SET state = ?, rejection = ? WHERE event_id = ?
"""
_ADD_UP = f"""
UPDATE submission SET accepted_sum = (accepted_sum + ?) & {SUM_MASK} WHERE submission_number = ?
"""  # noqa: S608 - a constant
_LEFT = """
SELECT count(*)
  FROM submission_item AS m
  JOIN outbox AS o ON o.event_id = m.event_id AND o.submission_number = m.submission_number
 WHERE m.submission_number = ? AND o.state IN ('PREPARED', 'SUBMITTED', 'IN_DOUBT')
"""
_DONE = "UPDATE submission SET state = 'DONE' WHERE submission_number = ?"


def record_verdicts(
    connection: apsw.Connection, submission_id: str, verdicts: Sequence[EventVerdict], now: float
) -> None:
    """Store the verdicts on events that are still open in the submission; the rest is old news."""
    wanted: list[Value] = []
    for verdict in verdicts:
        wanted += (verdict.event_id, verdict.state, verdict.reason, submission_id)
    found = {row[0]: row for row in _OPEN.run(connection, wanted)}
    if not found:
        return
    changes: defaultdict[MeterName, list[Change]] = defaultdict(list)
    answered: defaultdict[MeterName, Backlog] = defaultdict(Backlog)
    left: list[Value] = []
    issued: list[Value] = []
    stated: list[Value] = []
    voided: list[Value] = []
    sums: defaultdict[int, int] = defaultdict(int)
    for event_id, state, reason, number, invoice_id, *meter, net_fen, event, at in found.values():
        name: MeterName = tuple(meter)
        changes[name].append((invoice_id, change_of(event, state)))
        if event == "ISSUE":
            answered[name] = answered[name].with_one(net_fen, at)
        if state != UploadState.ACCEPTED:
            connection.execute(_REJECT, (state, reason, event_id))
            continue
        left.append(event_id)
        taken = issued if event == "ISSUE" else stated
        taken += (invoice_id, number)
        sums[number] += accepted(number, invoice_id, event)
        if event == "VOID":
            voided.append(invoice_id)
    _LEAVE.run(connection, left)
    _ACCEPT.run(connection, issued)
    _ACCEPT_STATEMENT.run(connection, stated)
    _RESOLVE.run(connection, voided)
    for number, added in sums.items():
        connection.execute(_ADD_UP, (added & SUM_MASK, number))
    take_off(connection, answered)
    draw(connection, changes, now)
    _close(connection, {row[3] for row in found.values()})


def change_of(event: str, what: str) -> str:
    """Name a change of an upload: an event's own name leads, save that of the issue."""
    return what if event == "ISSUE" else f"{event}_{what}"


def _close(connection: apsw.Connection, numbers: set[int]) -> None:
    """End the submissions of which every event has its final word."""
    for number in numbers:
        if not fetch_one(connection, _LEFT, (number,)):
            connection.execute(_DONE, (number,))
            connection.execute(DROP_ITEMS, (number,))
