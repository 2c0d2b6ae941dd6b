"""The books of months: running totals, summaries, and where each device stands in its months.

Every total was added up again from the contents that were read anyway; every summary's figures follow
from totals and grants; and what all months leave is what is held.
"""

from collections.abc import Iterator
from typing import NamedTuple

import apsw

from invoice.content import PERIOD_TAG
from invoice.period_content import facts
from ledger.bindings import ANSWER, AUTHORITY
from ledger.books_keys import Keys
from ledger.books_tally import Tally, found
from ledger.month_totals import TotalName
from ledger.period_records import DeviceName
from ledger.records import Finding
from ledger.statistics import statistics_of
from ledger.values import fetch, from_json
from quota.period import end_of, next_period, period_of

_TOTALS = """
SELECT tax_number, machine_number, type, period, what, rate_ppm, invoice_count, net_fen, tax_fen
  FROM month_total
"""
_HELD = """
SELECT tax_number, type,
       ifnull((SELECT sum(s.first + s.count - s.returned_count - s.next)
                 FROM segment AS s
                WHERE s.tax_number = t.tax_number AND s.type = t.type), 0),
       ifnull((SELECT sum(g.count)
                 FROM stock_grant AS g
                WHERE g.tax_number = t.tax_number AND g.type = t.type
                  AND g.state = 'CONFIRMED'), 0)
       - ifnull((SELECT sum(r.count)
                   FROM stock_return AS r
                  WHERE r.tax_number = t.tax_number AND r.type = t.type
                    AND r.state = 'RETURNED'), 0)
       - ifnull((SELECT sum(m.invoice_count)
                   FROM month_total AS m
                  WHERE m.tax_number = t.tax_number AND m.type = t.type AND m.rate_ppm = -1
                    AND m.what IN ('BLUE', 'RED', 'BLANK_VOID')), 0)
  FROM taxpayer_type AS t
"""
_PERIODS = """
SELECT p.tax_number, p.machine_number, p.period, p.state, p.tenant, p.request_id,
       p.authority_request_id, p.content, p.signature, p.key_id, p.summarised_at, p.summary_serial,
       t.registered_at, (SELECT effect FROM request_id AS r
                          WHERE r.tenant = p.tenant AND r.request_id = p.request_id)
  FROM period AS p
  JOIN taxpayer AS t ON t.tax_number = p.tax_number
 ORDER BY p.tax_number, p.machine_number, p.period
"""
_ANSWERS = f"""
SELECT detail, at FROM audit WHERE actor = '{AUTHORITY}' AND action = '{ANSWER}'
"""  # noqa: S608 - constants
_METERS = """
SELECT m.tax_number, m.machine_number, m.type, m.open_period, m.summarised_at, m.issue_time_min,
       t.registered_at
  FROM meter AS m
  JOIN taxpayer AS t ON t.tax_number = m.tax_number
"""
_UNBOUND_KEYS = """
SELECT k.tax_number, k.machine_number, k.key_id
  FROM device_key AS k
  JOIN taxpayer AS t ON t.tax_number = k.tax_number
 WHERE k.activated_at IS NOT NULL AND k.activated_at <> t.registered_at
   AND NOT EXISTS (SELECT 1
                     FROM request_id AS r
                    WHERE r.action <> 'issue' AND r.effect ->> '$.key_id' = k.key_id
                      AND r.effect ->> '$.machine_number' = k.machine_number
                      AND r.effect ->> '$.activated_at' = k.activated_at)
"""


class _Period(NamedTuple):
    """A row of ``_PERIODS``; ``effect`` is what its id is bound to."""

    tax_number: str
    machine_number: str
    period: str
    state: str
    tenant: str
    request_id: str
    authority_request_id: str
    content: bytes
    signature: bytes | None
    key_id: str
    summarised_at: float | None
    summary_serial: str
    registered_at: float
    effect: str | None

    @property
    def subject(self) -> str:
        """How a finding names it."""
        device = f"taxpayers/{self.tax_number}/devices/{self.machine_number}"
        return f"{device}/periods/{self.period}"


class _Stand(NamedTuple):
    """Where a device's months stand by its summaries."""

    open_period: str
    summarised_at: float
    issue_time_min: int


