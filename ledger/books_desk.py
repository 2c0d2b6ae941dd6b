"""The books of the desk: thresholds as they were decided, numbers taken as they were counted, fills."""

from collections.abc import Iterator
from typing import Any

import apsw

from ledger.books_tally import found
from ledger.records import Finding
from ledger.values import fetch, from_json

_EFFECTS = """
SELECT r.effect
  FROM audit AS a
  JOIN request_id AS r
    ON r.tenant = a.tenant AND r.request_id = a.request_id AND r.action = a.action
 WHERE a.action = 'set_stock_threshold'
 ORDER BY a.audit_id
"""
_THRESHOLDS = """
SELECT tax_number, point, type, low_count, target_count, auto_draw FROM stock_threshold
"""
_TAKEN = """
SELECT tax_number, point, type, sum(ifnull(sampled_next, first) - first)
  FROM segment
 WHERE point IS NOT NULL
 GROUP BY tax_number, point, type
HAVING sum(ifnull(sampled_next, first) - first) > 0
"""
_AHEAD = "SELECT segment_id FROM segment WHERE sampled_next NOT BETWEEN first AND next"
_COUNTED = "SELECT tax_number, point, type, taken_count FROM stock_counter"
_BURNT = "SELECT tax_number, point, type, sum(taken_count) FROM burn GROUP BY 1, 2, 3"
_FILLS = """
SELECT f.replenishment_id, f.state, f.wanted_count, f.assigned_count, f.draw_count, g.count,
       g.tax_number IS f.tax_number AND g.type IS f.type,
       (SELECT sum(json_extract(s.value, '$.count'))
          FROM request_id AS r, json_each(r.effect, '$.segments') AS s
         WHERE r.tenant = f.tenant AND r.request_id = f.assign_request_id
           AND r.action = 'assign_stock')
  FROM replenishment AS f
  LEFT JOIN stock_grant AS g ON g.tenant = f.tenant AND g.request_id = f.draw_request_id
"""

_BY_ITSELF = """
SELECT a.request_id
  FROM audit AS a
 WHERE a.actor = 'gateway' AND a.action IN ('assign_stock', 'draw_stock')
EXCEPT
SELECT f.assign_request_id FROM replenishment AS f
EXCEPT
SELECT f.draw_request_id FROM replenishment AS f
"""

_Threshold = tuple[str, int, str]


def check_desk(connection: apsw.Connection) -> Iterator[Finding]:
    """Check what the desk decides by, and what it has set in motion."""
    yield from _check_thresholds(connection)
    yield from _check_counters(connection)
    yield from _check_fills(connection)


def _check_thresholds(connection: apsw.Connection) -> Iterator[Finding]:
    decided: dict[Any, Any] = {}
    for (text,) in fetch(connection, _EFFECTS):
        effect = from_json(text)
        said = effect["threshold"]
        name = effect["tax_number"], said["point"], said["type"]
        decided[name] = (said["low_count"], said["target_count"], int(said["auto_draw"]))
    decided = {name: values for name, values in decided.items() if values[0]}
    stored: dict[Any, Any] = {row[:3]: row[3:] for row in fetch(connection, _THRESHOLDS)}
    for name in stored.keys() | decided.keys():
        if stored.get(name) != decided.get(name):
            yield found(
                "I9_AUDITED", _subject(name), "its threshold is not the one that was decided"
            )


def _check_counters(connection: apsw.Connection) -> Iterator[Finding]:
    """Check that each number taken was counted once, and none that was not taken."""
    for (segment_id,) in fetch(connection, _AHEAD):
        yield found("I2_COUNTED", f"segments/{segment_id}", "more was counted than was taken")
    taken: dict[Any, int] = {row[:3]: row[3] for row in fetch(connection, _TAKEN)}
    counted: dict[Any, int] = {row[:3]: row[3] for row in fetch(connection, _COUNTED)}
    for place in taken.keys() | counted.keys():
        of_both = taken.get(place, 0), counted.get(place, 0)
        if of_both[0] != of_both[1]:
            message = f"{of_both[0]} numbers were taken, {of_both[1]} are counted"
            yield found("I2_COUNTED", _subject(place), message)
    for *name, count in fetch(connection, _BURNT):
        if count > counted.get(tuple(name), 0):
            message = f"{count} numbers are said to be taken by the hour, more than ever were"
            yield found("I2_COUNTED", _subject(tuple(name)), message)


def _check_fills(connection: apsw.Connection) -> Iterator[Finding]:
    """Check that what was filled up is what was assigned, and was drawn for no more than once."""
    for number, state, wanted, assigned, draw_count, drawn, same, moved in fetch(
        connection, _FILLS
    ):
        subject = f"replenishments/{number}"
        if assigned > wanted or (moved or 0) != assigned:
            message = f"{moved or 0} numbers were assigned, {assigned} of {wanted} it says"
            yield found("I3_EXACTLY_ONCE", subject, message)
        if drawn is not None and (not same or drawn > draw_count):
            yield found("I3_EXACTLY_ONCE", subject, f"its draw of {draw_count} is another")
        if state == "DONE" and draw_count and drawn is None:
            yield found("I3_EXACTLY_ONCE", subject, f"its draw of {draw_count} was never asked for")
    for (request_id,) in fetch(connection, _BY_ITSELF):
        message = "numbers were drawn or assigned by themselves, and nothing says what for"
        yield found("I3_EXACTLY_ONCE", request_id, message)


def _subject(name: _Threshold) -> str:
    tax_number, point, type_code = name
    place = "" if point < 0 else f"/points/{point}"
    return f"taxpayers/{tax_number}{place}/types/{type_code}"
