"""One look at everything an operator watches, on one snapshot.

Every statement here walks an index over what is there now: registrations, meters, segments with stock,
outbox rows that are not merely pending. None grows with the invoices that were ever issued, and of what
was used by the hour (:class:`Burns`) each look reads the last hours only.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import apsw

from ledger.meters import all_meters
from ledger.records import MeterRecord, UploadControlRecord
from ledger.survey_records import (
    CounterPlace,
    DeviceReading,
    ShelfRecord,
    SurveyReading,
    TaxpayerReading,
    ThresholdRecord,
)
from ledger.upload_control import controls, windows_of
from ledger.values import Row, fetch, from_json
from quota.offline import OfflineLimits
from quota.period import day_of
from stock.forecast import HOUR_S, KEPT_HOUR_COUNT, NO_HOURS, Burn, Hours

_TAXPAYERS = """
SELECT t.tenant, t.tax_number, t.name, t.age_hours_max, t.amount_fen_max, t.count_max, t.lock_day,
       c.age_hours_max, c.amount_fen_max, c.count_max, c.lock_day, t.windows
  FROM taxpayer AS t
  LEFT JOIN offline_control AS c ON c.tax_number = t.tax_number
 ORDER BY t.tax_number
"""
_DEVICES = """
SELECT d.tax_number, d.machine_number, k.key_id, k.certificate
  FROM device AS d
  LEFT JOIN device_key AS k
    ON k.tax_number = d.tax_number AND k.machine_number = d.machine_number AND k.active = 1
 ORDER BY d.tax_number, d.machine_number
"""
_SHELVES = """
SELECT s.tax_number, s.point, s.type,
       s.first + s.count - s.returning_count - s.returned_count - s.next, g.issue_deadline
  FROM segment AS s INDEXED BY segment_available
  JOIN stock_grant AS g ON g.grant_number = s.grant_number
 WHERE s.next < s.first + s.count - s.returning_count - s.returned_count
"""
FRESH: Final = """
SELECT tax_number, point, type, sum(next - ifnull(sampled_next, first))
  FROM segment INDEXED BY segment_unsampled
 WHERE next > ifnull(sampled_next, first) AND point IS NOT NULL
 GROUP BY tax_number, point, type
"""
"""What was taken since it was counted last."""
_COUNTERS = "SELECT tax_number, point, type, taken_count, first_hour FROM stock_counter"
# Streams through the primary key; JSON, since a row for each hour costs ten times as much to fetch.
_BURNS = """
SELECT tax_number, point, type, json_group_array(hour), json_group_array(taken_count)
  FROM burn
 WHERE hour BETWEEN ? AND ?
 GROUP BY tax_number, point, type
"""
_LATE_BURNS = """
SELECT tax_number, point, type, hour, taken_count
  FROM burn INDEXED BY burn_hour
 WHERE hour BETWEEN ? AND ?
"""
_THRESHOLDS = """
SELECT tax_number, point, type, low_count, target_count, auto_draw FROM stock_threshold
"""
# By state: an index on the state alone leaves out what merely waits.
_STATES = """
SELECT tax_number, state, count(*)
  FROM outbox INDEXED BY outbox_under_way
 WHERE state IN ('PREPARED', 'SUBMITTED', 'IN_DOUBT', 'REJECTED', 'SIGNATURE_REJECTED')
 GROUP BY tax_number, state
"""
_IN_DOUBT = """
SELECT tax_number, min(created_at)
  FROM submission
 WHERE state = 'IN_DOUBT'
 GROUP BY tax_number
