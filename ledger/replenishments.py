"""Filling up a point by itself (自动领票): decided, carried on and closed in one transaction each."""

from typing import Final, NamedTuple

import apsw

from invoice.errors import StockExhausted
from ledger.assignments import assign
from ledger.bindings import first_effect
from ledger.grants import holding_left
from ledger.records import Act, Binding
from ledger.segments import usable_count
from ledger.survey import threshold_at
from ledger.survey_records import CounterPlace, Replenishment
from ledger.taxpayers import taxpayer_of
from ledger.values import Row, fetch, fetch_one, to_json
from quota.period import day_of

_BACKOFF_S_MIN: Final = 600.0
_BACKOFF_S_MAX: Final = 6 * 3600.0

_COLUMNS = """
SELECT replenishment_id, tenant, tax_number, point, type, wanted_count, draw_count,
       draw_request_id, assign_request_id, state, assigned_count, refusal, opened_at, retry_at
  FROM replenishment
"""
_OPEN = _COLUMNS + "WHERE state = 'OPEN' ORDER BY replenishment_id"
_ONE = _COLUMNS + "WHERE replenishment_id = ?"
_LAST = """
SELECT state, closed_at, retry_at
  FROM replenishment
 WHERE tax_number = ? AND type = ? AND point = ?
 ORDER BY replenishment_id DESC
 LIMIT 1
"""
# Of the pool, what others will take: all they want once their draw lies in it.
_PROMISED = """
SELECT ifnull(sum(r.wanted_count - iif(g.state IS 'CONFIRMED', 0, r.draw_count)), 0)
  FROM replenishment AS r
  LEFT JOIN stock_grant AS g ON g.tenant = r.tenant AND g.request_id = r.draw_request_id
 WHERE r.tax_number = ? AND r.type = ? AND r.state = 'OPEN'
"""
# Of the holding, what others will draw: their wish is not stored yet, so it is in no grant.
_ABOUT_TO_DRAW = """
SELECT ifnull(sum(r.draw_count), 0)
  FROM replenishment AS r
 WHERE r.tax_number = ? AND r.type = ? AND r.state = 'OPEN'
   AND NOT EXISTS (SELECT 1
                     FROM stock_grant AS g
                    WHERE g.tenant = r.tenant AND g.request_id = r.draw_request_id)
"""
_BEGIN = """
INSERT INTO replenishment (tenant, tax_number, point, type, wanted_count, draw_count,
    draw_request_id, assign_request_id, state, opened_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'OPEN', ?)
"""
_DONE = """
UPDATE replenishment
   SET state = 'DONE', assigned_count = ?, closed_at = ?
 WHERE replenishment_id = ? AND state = 'OPEN'
"""
_REFUSED = """
UPDATE replenishment
   SET state = 'REFUSED', refusal = ?, closed_at = ?, retry_at = ?
 WHERE replenishment_id = ? AND state = 'OPEN'
"""


class Decision(NamedTuple):
    """How many numbers a point is to get, and how many of them are to be drawn first."""

    wanted_count: int
    draw_count: int


def decide(
    connection: apsw.Connection, place: CounterPlace, *, tenant: str, now: float
) -> Decision | None:
    """Return what is to be done about a point; None when it is nothing, or nothing can be done now."""
    tax_number, point, type_code = place
    assert point is not None
    threshold = threshold_at(connection, place)
    if threshold is None or not threshold.auto_draw:
        return None
    day = day_of(now)
    left = usable_count(connection, tax_number, point, type_code, day)
    if left > threshold.low_count or not _due(connection, place, now):
        return None
    wanted = threshold.target_count - left
    name = tax_number, type_code
    promised = int(fetch_one(connection, _PROMISED, name))
    pool = max(0, usable_count(connection, tax_number, None, type_code, day) - promised)
    missing = max(0, wanted - pool)
    room = holding_left(connection, taxpayer_of(connection, tenant, tax_number), type_code)
    if room is None:
        draw_count = missing
    else:
        room -= int(fetch_one(connection, _ABOUT_TO_DRAW, name))
        draw_count = min(missing, max(0, room))
    count = min(wanted, pool + draw_count)
    return Decision(count, draw_count) if count else None


