"""The books of alerts: each life as its changes tell it, deliveries in order, thresholds as decided."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, Final, NamedTuple

import apsw

from ledger.books_tally import found
from ledger.records import Finding
from ledger.values import Row, fetch, from_json

_ALERTS = """
SELECT alert_id, tenant, kind, tax_number, machine_number, point, type, state, severity, message,
       message_zh, facts, limit_at, drained_at, raised_at, updated_at, acknowledged_at,
       acknowledged_by, acknowledge_reason, resolved_at
  FROM alert
 ORDER BY alert_id
"""
_CHANGES = """
SELECT change_number, tenant, tax_number, what, at, snapshot
  FROM alert_change
 WHERE alert_id = ?
 ORDER BY change_number
"""
# Numbers are unique, so these tell of every gap; the last that was given, of one at the end.
_NUMBERS = """
SELECT count(*), ifnull(min(change_number), 1), ifnull(max(change_number), 0),
       ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'alert_change'), 0)
  FROM alert_change
"""
_STRAY = """
SELECT change_number FROM alert_change WHERE alert_id NOT IN (SELECT alert_id FROM alert)
"""
_SAID = """
SELECT json_extract(r.effect, '$.alert_id'), a.target, a.tenant, a.actor, a.reason, a.at
  FROM audit AS a
  JOIN request_id AS r
    ON r.tenant = a.tenant AND r.request_id = a.request_id AND r.action = a.action
 WHERE a.action = 'acknowledge_alert'
 ORDER BY a.audit_id
"""
_ACKNOWLEDGED = """
SELECT alert_id, 'alerts/' || alert_id, tenant, acknowledged_by, acknowledge_reason,
       acknowledged_at
  FROM alert
 WHERE acknowledged_at IS NOT NULL OR acknowledge_reason <> ''
"""
_DELIVERIES = """
SELECT d.delivery_id, d.target, d.change_number, d.state, d.created_at, d.attempt_count,
       d.last_error, d.ended_at, c.at
  FROM webhook_delivery AS d
  LEFT JOIN alert_change AS c ON c.change_number = d.change_number
 ORDER BY d.delivery_id
"""
_EFFECTS = """
SELECT r.effect
  FROM audit AS a
  JOIN request_id AS r
    ON r.tenant = a.tenant AND r.request_id = a.request_id AND r.action = a.action
 WHERE a.action = 'set_alert_thresholds'
 ORDER BY a.audit_id
"""
_THRESHOLDS = """
SELECT tax_number, unuploaded_count, unuploaded_amount_fen, unuploaded_age_s, certificate_days,
       period_days
  FROM alert_threshold
"""
_SET: Final = (
    "unuploaded_count",
    "unuploaded_amount_fen",
    "unuploaded_age_s",
    "certificate_days",
    "period_days",
)
_SHOWN: Final = ("severity", "message", "message_zh", "facts", "limit_at", "drained_at")
_MOVED: Final = {
    "UPDATED": {"updated_at", *_SHOWN},
    "ACKNOWLEDGED": {
        "updated_at",
        "state",
        "acknowledged_at",
        "acknowledged_by",
        "acknowledge_reason",
    },
    "RESOLVED": {"updated_at", "state", "resolved_at"},
}
"""What of an alert each change may change."""


class _Change(NamedTuple):
    """A row of ``_CHANGES``."""

    change_number: int
    tenant: str
    tax_number: str
    what: str
    at: float
    text: str

    @property
    def snapshot(self) -> Mapping[str, Any] | None:
        """The alert as it left it; None when that cannot be read."""
        try:
            read = from_json(self.text)
        except ValueError:
            return None
        return read if isinstance(read, dict) else None


class _Delivery(NamedTuple):
    """A row of ``_DELIVERIES``; ``changed_at`` is of its change, None when there is none."""

    delivery_id: int
    target: str
    change_number: int
    state: str
    created_at: float
    attempt_count: int
    last_error: str
    ended_at: float | None
    changed_at: float | None


@dataclass(slots=True)
class _Queue:
    """A target's deliveries so far."""

    change_number: int = 0
    waits: bool = False


