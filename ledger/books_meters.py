"""The books of meters: their counters equal the sums over what they count, and a device has one month."""

from collections.abc import Iterator
from typing import NamedTuple

import apsw

from ledger.books_tally import MeterTally, Tally, found
from ledger.records import Finding
from ledger.values import fetch
from quota.period import end_of, period_of, start_of

_METERS = """
SELECT m.meter_id, m.tax_number, m.machine_number, m.type, m.unuploaded_count,
       m.unuploaded_amount_fen, m.oldest_issue_time, m.last_issue_time, m.open_period,
       m.summarised_at, m.issue_time_min, t.registered_at
  FROM meter AS m
  JOIN taxpayer AS t ON t.tax_number = m.tax_number
 ORDER BY m.tax_number, m.machine_number, m.type
"""
# A void adds nothing to the budget.
_EVENTS = """
SELECT i.tax_number, i.machine_number, i.type, count(*), sum(abs(i.net_fen)), min(o.issue_time)
  FROM outbox AS o
  JOIN invoice AS i ON i.invoice_id = o.invoice_id
 WHERE o.event = 'ISSUE' AND o.state IN ('PENDING', 'PREPARED', 'SUBMITTED', 'IN_DOUBT')
 GROUP BY i.tax_number, i.machine_number, i.type
"""
_STRAY_EVENTS = """
SELECT o.event_id, o.tax_number
  FROM outbox AS o
  LEFT JOIN invoice AS i ON i.invoice_id = o.invoice_id AND i.tax_number = o.tax_number
 WHERE i.invoice_id IS NULL
"""
_MISCOUNTED_EVENTS = """
SELECT o.event_id, m.meter_id
  FROM outbox AS o
  JOIN invoice AS i ON i.invoice_id = o.invoice_id
  LEFT JOIN meter AS m
    ON o.event = 'ISSUE' AND m.tax_number = i.tax_number
       AND m.machine_number = i.machine_number AND m.type = i.type
 WHERE o.meter_id IS NOT m.meter_id
"""


class _Meter(NamedTuple):
    """A row of ``_METERS``."""

    meter_id: int
    tax_number: str
    machine_number: str
    type: str
    unuploaded_count: int
    unuploaded_amount_fen: int
    oldest_issue_time: int
    last_issue_time: int
    open_period: str
    summarised_at: float
    issue_time_min: int
    registered_at: float

    @property
    def name(self) -> tuple[str, str, str]:
        return self.tax_number, self.machine_number, self.type

    @property
    def device(self) -> str:
        return f"taxpayers/{self.tax_number}/devices/{self.machine_number}"

    @property
    def months(self) -> tuple[str, float, int]:
        """What all meters of a device have in common."""
        return self.open_period, self.summarised_at, self.issue_time_min


class _Events(NamedTuple):
    """What waits for its answer of one meter."""

    event_count: int = 0
    amount_fen: int = 0
    oldest_issue_time: int = 0


def check_meters(connection: apsw.Connection, tally: Tally) -> Iterator[Finding]:
    """Check every meter, and that every event has its invoice and its meter."""
    events = {(row[0], row[1], row[2]): _Events(*row[3:]) for row in fetch(connection, _EVENTS)}
    meters = [_Meter(*row) for row in fetch(connection, _METERS)]
    for meter in meters:
        yield from _counters(meter, tally.meters[meter.name], events.get(meter.name, _Events()))
    yield from _months(meters)
    for name in tally.meters.keys() - {meter.name for meter in meters}:
        yield found("I7_METERS", "/".join(name), "there are invoices and no meter")
    for event_id, tax_number in fetch(connection, _STRAY_EVENTS):
        yield found("I6_UPLOADED", f"events/{event_id}", f"there is no invoice of {tax_number}")
    for event_id, meter_id in fetch(connection, _MISCOUNTED_EVENTS):
        message = f"it counts on another meter than {meter_id or 'none'}"
        yield found("I7_METERS", f"events/{event_id}", message)


def _counters(meter: _Meter, sums: MeterTally, events: _Events) -> Iterator[Finding]:
    subject = f"{meter.device}/types/{meter.type}"
    count, count_due = meter.unuploaded_count, sums.reserved_count + events.event_count
    if count != count_due:
        yield found("I7_METERS", subject, f"un-uploaded count {count}, it should be {count_due}")
    amount, amount_due = meter.unuploaded_amount_fen, sums.reserved_amount_fen + events.amount_fen
    if amount != amount_due:
        yield found("I7_METERS", subject, f"un-uploaded {amount} fen, it should be {amount_due}")
    times = filter(None, (sums.oldest_reserved_time, events.oldest_issue_time))
    if (oldest := meter.oldest_issue_time) != (oldest_due := min(times, default=0)):
        message = f"oldest un-uploaded of {oldest}, it should be {oldest_due}"
        yield found("I7_METERS", subject, message)
    if (last := meter.last_issue_time) != sums.last_issue_time:
        yield found(
            "I8_MONOTONE", subject, f"last issue time {last}, it should be {sums.last_issue_time}"
        )


def _months(meters: list[_Meter]) -> Iterator[Finding]:
    """Check that the meters of a device stand in one month, and that it can be the one."""
    devices: dict[str, _Meter] = {}
    for meter in meters:
        first = devices.setdefault(meter.device, meter)
        if first.months != meter.months:
            message = f"types {first.type} and {meter.type} stand in different months"
            yield found("I7_METERS", meter.device, message)
    for device, meter in devices.items():
        if not _possible(meter):
            message = (
                f"first open month {meter.open_period}, nothing dated before {meter.issue_time_min},"
                f" summarised at {meter.summarised_at}: it never was so"
            )
            yield found("I7_METERS", device, message)


def _possible(meter: _Meter) -> bool:
    """Whether a device ever stands so: in its first month, or behind one that was summarised when over."""
    try:
        starts_at, over_at = start_of(meter.open_period), end_of(meter.open_period)
    except ValueError:
        return False
    first = period_of(meter.registered_at)
    if meter.open_period == first:
        return meter.summarised_at == meter.registered_at and meter.issue_time_min in (0, over_at)
    later = meter.open_period > first and meter.summarised_at >= starts_at
    return later and meter.issue_time_min in (starts_at, over_at)
