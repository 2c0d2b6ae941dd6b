"""Changes of alerts on their way to webhooks: each target's in order, until they are had or given up."""

import apsw

from ledger.alert_records import DeliveryCounts, DeliveryRecord
from ledger.alerts import change_of
from ledger.values import fetch

_NEXT = """
SELECT d.delivery_id, d.created_at, d.attempt_count, d.next_at, c.change_number, c.what, c.at,
       c.snapshot
  FROM webhook_delivery AS d
  JOIN alert_change AS c ON c.change_number = d.change_number
 WHERE d.target = ? AND d.state = 'PENDING'
 ORDER BY d.delivery_id
 LIMIT 1
"""
_TARGETS = "SELECT DISTINCT target FROM webhook_delivery WHERE state = 'PENDING'"
_PENDING = """
SELECT count(*), ifnull(min(created_at), 0) FROM webhook_delivery WHERE state = 'PENDING'
"""
_POSTPONE = """
UPDATE webhook_delivery
   SET attempt_count = attempt_count + 1, next_at = ?, last_error = ?
 WHERE delivery_id = ? AND state = 'PENDING'
"""
_END = """
UPDATE webhook_delivery
   SET state = ?, attempt_count = attempt_count + 1, last_error = ?, ended_at = ?
 WHERE delivery_id = ? AND state = 'PENDING'
"""
_ABANDON = """
UPDATE webhook_delivery
   SET state = 'GIVEN_UP', last_error = 'the target is not configured any more', ended_at = ?
 WHERE target = ? AND state = 'PENDING'
"""


def next_delivery(connection: apsw.Connection, target: str) -> DeliveryRecord | None:
    """Return what a target is to have next; None when it has all."""
    rows = fetch(connection, _NEXT, (target,))
    if not rows:
        return None
    delivery_id, created_at, attempt_count, next_at, *change = rows[0]
    return DeliveryRecord(
        delivery_id=delivery_id,
        change=change_of(*change),
        created_at=created_at,
        attempt_count=attempt_count,
        next_at=next_at,
    )


def counts(connection: apsw.Connection) -> DeliveryCounts:
    """Return how many wait."""
    return DeliveryCounts(*fetch(connection, _PENDING)[0])


def postpone(connection: apsw.Connection, delivery_id: int, *, next_at: float, error: str) -> None:
    """Note a try that failed."""
    connection.execute(_POSTPONE, (next_at, error, delivery_id))


def end(
    connection: apsw.Connection, delivery_id: int, *, delivered: bool, error: str, now: float
) -> None:
    """Note that it was had, or is given up."""
    state = "DELIVERED" if delivered else "GIVEN_UP"
    connection.execute(_END, (state, error, now, delivery_id))


def keep_only(connection: apsw.Connection, targets: frozenset[str], now: float) -> None:
    """Give up what waits for targets that there are no more."""
    for (target,) in fetch(connection, _TARGETS):
        if target not in targets:
            connection.execute(_ABANDON, (now, target))