def check_alerts(connection: apsw.Connection) -> Iterator[Finding]:
    """Check alerts, what is told of them, who looks after them, and from where on they are raised."""
    count, first, last, given = fetch(connection, _NUMBERS)[0]
    if (first, last, given) != (1, count, count):
        message = f"there are {count} changes, numbered from {first} to {last}, {given} were given"
        yield found("I6_ALERTS", "alerts", message)
    for (number,) in fetch(connection, _STRAY):
        yield found("I6_ALERTS", "alerts", f"change {number} is of no alert")
    yield from _check_lives(connection)
    yield from _check_acknowledged(connection)
    yield from _check_deliveries(connection)
    yield from _check_thresholds(connection)


def _check_lives(connection: apsw.Connection) -> Iterator[Finding]:
    ends: dict[Any, int | None] = {}
    for row in connection.execute(_ALERTS):
        changes = [_Change(*change) for change in fetch(connection, _CHANGES, row[:1])]
        messages = chain(_began(row, changes, ends), _life(row, changes), _as_told(row, changes))
        for message in messages:
            yield found("I6_ALERTS", f"alerts/{row[0]}", message)


def _began(row: Row, changes: Sequence[_Change], ends: dict[Any, int | None]) -> Iterator[str]:
    """Check that the last at its place was over by then; ``ends``: by which change, None: it stands."""
    place = row[1:7]
    before = ends.get(place, 0)
    if before is None or (changes and changes[0].change_number < before):
        yield "it was raised while another stood at its place"
    over = bool(changes) and changes[-1].what == "RESOLVED"
    ends[place] = changes[-1].change_number if over else None


def _life(row: Row, changes: Sequence[_Change]) -> Iterator[str]:
    """Check that it was raised once, acknowledged at most once, and that nothing follows its end."""
    told = [change.what for change in changes]
    if told[:1] != ["RAISED"] or told.count("RAISED") > 1:
        yield f"it was not raised first, and once: {told}"
    if told.count("ACKNOWLEDGED") > 1:
        yield "it was acknowledged more than once"
    if "RESOLVED" in told[:-1]:
        yield "something became of it after it was resolved"
    for change in changes:
        if (change.tenant, change.tax_number) != (row[1], row[3]):
            yield f"its change {change.change_number} is told to others"


def _as_told(row: Row, changes: Sequence[_Change]) -> Iterator[str]:
    """Check each change against the one before it, and the last against what is stored."""
    snapshots = [change.snapshot for change in changes]
    for change, after in zip(changes, snapshots, strict=True):
        if after is None or after.get("updated_at") != change.at or not _fits(change, after):
            yield f"its change {change.change_number} shows it otherwise than it became"
    for (before, after), change in zip(pairwise(snapshots), changes[1:], strict=True):
        if before is None or after is None:
            continue
        moved = {
            name
            for name in (before.keys() | after.keys()) - _MOVED.get(change.what, set())
            if before.get(name) != after.get(name)
        }
        if moved:
            yield f"its change {change.change_number} changed {', '.join(sorted(moved))}"
    if not snapshots or snapshots[-1] != _stored(row):
        yield "it does not stand as its last change left it"


def _fits(change: _Change, after: Mapping[str, Any]) -> bool:
    """Whether the state is the one that such a change leaves."""
    state = after.get("state")
    if change.what == "UPDATED":
        return state in ("RAISED", "ACKNOWLEDGED")
    return bool(state == change.what)


