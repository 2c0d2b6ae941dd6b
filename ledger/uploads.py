"""Submissions: which events go to the authority together, stored before they are sent.

A blue, its reds and their voids are one family. An event of it waits while the issue of the blue
is open, and while an event before it is open, where one of the two is a void. What the authority
has refused holds nobody. So whatever goes together, in one submission or in two at once, may be
judged in any order.
"""

import apsw

from ledger.bulk import Bulk
from ledger.records import OriginalStatement, OutboxItem, Submission
from ledger.values import Row, Value, fetch, fetch_one

# A time to wait for is not believed beyond this: the wall clock may have stepped.
_DELAY_S_MAX = 60.0
# Most events have no family. One that has looks up its blue, and walks its family's earlier
# events no further than to the first open one.
_DUE = """
SELECT o.event_id, ifnull(o.batch_count_max, ?)
  FROM outbox AS o
 WHERE o.tax_number = ? AND o.state = 'PENDING'
   AND (o.not_before <= ? OR o.not_before > ?)
   AND (o.family_id IS NULL
        OR NOT (EXISTS (SELECT 1
                          FROM outbox AS b
                         WHERE b.invoice_id = o.family_id AND b.event = 'ISSUE'
                           AND b.state IN ('PENDING', 'PREPARED', 'SUBMITTED', 'IN_DOUBT'))
                OR EXISTS (SELECT 1
                             FROM outbox AS v
                            WHERE v.family_id = o.family_id AND v.event = 'VOID'
                              AND v.event_id < o.event_id
                              AND v.state IN ('PENDING', 'PREPARED', 'SUBMITTED', 'IN_DOUBT'))
                OR (o.event = 'VOID'
                    AND EXISTS (SELECT 1
                                  FROM outbox AS d
                                 WHERE d.family_id = o.family_id AND d.event = 'ISSUE'
                                   AND d.event_id < o.event_id
                                   AND d.state IN ('PENDING', 'PREPARED', 'SUBMITTED', 'IN_DOUBT')))))
 ORDER BY o.event_id
 LIMIT ?
"""
_PREPARE = """
INSERT INTO submission (submission_id, tax_number, state, created_at) VALUES (?, ?, 'PREPARED', ?)
"""
_CLAIM = Bulk(
    """
UPDATE outbox
   SET state = 'PREPARED', submission_number = w.column2, attempt_count = attempt_count + 1
  FROM (VALUES {rows}) AS w
 WHERE event_id = w.column1
""",
    column_count=2,
)
_KEEP_ITEMS = """
INSERT INTO submission_item (submission_number, event_id, invoice_id, event, attempt_count)
SELECT submission_number, event_id, invoice_id, event, attempt_count
  FROM outbox
 WHERE tax_number = ? AND state = 'PREPARED' AND submission_number = ?
"""
_MOVE = """
UPDATE submission
   SET state = ?, acceptance_serial = ifnull(?, acceptance_serial), poll_at = ifnull(?, poll_at)
 WHERE submission_id = ? AND state IN ('PREPARED', 'IN_DOUBT', 'SUBMITTED')
RETURNING submission_number
"""
_MOVE_EVENTS = """
UPDATE outbox
   SET state = ?2
 WHERE event_id IN (SELECT event_id FROM submission_item WHERE submission_number = ?1)
   AND submission_number = ?1 AND state IN ('PREPARED', 'SUBMITTED', 'IN_DOUBT')
"""
_FREE_EVENTS = """
UPDATE outbox
   SET state = 'PENDING', submission_number = NULL, not_before = ?2, batch_count_max = ?3
 WHERE event_id IN (SELECT event_id FROM submission_item WHERE submission_number = ?1)
   AND submission_number = ?1 AND state IN ('PREPARED', 'SUBMITTED', 'IN_DOUBT')
"""
DROP_ITEMS = "DELETE FROM submission_item WHERE submission_number = ?"
_POSTPONE = "UPDATE submission SET poll_at = ? WHERE submission_id = ? AND state = 'SUBMITTED'"
_SUBMISSION = """
SELECT submission_number, submission_id, tax_number, state, created_at, acceptance_serial, poll_at
  FROM submission
"""
_BY_ID = _SUBMISSION + "WHERE submission_id = ?"
_OPEN = (
    _SUBMISSION
    + """
 WHERE tax_number = ? AND state IN ('PREPARED', 'IN_DOUBT', 'SUBMITTED')
 ORDER BY submission_number
"""
)
_ITEMS = """
SELECT m.event_id, m.event, i.code, i.number, m.attempt_count, i.machine_number, c.content,
       s.signature, s.key_id, t.machine_number, t.content, t.signature, t.key_id, o.traceparent
  FROM submission_item AS m
  LEFT JOIN outbox AS o ON o.event_id = m.event_id
  JOIN invoice AS i ON i.invoice_id = m.invoice_id
  LEFT JOIN content AS c ON c.invoice_id = m.invoice_id
  LEFT JOIN signature AS s ON s.invoice_id = m.invoice_id
  LEFT JOIN statement AS t ON t.invoice_id = m.invoice_id AND t.kind = m.event
 WHERE m.submission_number = ?
 ORDER BY m.event_id
"""
_CERTIFICATE = """
SELECT certificate FROM device_key WHERE tax_number = ? AND machine_number = ? AND key_id = ?
"""
_RESTARTED = """
UPDATE submission SET state = 'IN_DOUBT' WHERE state = 'PREPARED'
"""
_RESTARTED_EVENTS = "UPDATE outbox SET state = 'IN_DOUBT' WHERE state = 'PREPARED'"
_BACKLOGGED = """
SELECT t.tax_number
  FROM taxpayer AS t
 WHERE EXISTS (SELECT 1
                 FROM outbox AS o
                WHERE o.tax_number = t.tax_number
                  AND o.state IN ('PENDING', 'PREPARED', 'SUBMITTED', 'IN_DOUBT'))
 ORDER BY t.tax_number
"""


