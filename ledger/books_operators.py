"""The books of operators' writes: where they put numbers, and what they decided about uploads."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import apsw

from ledger.bindings import ANSWER, AUTHORITY
from ledger.books_tally import found
from ledger.records import Finding
from ledger.values import fetch, from_json

_EFFECTS = """
SELECT r.request_id, r.effect
  FROM audit AS a
  JOIN request_id AS r
    ON r.tenant = a.tenant AND r.request_id = a.request_id AND r.action = a.action
 ORDER BY a.audit_id
"""
_ANSWERS = f"""
SELECT detail, at FROM audit WHERE actor = '{AUTHORITY}' AND action = '{ANSWER}' ORDER BY audit_id
"""  # noqa: S608 - constants
_SEGMENTS = """
SELECT segment_id, tax_number, type, point, code, first, count, next, returning_count,
       returned_count
  FROM segment
"""
_RETURNS = """
SELECT r.request_id, r.authority_request_id, r.segment_id, r.tax_number, r.type, r.first, r.count,
       r.state, r.return_serial, r.refusal, r.answered_at,
       (s.tax_number, s.type, s.first, s.next, s.count)
           IS (r.tax_number, r.type, r.first, r.first, r.count),
       s.returning_count, s.returned_count
  FROM stock_return AS r
  LEFT JOIN segment AS s ON s.segment_id = r.segment_id
"""
_CONTROLS = "SELECT tax_number, paused, paused_until, pause_reason, windows FROM upload_control"
_LIMITS = (
    "SELECT tax_number, age_hours_max, amount_fen_max, count_max, lock_day FROM offline_control"
)
_RETRIED = """
SELECT m.tax_number, count(*)
  FROM change AS c
  JOIN meter AS m ON m.meter_id = c.meter_id
 WHERE c.what IN ('RETRIED', 'VOID_RETRIED', 'BLANK_VOID_RETRIED')
 GROUP BY m.tax_number
"""

_LOWERED: Final = ("age_hours_max", "amount_fen_max", "count_max", "lock_day")
_RETURNED: Final = ("segment_id", "tax_number", "type", "first", "count")


class _Return(NamedTuple):
    """A row of ``_RETURNS``; ``same`` and what follows are of its segment."""

    request_id: str
    authority_request_id: str
    segment_id: int
    tax_number: str
    type: str
    first: int
    number_count: int
    state: str
    return_serial: str
    refusal: str
    answered_at: float | None
    same: int
    returning_count: int | None
    returned_count: int | None

    @property
    def wish(self) -> tuple[object, ...]:
        """Under which id what was to be returned."""
        whose = self.request_id, self.segment_id, self.tax_number
        return (*whose, self.type, self.first, self.number_count)

    @property
    def answers(self) -> list[tuple[object, ...]]:
        """What the record must have of it."""
        if self.state == "REQUESTED" and self.answered_at is None:
            return []
        return [(self.state, self.return_serial, self.refusal, self.answered_at)]

    @property
    def agrees(self) -> bool:
        """Whether its segment is just what is on its way, or gone."""
        tail = (self.number_count, 0) if self.state == "REQUESTED" else (0, self.number_count)
        return bool(self.same) and (self.returning_count, self.returned_count) == tail


def check_operators(connection: apsw.Connection) -> Iterator[Finding]:
    """Check where segments lie, what is returned, and what steers the uploads."""
    told = _Told(connection)
    yield from _check_segments(connection, told)
    yield from _check_returns(connection, told)
    yield from _check_controls(connection, told)
    yield from _check_limits(connection, told)
    retried: dict[str, int] = dict(fetch(connection, _RETRIED))
    for tax_number in told.retried.keys() | retried.keys():
        counts = told.retried.get(tax_number, 0), retried.get(tax_number, 0)
        if counts[0] != counts[1]:
            message = f"{counts[0]} events were to be retried, {counts[1]} were"
            yield found("I6_CHANGES", f"taxpayers/{tax_number}", message)


class _Told:
    """What the bound ids say that they did, in the order of the audit record."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.segments: dict[int, dict[str, Any]] = {}
        self.returns: dict[str, tuple[Any, ...]] = {}
        self.answers: dict[str, list[tuple[object, ...]]] = {}
        self.controls: dict[str, dict[str, Any]] = {}
        self.limits: dict[str, dict[str, int | None]] = {}
        self.retried: dict[str, int] = {}
        for request_id, text in fetch(connection, _EFFECTS):
            self._take(request_id, from_json(text))
        for text, at in fetch(connection, _ANSWERS):
            answer = from_json(text)
            if "return" not in answer:  # to a summary (books_periods)
                continue
            told = *(answer[name] for name in ("state", "return_serial", "refusal")), at
            self.answers.setdefault(answer["return"], []).append(told)

    def _take(self, request_id: str, effect: dict[str, Any]) -> None:
        for segment in effect.get("segments", ()):
            self.segments[segment["segment_id"]] = segment
        if "return" in effect:
            segment = effect["segment"]
            self.returns[effect["return"]] = request_id, *(segment[name] for name in _RETURNED)
            self.segments.setdefault(segment["segment_id"], segment)
        if "retried_count" in effect:
            tax_number, count = effect["tax_number"], effect["retried_count"]
            self.retried[tax_number] = self.retried.get(tax_number, 0) + count
        if "paused" in effect:
            names = ("paused", "paused_until", "pause_reason")
            self._control(effect).update({name: effect[name] for name in names})
        if "windows" in effect:
            self._control(effect).update(windows=effect["windows"])

        if "offline_limits" in effect:
            self.limits[effect["tax_number"]] = effect["offline_limits"]

    def _control(self, effect: dict[str, Any]) -> dict[str, Any]:
        start: dict[str, Any] = {
            "paused": False,
            "paused_until": None,
            "pause_reason": "",
            "windows": [],
        }
        return self.controls.setdefault(effect["tax_number"], start)


