"""Submissions: which events go to the authority together, stored before they are sent."""

import apsw

from ledger.records import OutboxItem, Submission
from ledger.values import Row, fetch, fetch_one

_DUE = """
SELECT event_id, ifnull(batch_count_max, ?)
  FROM outbox
 WHERE tax_number = ? AND state = 'PENDING' AND not_before <= ?
 ORDER BY event_id
 LIMIT ?
"""
_PREPARE = """
INSERT INTO submission (submission_id, tax_number, state, created_at) VALUES (?, ?, 'PREPARED', ?)
"""
_CLAIM = """
UPDATE outbox
   SET state = 'PREPARED', submission_number = ?, attempt_count = attempt_count + 1
 WHERE tax_number = ? AND state = 'PENDING' AND event_id <= ? AND not_before <= ?
"""
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
SELECT m.event_id, m.event, i.code, i.number, c.content, s.signature, s.key_id, m.attempt_count,
       i.machine_number
  FROM submission_item AS m
  JOIN invoice AS i ON i.invoice_id = m.invoice_id
  JOIN content AS c ON c.invoice_id = m.invoice_id
  JOIN signature AS s ON s.invoice_id = m.invoice_id
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
    last = _last_of_batch(connection, tax_number, count_max, now)
    if last is None:
        return False
    connection.execute(_PREPARE, (submission_id, tax_number, now))
    number = connection.last_insert_rowid()
    connection.execute(_CLAIM, (number, tax_number, last, now))
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


def _last_of_batch(
    connection: apsw.Connection, tax_number: str, count_max: int, now: float
) -> int | None:
    """Return the last event of the next batch: it ends before one that wants a smaller batch."""
    last = None
    due = fetch(connection, _DUE, (count_max, tax_number, now, count_max))
    for count, (event_id, own_max) in enumerate(due, 1):
        count_max = min(count_max, own_max)
        if count > count_max:
            break
        last = event_id
    return last


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
    return {
        key_id: fetch_one(connection, _CERTIFICATE, (tax_number, machine_number, key_id))
        for machine_number, key_id in {(item[8], item[6]) for item in items}
    }


def _item(row: Row) -> OutboxItem:
    return OutboxItem(
        event_id=row[0],
        event=row[1],
        code=row[2],
        number=row[3],
        content=row[4],
        signature=row[5],
        key_id=row[6],
        attempt_count=row[7],
    )