def backlogged(connection: apsw.Connection) -> list[str]:
    """Return the tax numbers that have an event without a final answer."""
    return [row[0] for row in fetch(connection, _BACKLOGGED)]


def claim(
    connection: apsw.Connection, tax_number: str, submission_id: str, count_max: int, now: float
) -> bool:
    """Claim the oldest due events for a new submission; False when nothing is due."""
    batch = _next_batch(connection, tax_number, count_max, now)
    if not batch:
        return False
    connection.execute(_PREPARE, (submission_id, tax_number, now))
    number = connection.last_insert_rowid()
    claimed: list[Value] = []
    for event_id in batch:
        claimed += (event_id, number)
    _CLAIM.run(connection, claimed)
    connection.execute(_KEEP_ITEMS, (tax_number, number))
    return True


def find_submission(connection: apsw.Connection, submission_id: str) -> Submission:
    """Return a submission that is known to be open, with everything that is sent."""
    return _submission(connection, fetch(connection, _BY_ID, (submission_id,))[0])


def open_submissions(connection: apsw.Connection, tax_number: str) -> list[Submission]:
    """Return submissions without results, oldest first, with their items as first stored."""
    rows = fetch(connection, _OPEN, (tax_number,))
    return [_submission(connection, row) for row in rows]


def move(
    connection: apsw.Connection,
    submission_id: str,
    state: str,
    *,
    acceptance_serial: str | None = None,
    poll_at: float | None = None,
) -> None:
    """Move an open submission and its events to IN_DOUBT or SUBMITTED; a closed one stays as it is."""
    values = (state, acceptance_serial, poll_at, submission_id)
    moved = fetch(connection, _MOVE, values)
    for (number,) in moved:
        connection.execute(_MOVE_EVENTS, (number, state))


def postpone(connection: apsw.Connection, submission_id: str, poll_at: float) -> None:
    """Ask for its results later."""
    connection.execute(_POSTPONE, (poll_at, submission_id))


def release(
    connection: apsw.Connection, submission_id: str, not_before: float, batch_count_max: int
) -> None:
    """End a submission that was refused as a whole; its events are pending again."""
    released = fetch(connection, _MOVE, ("RELEASED", None, None, submission_id))
    for (number,) in released:
        connection.execute(_FREE_EVENTS, (number, not_before, batch_count_max))
        connection.execute(DROP_ITEMS, (number,))


def doubt_prepared(connection: apsw.Connection) -> None:
    """After a restart nobody knows whether what was prepared was sent."""
    connection.execute(_RESTARTED)
    connection.execute(_RESTARTED_EVENTS)


def _next_batch(
    connection: apsw.Connection, tax_number: str, count_max: int, now: float
) -> list[int]:
    """Return the events of the next batch: it ends before one that wants a smaller batch."""
    batch: list[int] = []
    values = (count_max, tax_number, now, now + _DELAY_S_MAX, count_max)
    for event_id, own_max in fetch(connection, _DUE, values):
        count_max = min(count_max, own_max)
        if len(batch) >= count_max:
            break
        batch.append(event_id)
    return batch


def _submission(connection: apsw.Connection, row: Row) -> Submission:
    number, submission_id, tax_number, state, created_at, acceptance_serial, poll_at = row
    rows = fetch(connection, _ITEMS, (number,))
    return Submission(
        submission_id=submission_id,
        tax_number=tax_number,
        state=state,
        created_at=created_at,
        items=tuple(_item(item) for item in rows),
        certificates=_certificates(connection, tax_number, rows),
        acceptance_serial=acceptance_serial,
        poll_at=poll_at,
    )


def _certificates(
    connection: apsw.Connection, tax_number: str, items: list[Row]
) -> dict[str, bytes]:
    keys = {(row[5], row[8]) for row in items} | {(row[9], row[12]) for row in items}
    return {
        key_id: fetch_one(connection, _CERTIFICATE, (tax_number, machine_number, key_id))
        for machine_number, key_id in keys
        if key_id
    }


def _item(row: Row) -> OutboxItem:
    event_id, event, code, number, attempt_count, _, *invoice, traceparent = row
    content, signature, key_id, _, *statement = invoice
    original = None
    if event == "VOID":
        original = OriginalStatement(content=content, signature=signature, key_id=key_id)
    if event != "ISSUE":
        content, signature, key_id = statement
    return OutboxItem(
        event_id=event_id,
        event=event,
        code=code,
        number=number,
        content=content,
        signature=signature,
        key_id=key_id,
        attempt_count=attempt_count,
        original=original,
        traceparent=traceparent,
    )