def _check_segments(connection: apsw.Connection, told: _Told) -> Iterator[Finding]:
    """Check that every segment lies where it was put, no larger than it was made."""
    for row in fetch(connection, _SEGMENTS):
        segment_id, tax_number, type_code, point, code, first, count, *_ = row
        made = told.segments.get(segment_id)
        if made is None:  # a grant's own part, or what is left of it
            if point is not None:
                yield _misplaced(segment_id, f"nobody has put it at point {point}")
            continue
        if (made["tax_number"], made["type"], made["code"]) != (tax_number, type_code, code):
            yield _misplaced(segment_id, "it is not what was put there")
        if made["point"] != point:
            yield _misplaced(segment_id, f"it lies at {point} and was put at {made['point']}")
        grown = not made["first"] <= first < first + count <= made["first"] + made["count"]
        if grown or (point is not None and first != made["first"]):
            yield _misplaced(segment_id, "it holds other numbers than it was made of")


def _misplaced(segment_id: int, message: str) -> Finding:
    return found("I2_GAPLESS", f"segments/{segment_id}", message)


def _check_returns(connection: apsw.Connection, told: _Told) -> Iterator[Finding]:
    """Check each return against its wish, answer and segment, and each tail against its return."""
    tails = {row[0]: row[8:] for row in fetch(connection, _SEGMENTS) if row[8] or row[9]}
    asked, answered = dict(told.returns), dict(told.answers)
    for row in fetch(connection, _RETURNS):
        stored = _Return(*row)
        request_id, segment_id = stored.request_id, stored.segment_id
        if asked.pop(stored.authority_request_id, None) != stored.wish:
            message = "a return was wished for under an unbound id, or is another"
            yield found("I3_EXACTLY_ONCE", request_id, message)
        if answered.pop(stored.authority_request_id, []) != stored.answers:
            message = f"the authority is not on record to have answered its return: {stored.state}"
            yield found("I9_AUDITED", request_id, message)
        if stored.state != "REFUSED":
            tails.pop(segment_id, None)
            if not stored.agrees:
                message = f"its return {request_id} is {stored.state} and has other numbers"
                yield _misplaced(segment_id, message)
    for segment_id in tails:
        yield _misplaced(segment_id, "some of it is on its way back, and nobody returns it")
    for request_id, *_ in asked.values():
        message = "it is bound to a return and there is none"
        yield found("I3_EXACTLY_ONCE", request_id, message)
    for authority_request_id in answered:
        message = "the authority answered a return that there is not"
        yield found("I9_AUDITED", authority_request_id, message)


def _check_controls(connection: apsw.Connection, told: _Told) -> Iterator[Finding]:
    """Check that what steers the uploads is what was decided last."""
    stored = {
        tax_number: {
            "paused": bool(paused),
            "paused_until": paused_until,
            "pause_reason": pause_reason,
            "windows": from_json(windows or "[]"),
        }
        for tax_number, paused, paused_until, pause_reason, windows in fetch(connection, _CONTROLS)
    }
    for tax_number in stored.keys() | told.controls.keys():
        if stored.get(tax_number) != told.controls.get(tax_number):
            message = "its uploads are steered otherwise than was decided"
            yield found("I9_AUDITED", f"taxpayers/{tax_number}", message)


def _check_limits(connection: apsw.Connection, told: _Told) -> Iterator[Finding]:
    """Check that the offline limits are lowered as was decided last."""
    stored = {
        tax_number: dict(zip(_LOWERED, lowered, strict=True))
        for tax_number, *lowered in fetch(connection, _LIMITS)
    }
    for tax_number in stored.keys() | told.limits.keys():
        if stored.get(tax_number) != told.limits.get(tax_number):
            message = "its offline limits are lowered otherwise than was decided"
            yield found("I9_AUDITED", f"taxpayers/{tax_number}", message)