def open_replenishment(
    connection: apsw.Connection,
    place: CounterPlace,
    *,
    tenant: str,
    draw_request_id: str,
    assign_request_id: str,
    now: float,
) -> Replenishment | None:
    """Decide to fill a point up; see ``port.Ledger.open_replenishment``."""
    decided = decide(connection, place, tenant=tenant, now=now)
    if decided is None:
        return None
    values = (tenant, *place, *decided, draw_request_id, assign_request_id, now)
    connection.execute(_BEGIN, values)
    return _found(connection, connection.last_insert_rowid())


def open_replenishments(connection: apsw.Connection) -> list[Replenishment]:
    """Return what is to be carried on, oldest first."""
    return list(map(_record, fetch(connection, _OPEN)))


def finish(connection: apsw.Connection, opened: Replenishment, act: Act) -> Replenishment:
    """Assign what was drawn and what the pool has, and close; see ``port.Ledger.finish_replenishment``."""
    stored = _found(connection, opened.replenishment_id)
    if stored.state != "OPEN":
        return stored
    pool = usable_count(connection, stored.tax_number, None, stored.type, day_of(act.at))
    count = min(stored.wanted_count, pool)
    if count:
        binding = Binding(
            tenant=stored.tenant,
            request_id=stored.assign_request_id,
            action="assign_stock",
            request=to_json(
                {"point": _name(stored), "type": stored.type, "count": str(count)}
            ).encode(),
        )
        if first_effect(connection, binding) is not None:
            raise StockExhausted("this id has assigned stock before", available_count=0)
        assign(
            connection,
            tax_number=stored.tax_number,
            point=stored.point,
            type_code=stored.type,
            count=count,
            binding=binding,
            act=act,
        )
    connection.execute(_DONE, (count, act.at, stored.replenishment_id))
    return _found(connection, stored.replenishment_id)


_LAST_CLOSED: Final = _LAST.replace("point = ?", "point = ? AND state <> 'OPEN'")


def refuse(
    connection: apsw.Connection,
    opened: Replenishment,
    refusal: str,
    *,
    backs_off: bool,
    now: float,
) -> Replenishment:
    """Close without effect; see ``port.Ledger.refuse_replenishment``."""
    place = opened.tax_number, opened.type, opened.point
    before = [row for row in fetch(connection, _LAST_CLOSED, place) if row[0] == "REFUSED"]
    paused_s = before[0][2] - before[0][1] if before else 0.0
    pause_s = min(max(2 * paused_s, _BACKOFF_S_MIN), _BACKOFF_S_MAX) if backs_off else 0.0
    connection.execute(_REFUSED, (refusal, now, now + pause_s, opened.replenishment_id))
    return _found(connection, opened.replenishment_id)


def _due(connection: apsw.Connection, place: CounterPlace, now: float) -> bool:
    """Whether nothing is under way for this point, and the last refusal is long enough ago."""
    tax_number, point, type_code = place
    rows = fetch(connection, _LAST, (tax_number, type_code, point))
    if not rows:
        return True
    state, closed_at, retry_at = rows[0]
    if state == "OPEN":
        return False
    # A clock that was set back must not keep a point empty for as long.
    return retry_at is None or now >= retry_at or now < closed_at


def _found(connection: apsw.Connection, replenishment_id: int) -> Replenishment:
    return _record(fetch(connection, _ONE, (replenishment_id,))[0])


def _record(row: Row) -> Replenishment:
    return Replenishment(*row)


def _name(one: Replenishment) -> str:
    return f"taxpayers/{one.tax_number}/points/{one.point}"
