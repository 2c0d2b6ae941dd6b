"""Permits: what the authority's rate windows have seen, kept over restarts."""

import apsw

from ledger.records import Permit
from ledger.values import fetch

# One window after its answer a permit counts nowhere any more; twice that leaves room for clocks.
_FORGET = """
DELETE FROM permit
 WHERE tax_number = ?1
   AND answered_at < ?2 - 2 * (SELECT longest_window_s FROM taxpayer WHERE tax_number = ?1)
"""
_ADD = "INSERT INTO permit (tax_number, sent_at) VALUES (?, ?)"
_ANSWER = "UPDATE permit SET answered_at = ? WHERE permit_id = ? AND answered_at IS NULL"
_ANSWER_ALL = "UPDATE permit SET answered_at = max(?, sent_at) WHERE answered_at IS NULL"
_COUNTING = """
SELECT permit_id, tax_number, sent_at, answered_at
  FROM permit
 WHERE tax_number = ? AND (answered_at IS NULL OR answered_at > ?)
 ORDER BY permit_id
"""


def add(connection: apsw.Connection, tax_number: str, sent_at: float) -> Permit:
    """Store a permit and forget those that count in no window any more."""
    connection.execute(_FORGET, (tax_number, sent_at))
    connection.execute(_ADD, (tax_number, sent_at))
    return Permit(
        permit_id=connection.last_insert_rowid(),
        tax_number=tax_number,
        sent_at=sent_at,
        answered_at=None,
    )


def answer(connection: apsw.Connection, permit: Permit, answered_at: float) -> None:
    """Store when its call was answered or timed out; the first word counts."""
    connection.execute(_ANSWER, (answered_at, permit.permit_id))


def answer_all(connection: apsw.Connection, now: float) -> None:
    """After a restart, take every unanswered call as answered now: no window frees too early."""
    connection.execute(_ANSWER_ALL, (now,))


def counting(connection: apsw.Connection, tax_number: str, answered_after: float) -> list[Permit]:
    """Return permits unanswered or answered after an instant."""
    rows = fetch(connection, _COUNTING, (tax_number, answered_after))
    return [
        Permit(permit_id=row[0], tax_number=row[1], sent_at=row[2], answered_at=row[3])
        for row in rows
    ]