def _stored(row: Row) -> dict[str, Any] | None:
    """Return what the last snapshot has to be."""
    alert_id, tenant, kind, tax_number, machine_number, point, type_code, state, *shown = row
    severity, message, message_zh, facts, limit_at, drained_at, *times = shown
    raised_at, updated_at, acknowledged_at, acknowledged_by, reason, resolved_at = times
    try:
        read = from_json(facts)
    except ValueError:
        return None
    return {
        "alert_id": alert_id,
        "tenant": tenant,
        "place": [kind, tax_number, machine_number, None if point < 0 else point, type_code],
        "state": state,
        "severity": severity,
        "message": message,
        "message_zh": message_zh,
        "facts": read,
        "limit_at": limit_at,
        "drained_at": drained_at,
        "raised_at": raised_at,
        "updated_at": updated_at,
        "acknowledged_at": acknowledged_at,
        "acknowledged_by": acknowledged_by,
        "acknowledge_reason": reason,
        "resolved_at": resolved_at,
    }


def _check_acknowledged(connection: apsw.Connection) -> Iterator[Finding]:
    """Check that who looks after an alert is who is on record, and why."""
    said: defaultdict[int, list[Row]] = defaultdict(list)
    for alert_id, *rest in fetch(connection, _SAID):
        said[alert_id].append(tuple(rest))
    for alert_id, *stored in fetch(connection, _ACKNOWLEDGED):
        if said.pop(alert_id, []) != [tuple(stored)]:
            message = "it is acknowledged by another, or for another reason, than is on record"
            yield found("I9_AUDITED", f"alerts/{alert_id}", message)
    for alert_id in said:
        yield found("I9_AUDITED", f"alerts/{alert_id}", "it was acknowledged, it does not show")


def _check_deliveries(connection: apsw.Connection) -> Iterator[Finding]:
    """Check that each target was to have each change once, in order, and had it so."""
    queues: defaultdict[str, _Queue] = defaultdict(_Queue)
    for row in connection.execute(_DELIVERIES):
        delivery = _Delivery(*row)
        for message in chain(_delivered(delivery), _queued(delivery, queues[delivery.target])):
            yield found("I6_ALERTS", f"deliveries/{delivery.delivery_id}", message)


def _delivered(delivery: _Delivery) -> Iterator[str]:
    if delivery.changed_at is None:
        yield f"it brings change {delivery.change_number}, which there is not"
    elif delivery.created_at != delivery.changed_at:
        yield "it was not made when its change was"
    if (delivery.state == "PENDING") != (delivery.ended_at is None):
        yield f"it is {delivery.state} and ended at {delivery.ended_at}"
    if delivery.state == "DELIVERED" and not delivery.attempt_count:
        yield "it was had and never tried"
    if delivery.state == "GIVEN_UP" and not delivery.last_error:
        yield "it was given up for nothing"
    if delivery.state == "PENDING" and delivery.last_error and not delivery.attempt_count:
        yield "it failed and was never tried"


def _queued(delivery: _Delivery, queue: _Queue) -> Iterator[str]:
    if delivery.change_number <= queue.change_number:
        yield f"{delivery.target} was to have change {delivery.change_number} before"
    queue.change_number = max(queue.change_number, delivery.change_number)
    if delivery.state == "PENDING":
        queue.waits = True
    elif queue.waits:
        yield f"{delivery.target} had it before what still waits"


def _check_thresholds(connection: apsw.Connection) -> Iterator[Finding]:
    """Check that alerts are raised from where on was decided last."""
    decided: dict[str, Any] = {}
    for (text,) in fetch(connection, _EFFECTS):
        effect = from_json(text)
        decided[effect["tax_number"]] = effect["alert_thresholds"]
    stored = {
        tax_number: dict(zip(_SET, values, strict=True))
        for tax_number, *values in fetch(connection, _THRESHOLDS)
    }
    for tax_number in stored.keys() | decided.keys():
        if stored.get(tax_number) != decided.get(tax_number):
            message = "its alerts are raised from elsewhere on than was decided"
            yield found("I9_AUDITED", f"taxpayers/{tax_number}", message)
