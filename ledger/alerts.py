"""Alerts as rows: what stands, every change of it, and what is on its way to webhooks."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any, Final

import apsw

from invoice.errors import AlertNotFound, AlertNotOpen
from ledger.alert_records import (
    AlertChangeRecord,
    AlertNews,
    AlertPlace,
    AlertRecord,
    AlertThresholdsRecord,
)
from ledger.bindings import bind, first_effect
from ledger.port import Targets
from ledger.records import Act, Binding
from ledger.taxpayers import check_owned
from ledger.values import Row, Value, fetch, fetch_one, from_json, to_json

NO_POINT: Final = -1
_COLUMNS: Final = """
SELECT alert_id, tenant, kind, tax_number, machine_number, point, type, state, severity, message,
       message_zh, facts, limit_at, drained_at, raised_at, updated_at, acknowledged_at,
       acknowledged_by, acknowledge_reason, resolved_at
  FROM alert
"""
_STANDING = _COLUMNS + "WHERE tenant = ? AND state <> 'RESOLVED' ORDER BY alert_id"
_ONE = _COLUMNS + "WHERE tenant = ? AND alert_id = ?"
_AT = (
    _COLUMNS
    + """
 WHERE tenant = ? AND kind = ? AND tax_number = ? AND machine_number = ? AND point = ? AND type = ?
   AND raised_at = ?