"""
ALL_POINTS: Final = -1
"""The ``point`` of a threshold that holds for every point without one of its own."""

_Place = tuple[str, int, str]


class Burns:
    """What was taken by the hour, kept from one look to the next: hours that are over change no more.

    Used by one thread. What it has handed out it never changes.
    """

    def __init__(self) -> None:
        self._hours: dict[_Place, Hours] = {}
        self._hour: int | None = None

    def read(self, connection: apsw.Connection, now: float) -> Mapping[_Place, Hours]:
        """Bring it up to ``now`` from the snapshot that is open, and return it."""
        hour = int(now // HOUR_S)
        oldest = hour - KEPT_HOUR_COUNT
        if self._hour is None or not 0 <= hour - self._hour < KEPT_HOUR_COUNT:
            self._hours = {}  # the first look, or the clock was set: hours may come that are not new
            counted = _all_hours(connection, oldest, hour)
        else:
            # From the hour of the last look on: what came after it in that hour was not there then.
            counted = _late_hours(connection, self._hour - 1, hour)
        changed = counted.keys() if hour == self._hour else counted.keys() | self._hours.keys()
        for place in changed:
            known = self._hours.get(place, NO_HOURS)
            self._hours[place] = known.with_counts(oldest, hour, counted.get(place, {}))
        self._hour = hour
        return self._hours


def _all_hours(
    connection: apsw.Connection, oldest: int, newest: int
) -> Mapping[_Place, Mapping[int, int]]:
    return {
        row[:3]: dict(zip(from_json(row[3]), from_json(row[4]), strict=True))
        for row in connection.execute(_BURNS, (oldest, newest))
    }


def _late_hours(
    connection: apsw.Connection, oldest: int, newest: int
) -> Mapping[_Place, Mapping[int, int]]:
    found: defaultdict[_Place, dict[int, int]] = defaultdict(dict)
    for tax_number, point, type_code, hour, count in fetch(
        connection, _LATE_BURNS, (oldest, newest)
    ):
        found[tax_number, point, type_code][hour] = count
    return found


def survey(connection: apsw.Connection, now: float, burns: Burns) -> SurveyReading:
    """Look at everything; see ``port.Ledger.survey``."""
    shelves = _shelves(connection, now, burns.read(connection, now))
    meters = defaultdict(list)
    for meter in all_meters(connection):
        meters[meter.tax_number].append(meter)
    devices = defaultdict(list)
    for tax_number, *device in fetch(connection, _DEVICES):
        devices[tax_number].append(_device(*device))
    states: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for tax_number, state, count in fetch(connection, _STATES):
        states[tax_number][state] = count
    doubts: dict[str, float] = dict(fetch(connection, _IN_DOUBT))
    decided = controls(connection)
    return SurveyReading(
        taxpayers={
            row[1]: _taxpayer(
                row,
                devices=tuple(devices[row[1]]),
                meters=tuple(meters[row[1]]),
                shelves=tuple(shelves.get(row[1], ())),
                states=states[row[1]],
                in_doubt_since=doubts.get(row[1], 0.0),
                control=decided.get(row[1]) or UploadControlRecord(tax_number=row[1]),
            )
            for row in fetch(connection, _TAXPAYERS)
        }
    )


def _taxpayer(
    row: Row,
    *,
    devices: tuple[DeviceReading, ...],
    meters: tuple[MeterRecord, ...],
    shelves: tuple[ShelfRecord, ...],
    states: dict[str, int],
    in_doubt_since: float,
    control: UploadControlRecord,
) -> TaxpayerReading:
    submitted, in_doubt = states.get("SUBMITTED", 0), states.get("IN_DOUBT", 0)
    unuploaded = sum(meter.unuploaded_count for meter in meters)
    return TaxpayerReading(
        tenant=row[0],
        tax_number=row[1],
        name=row[2],
        limits=_limits(row[3:7]).lowered(_limits(row[7:11])),
        windows=windows_of(row[11]),
        control=control,
        devices=devices,
        meters=meters,
        shelves=shelves,
        pending_count=max(0, unuploaded - submitted - in_doubt),
        submitted_count=submitted,
        in_doubt_count=in_doubt,
        rejected_count=states.get("REJECTED", 0),
        signature_rejected_count=states.get("SIGNATURE_REJECTED", 0),
        in_doubt_since=in_doubt_since,
    )


def _limits(row: Row) -> OfflineLimits:
    return OfflineLimits(
        age_hours_max=row[0], amount_fen_max=row[1], count_max=row[2], lock_day=row[3]
    )


def _device(machine_number: str, key_id: str | None, certificate: bytes | None) -> DeviceReading:
    return DeviceReading(
        machine_number=machine_number, key_id=key_id or "", certificate=certificate or b""
    )


def _shelves(
    connection: apsw.Connection, now: float, hours: Mapping[_Place, Hours]
) -> dict[str, list[ShelfRecord]]:
    """What lies at every place that has or had stock, or has a threshold; the pool first."""
    lying: defaultdict[CounterPlace, list[tuple[int, str]]] = defaultdict(list)
    for tax_number, point, type_code, count, deadline in fetch(connection, _SHELVES):
        lying[CounterPlace(tax_number, point, type_code)].append((count, deadline))
    # What was taken a moment ago counts as well: a point that is used up shows at once.
    fresh: dict[_Place, int] = {row[:3]: row[3] for row in fetch(connection, FRESH)}
    taken = Counter(fresh)
    running, today = int(now // HOUR_S), day_of(now)
    oldest = running - KEPT_HOUR_COUNT
    first_hours = dict.fromkeys(fresh, running)
    for tax_number, point, type_code, count, first_hour in fetch(connection, _COUNTERS):
        counter = (tax_number, point, type_code)
        taken[counter] += count
        first_hours[counter] = max(first_hour, oldest)
    burns: dict[_Place, Burn] = {}
    for counter, first_hour in first_hours.items():
        counted = hours.get(counter, NO_HOURS)
        if counter in fresh:
            newest = {running: counted.get(running, 0) + fresh[counter]}
            counted = counted.with_counts(oldest, running, newest)
        burns[counter] = Burn(taken=counted, first_hour=first_hour)
    thresholds = {
        (threshold.tax_number, threshold.point, threshold.type): threshold
        for threshold in thresholds_of(connection)
    }
    places = {
        *lying,
        *(CounterPlace(*place) for place in taken),
        *(CounterPlace(*name) for name in thresholds if name[1] is not None),
    }
    found: defaultdict[str, list[ShelfRecord]] = defaultdict(list)
    for place in sorted(places, key=_order):
        lots = lying.get(place, [])
        usable = [(count, day) for count, day in lots if not day or day >= today]
        expired_count = sum(count for count, _ in lots) - sum(count for count, _ in usable)
        name = (place.tax_number, place.point or 0, place.type)
        of_point = place.point is not None
        found[place.tax_number].append(
            ShelfRecord(
                place=place,
                available_count=sum(count for count, _ in usable),
                expired_count=expired_count,
                issue_deadline=min((day for _, day in usable if day), default=""),
                taken_count=taken.get(name, 0) if of_point else 0,
                threshold=(
                    thresholds.get(place) or thresholds.get((place.tax_number, None, place.type))
                    if of_point
                    else None
                ),
                burn=burns.get(name, _NO_BURN) if of_point else _NO_BURN,
            )
        )
    return found


_NO_BURN: Final = Burn(taken=NO_HOURS, first_hour=0)


def _order(place: CounterPlace) -> tuple[str, int, str]:
    return (place.tax_number, -1 if place.point is None else place.point, place.type)


def threshold_at(connection: apsw.Connection, place: CounterPlace) -> ThresholdRecord | None:
    """Return the threshold in force at a point: its own, else its taxpayer's."""
    found = {
        threshold.point: threshold
        for threshold in thresholds_of(connection, place.tax_number)
        if threshold.type == place.type
    }
    return found.get(place.point) or found.get(None)


def thresholds_of(
    connection: apsw.Connection, tax_number: str | None = None
) -> Iterator[ThresholdRecord]:
    """Yield the thresholds that were set, of one taxpayer or of all."""
    rows: Iterable[Row] = (
        fetch(connection, _THRESHOLDS)
        if tax_number is None
        else fetch(
            connection, _THRESHOLDS + " WHERE tax_number = ? ORDER BY point, type", (tax_number,)
        )
    )
    for row in rows:
        yield ThresholdRecord(
            tax_number=row[0],
            point=None if row[1] == ALL_POINTS else row[1],
            type=row[2],
            low_count=row[3],
            target_count=row[4],
            auto_draw=bool(row[5]),
        )