def check_periods(connection: apsw.Connection, keys: Keys, tally: Tally) -> Iterator[Finding]:
    """Check totals, what is held, summaries, and the meters they moved."""
    yield from _check_totals(connection, tally)
    for tax_number, type_code, held, left in fetch(connection, _HELD):
        if held != left:
            message = f"{held} numbers are held, by all months it should be {left}"
            yield found("I2_GAPLESS", f"taxpayers/{tax_number}/types/{type_code}", message)
    stands: dict[DeviceName, _Stand] = {}
    answers = _answers(connection)
    for row in fetch(connection, _PERIODS):
        stored = _Period(*row)
        for check, message in _period(connection, stored, keys, stands):
            yield found(check, stored.subject, message)
        told = answers.pop(stored.authority_request_id, [])
        due = [(stored.summary_serial, stored.summarised_at)] * (stored.state == "SUMMARISED")
        if told != due:
            message = f"the authority is not on record to have answered it: {stored.state}"
            yield found("I9_AUDITED", stored.subject, message)
    for authority_request_id in answers:
        yield found("I9_AUDITED", authority_request_id, "the authority answered no such summary")
    yield from _check_meters(connection, stands)
    for tax_number, machine_number, key_id in fetch(connection, _UNBOUND_KEYS):
        subject = f"taxpayers/{tax_number}/devices/{machine_number}/keys/{key_id}"
        yield found("I9_AUDITED", subject, "nobody is on record to have let it sign")


def _check_totals(connection: apsw.Connection, tally: Tally) -> Iterator[Finding]:
    due = tally.months.sums
    stored = {TotalName(*row[:6]): list(row[6:]) for row in fetch(connection, _TOTALS)}
    for name in sorted(stored.keys() | due.keys()):
        kept, right = stored.get(name, [0, 0, 0]), due.get(name, [0, 0, 0])
        if kept != right:
            message = f"count, net and tax are {kept}, they should be {right}"
            yield found("I10_MONTHS", "/".join(map(str, name)), message)


def _answers(connection: apsw.Connection) -> dict[str, list[tuple[str, float]]]:
    answers: dict[str, list[tuple[str, float]]] = {}
    for text, at in fetch(connection, _ANSWERS):
        told = from_json(text)
        if "summary" in told:
            answers.setdefault(told["summary"], []).append((told["summary_serial"], at))
    return answers


def _period(
    connection: apsw.Connection, stored: _Period, keys: Keys, stands: dict[DeviceName, _Stand]
) -> Iterator[tuple[str, str]]:
    name = DeviceName(stored.tax_number, stored.machine_number)
    first = _Stand(period_of(stored.registered_at), stored.registered_at, 0)
    before = stands.get(name, first)
    if stored.period != before.open_period:
        yield "I7_PERIODS", f"{before.open_period} was due"
    ends_at = end_of(stored.period)
    stands[name] = before._replace(issue_time_min=ends_at)
    if stored.state == "SUMMARISED":
        at = stored.summarised_at or 0.0
        stands[name] = _Stand(next_period(stored.period), at, ends_at)
    effect = from_json(stored.effect or "{}")
    if effect.get("summary") != stored.authority_request_id:
        yield "I3_EXACTLY_ONCE", f"its id {stored.request_id} is bound to something else"
    yield from _content(connection, stored, name)
    if stored.signature is not None:
        key = stored.tax_number, stored.machine_number, stored.key_id
        for fault in keys.faults(key, PERIOD_TAG, stored.content, stored.signature):
            yield "I5_SIGNED", fault


def _content(
    connection: apsw.Connection, stored: _Period, name: DeviceName
) -> Iterator[tuple[str, str]]:
    try:
        told = facts(stored.content)
    except ValueError as error:
        yield "I5_CONTENT", f"it cannot be read: {error}"
        return
    if (told.taxpayer, told.device, told.period) != (*name, stored.period):
        yield "I5_CONTENT", "content and row differ"
    if told.types != statistics_of(connection, name, stored.period):
        yield "I10_MONTHS", "its figures are not those of the month"


def _check_meters(
    connection: apsw.Connection, stands: dict[DeviceName, _Stand]
) -> Iterator[Finding]:
    for tax_number, machine_number, type_code, *told, registered_at in fetch(connection, _METERS):
        first = _Stand(period_of(registered_at), registered_at, 0)
        due = stands.get(DeviceName(tax_number, machine_number), first)
        if _Stand(*told) != due:
            subject = f"taxpayers/{tax_number}/devices/{machine_number}/types/{type_code}"
            message = f"its months stand at {tuple(told)}, they should at {tuple(due)}"
            yield found("I7_PERIODS", subject, message)