"""
)
_RAISE = """
INSERT INTO alert (tenant, kind, tax_number, machine_number, point, type, raised_at, state, severity,
    message, message_zh, facts, limit_at, drained_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, 'RAISED', ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING
"""
_UPDATE = """
UPDATE alert
   SET severity = ?, message = ?, message_zh = ?, facts = ?, limit_at = ?, drained_at = ?,
       updated_at = ?
 WHERE alert_id = ? AND state <> 'RESOLVED'
"""
_RESOLVE = """
UPDATE alert
   SET state = 'RESOLVED', resolved_at = ?, updated_at = ?
 WHERE alert_id = ? AND state <> 'RESOLVED'
"""
_ACKNOWLEDGE = """
UPDATE alert
   SET state = 'ACKNOWLEDGED', acknowledged_at = ?, acknowledged_by = ?, acknowledge_reason = ?,
       updated_at = ?
 WHERE alert_id = ?
"""
_CHANGE = """
INSERT INTO alert_change (alert_id, tenant, tax_number, what, at, snapshot)
VALUES (?, ?, ?, ?, ?, ?)
"""
_TOLD = "SELECT 1 FROM alert_change WHERE alert_id = ? AND what = ? AND at = ?"
_DELIVER = """
INSERT INTO webhook_delivery (target, change_number, state, created_at, next_at)
VALUES (?, ?, 'PENDING', ?, ?)
"""
_LAST = "SELECT ifnull(max(change_number), 0) FROM alert_change"
_CHANGES = """
SELECT change_number, what, at, snapshot
  FROM alert_change
 WHERE tenant = ? AND change_number > ?
"""
_ABOUT = " AND tax_number IN ('', ?)"
_THRESHOLDS = """
SELECT unuploaded_count, unuploaded_amount_fen, unuploaded_age_s, certificate_days, period_days
  FROM alert_threshold
 WHERE tax_number = ?
"""
_ALL_THRESHOLDS = """
SELECT tax_number, unuploaded_count, unuploaded_amount_fen, unuploaded_age_s, certificate_days,
       period_days
  FROM alert_threshold
"""
_SET_THRESHOLDS = """
INSERT OR REPLACE INTO alert_threshold (tax_number, unuploaded_count, unuploaded_amount_fen,
    unuploaded_age_s, certificate_days, period_days)
VALUES (?, ?, ?, ?, ?, ?)
"""


def standing(connection: apsw.Connection, tenant: str) -> list[AlertRecord]:
    """Return the alerts that are not resolved, in the order they were raised."""
    return list(map(_record, fetch(connection, _STANDING, (tenant,))))


def store(
    connection: apsw.Connection, tenant: str, news: Sequence[AlertNews], targets: Targets
) -> list[AlertChangeRecord]:
    """Store what became of alerts; see ``port.Ledger.store_alerts``."""
    stored = []
    for one in news:
        change = _store(connection, tenant, one)
        if change is not None:
            _deliver(connection, change, targets)
            stored.append(change)
    return stored


def _store(connection: apsw.Connection, tenant: str, news: AlertNews) -> AlertChangeRecord | None:
    """Store one; None when it was stored before, or nothing stands there to be changed."""
    name: tuple[Value, ...] = (tenant, *_columns(news.place), news.raised_at)
    shown = (
        news.severity,
        news.message,
        news.message_zh,
        to_json(dict(news.facts)),
        news.limit_at,
        news.drained_at,
    )
    if news.what == "RAISED":
        connection.execute(_RAISE, (*name, *shown, news.at))
        if not connection.changes():
            return None
    rows = fetch(connection, _AT, name)
    if not rows:
        return None
    alert = _record(rows[0])
    # Before it is written: an insert that is ignored uses a number up, and an update that was told
    # must not undo what came after it.
    if fetch(connection, _TOLD, (alert.alert_id, news.what, news.at)):
        return None
    if news.what == "UPDATED":
        connection.execute(_UPDATE, (*shown, news.at, alert.alert_id))
    elif news.what == "RESOLVED":
        connection.execute(_RESOLVE, (news.at, news.at, alert.alert_id))
    if not connection.changes():
        return None
    return _change(connection, tenant, alert.alert_id, news.what, news.at)


def _change(
    connection: apsw.Connection, tenant: str, alert_id: int, what: str, at: float
) -> AlertChangeRecord:
    alert = alert_of(connection, tenant, alert_id)
    values = (alert_id, tenant, alert.place.tax_number, what, at, to_json(_snapshot(alert)))
    connection.execute(_CHANGE, values)
    number = connection.last_insert_rowid()
    return AlertChangeRecord(change_number=number, what=what, at=at, alert=alert)


def _deliver(connection: apsw.Connection, change: AlertChangeRecord, targets: Targets) -> None:
    for target in targets(change):
        connection.execute(_DELIVER, (target, change.change_number, change.at, change.at))


def alert_of(connection: apsw.Connection, tenant: str, alert_id: int) -> AlertRecord:
    """Return an alert; raise :class:`AlertNotFound`."""
    rows = fetch(connection, _ONE, (tenant, alert_id))
    if not rows:
        raise AlertNotFound(f"alerts/{alert_id}")
    return _record(rows[0])


def acknowledge(
    connection: apsw.Connection, alert_id: int, binding: Binding, act: Act, targets: Targets
) -> tuple[AlertRecord, bool]:
    """Note who looks after an alert; see ``port.Ledger.acknowledge_alert``."""
    if first_effect(connection, binding) is not None:
        return alert_of(connection, binding.tenant, alert_id), True
    alert = alert_of(connection, binding.tenant, alert_id)
    if alert.state != "RAISED":
        raise AlertNotOpen(f"alerts/{alert_id}", state=alert.state)
    connection.execute(_ACKNOWLEDGE, (act.at, act.actor, act.reason, act.at, alert_id))
    change = _change(connection, binding.tenant, alert_id, "ACKNOWLEDGED", act.at)
    _deliver(connection, change, targets)
    bind(connection, binding, act, target=f"alerts/{alert_id}", effect={"alert_id": alert_id})
    return alert_of(connection, binding.tenant, alert_id), False


def listed(
    connection: apsw.Connection,
    tenant: str,
    *,
    tax_number: str,
    kind: str,
    standing_only: bool,
    before: int,
    count_max: int,
) -> list[AlertRecord]:
    """Return alerts, those raised last first; see ``port.Ledger.alerts``."""
    statement = _COLUMNS + "WHERE tenant = ? AND alert_id < ?"
    values: list[Value] = [tenant, before]
    if tax_number:
        check_owned(connection, tenant, tax_number)
        statement += _ABOUT
        values.append(tax_number)
    if kind:
        statement += " AND kind = ?"
        values.append(kind)
    if standing_only:
        statement += " AND state <> 'RESOLVED'"
    values.append(count_max)
    statement += " ORDER BY alert_id DESC LIMIT ?"
    return list(map(_record, fetch(connection, statement, values)))


def snapshot(
    connection: apsw.Connection, tenant: str, tax_number: str
) -> tuple[list[AlertRecord], int]:
    """Return what stands, and the number of the last change: both as of one moment."""
    found = standing(connection, tenant)
    if tax_number:
        found = [one for one in found if one.place.tax_number in ("", tax_number)]
    return found, last_change(connection)


def last_change(connection: apsw.Connection) -> int:
    """Return the number of the last change; 0 before the first."""
    return int(fetch_one(connection, _LAST))


def changes(
    connection: apsw.Connection, tenant: str, tax_number: str, after: int, count_max: int
) -> tuple[list[AlertChangeRecord], int]:
    """Return the changes behind ``after``; see ``port.Ledger.alert_changes``."""
    statement = _CHANGES
    asked: list[Value] = [tenant, after]
    if tax_number:
        statement += _ABOUT
        asked.append(tax_number)
    rows = fetch(connection, statement + " ORDER BY change_number LIMIT ?", (*asked, count_max))
    found = [change_of(*row) for row in rows]
    full = len(found) == count_max
    return found, found[-1].change_number if full else max(after, last_change(connection))


def thresholds(connection: apsw.Connection, tenant: str, tax_number: str) -> AlertThresholdsRecord:
    """Return what was set for a taxpayer; raise ``TaxpayerNotFound``."""
    check_owned(connection, tenant, tax_number)
    rows = fetch(connection, _THRESHOLDS, (tax_number,))
    return _thresholds(rows[0]) if rows else AlertThresholdsRecord()


def all_thresholds(connection: apsw.Connection) -> dict[str, AlertThresholdsRecord]:
    """Return what was set, by tax number."""
    return {row[0]: _thresholds(row[1:]) for row in fetch(connection, _ALL_THRESHOLDS)}


def set_thresholds(
    connection: apsw.Connection,
    tax_number: str,
    wanted: AlertThresholdsRecord,
    binding: Binding,
    act: Act,
) -> bool:
    """Set a taxpayer's thresholds; see ``port.Ledger.set_alert_thresholds``."""
    if first_effect(connection, binding) is not None:
        return True
    check_owned(connection, binding.tenant, tax_number)
    values = asdict(wanted)
    connection.execute(_SET_THRESHOLDS, (tax_number, *values.values()))
    bind(
        connection,
        binding,
        act,
        target=f"taxpayers/{tax_number}",
        effect={"tax_number": tax_number, "alert_thresholds": values},
    )
    return False


def change_of(change_number: int, what: str, at: float, text: str) -> AlertChangeRecord:
    """Read a change as it is stored."""
    stored = from_json(text)
    stored["place"] = AlertPlace(*stored["place"])
    return AlertChangeRecord(
        change_number=change_number, what=what, at=at, alert=AlertRecord(**stored)
    )


def _thresholds(row: Row) -> AlertThresholdsRecord:
    names = (field.name for field in fields(AlertThresholdsRecord))
    return AlertThresholdsRecord(**dict(zip(names, row, strict=True)))


def _snapshot(alert: AlertRecord) -> dict[str, Any]:
    return {**asdict(alert), "place": list(alert.place), "facts": dict(alert.facts)}


def _columns(place: AlertPlace) -> tuple[Value, ...]:
    point = NO_POINT if place.point is None else place.point
    return (place.kind, place.tax_number, place.machine_number, point, place.type)


def _record(row: Row) -> AlertRecord:
    return AlertRecord(
        alert_id=row[0],
        tenant=row[1],
        place=AlertPlace(
            kind=row[2],
            tax_number=row[3],
            machine_number=row[4],
            point=None if row[5] == NO_POINT else row[5],
            type=row[6],
        ),
        state=row[7],
        severity=row[8],
        message=row[9],
        message_zh=row[10],
        facts=from_json(row[11]),
        limit_at=row[12],
        drained_at=row[13],
        raised_at=row[14],
        updated_at=row[15],
        acknowledged_at=row[16],
        acknowledged_by=row[17],
        acknowledge_reason=row[18],
        resolved_at=row[19],
    )
