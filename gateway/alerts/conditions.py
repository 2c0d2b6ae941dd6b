"""What is wrong, read off one survey. Pure: the survey has the time in it.

A condition *holds* from its threshold on. Somewhat below, it does not hold and is not gone either: an
alert that stands goes on standing, and none is raised. What is not here at all is gone. So a value that
swings round its threshold raises one alert and not many.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain
from typing import Final

from gateway.desk.survey import DeviceLine, LimitOutlook, MeterLine, Survey, TaxpayerLine
from ledger.alert_records import AlertPlace, AlertThresholdsRecord
from quota.offline import Grade, Limit, OfflineLimits
from quota.period import end_of


class Severity(IntEnum):
    """How bad it is."""

    WARNING = 1
    SERIOUS = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something wrong at a place. ``facts`` are the figures its sentence is made of."""

    place: AlertPlace
    severity: Severity
    holds: bool = True
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    limit_at: float | None = None
    drained_at: float | None = None


Thresholds = Mapping[str, AlertThresholdsRecord]
"""What was set, by tax number."""

NO_THRESHOLDS: Final = AlertThresholdsRecord()

_KEPT: Final = 0.85
"""From which part of its threshold on a standing alert goes on."""

_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
# What is nearer than this is worth saying whatever its size: operators need time to act.
_LEAD_S: Final = 2 * _HOUR_S
# A forecast from less than this part of a limit says more about one burst than about where things go.
_FORECAST_FROM: Final = 0.1
_SERIOUS_S: Final = _HOUR_S
_COUNT_DEFAULT: Final = 10_000
_AGE_DEFAULT_S: Final = 4 * _HOUR_S
_SHARE_DEFAULT: Final = 0.7
_AGE_SHARE_DEFAULT: Final = 0.25
_CERTIFICATE_DAYS: Final = 30
_CERTIFICATE_SERIOUS_DAYS: Final = 7
_PERIOD_DAYS: Final = 3
_SUMMARY_AGE_DAYS: Final = 10
_IN_DOUBT_S: Final = 600.0
_AWAY_S: Final = 60.0
_AWAY_SERIOUS_S: Final = 6 * _HOUR_S
# What is over in a moment by itself: each invoice where the offline hours are 0, a month at its end.
_PATIENCE_S: Final = 60.0
_PERIOD_PATIENCE_S: Final = 600.0
_SKEW_S: Final = 300.0
_SKEW_CRITICAL_S: Final = 1800.0
_CLAMP_S: Final = 5.0
# Its invoices go to the finance department, all others to the tax authority.
_FINANCE_TYPE: Final = "D01"
# So many points of one taxpayer and type have an alert each; those beyond share one.
_POINT_COUNT_MAX: Final = 50


def conditions(survey: Survey, thresholds: Thresholds) -> dict[AlertPlace, Condition]:
    """Return what is wrong, by place."""
    return {one.place: one for one in chain.from_iterable(by_steps(survey, thresholds))}


def by_steps(survey: Survey, thresholds: Thresholds) -> Iterator[list[Condition]]:
    """Yield what is wrong with one taxpayer after the other, and at last with the gateway.

    Each step looks at one taxpayer alone, so whoever takes them may pause between any two.
    """
    first = _FirstLimits()
    for line in survey.taxpayers.values():
        first.look(line)
        yield [one for look in _OF_TAXPAYER for one in look(line, thresholds, survey)]
    yield list(_of_gateway(survey, first))


def in_force(set_: AlertThresholdsRecord, limits: OfflineLimits) -> AlertThresholdsRecord:
    """Return thresholds with their defaults filled in; None stays where nothing is limited."""
    count, amount, hours = limits.count_max, limits.amount_fen_max, limits.age_hours_max
    return AlertThresholdsRecord(
        unuploaded_count=set_.unuploaded_count
        or (_COUNT_DEFAULT if count is None else max(1, int(count * _SHARE_DEFAULT))),
        unuploaded_amount_fen=set_.unuploaded_amount_fen
        or (None if amount is None else max(1, int(amount * _SHARE_DEFAULT))),
        unuploaded_age_s=set_.unuploaded_age_s
        or int(_AGE_DEFAULT_S if not hours else hours * _HOUR_S * _AGE_SHARE_DEFAULT),
        certificate_days=set_.certificate_days or _CERTIFICATE_DAYS,
        period_days=set_.period_days or _PERIOD_DAYS,
    )


# --- the gateway as a whole ---------------------------------------------------------------


@dataclass(slots=True)
class _FirstLimits:
    """When the first limit of anybody stops issuing, at each office, as things go."""

    tax: float | None = None
    finance: float | None = None

    def look(self, line: TaxpayerLine) -> None:
        """Take one taxpayer's limits into account."""
        for meter in line.meters:
            if not meter.unuploaded_count:
                continue
            for outlook in meter.limits:
                at = outlook.reached_at
                if at is None or outlook.use.limit is Limit.SUMMARY_AGE:
                    continue
                if meter.type == _FINANCE_TYPE:
                    self.finance = at if self.finance is None else min(at, self.finance)
                else:
                    self.tax = at if self.tax is None else min(at, self.tax)


def _of_gateway(survey: Survey, first: _FirstLimits) -> Iterator[Condition]:
    yield from _away(survey, survey.authority_lost_at, first.tax, office="tax", type_code="")
    yield from _away(
        survey,
        survey.finance_lost_at,
        first.finance,
        office="finance",
        type_code=_FINANCE_TYPE,
    )
    if not survey.signing_available:
        yield Condition(place=AlertPlace("HSM_UNAVAILABLE"), severity=Severity.CRITICAL)
    if not survey.ledger_writable:
        yield Condition(place=AlertPlace("LEDGER_UNWRITABLE"), severity=Severity.CRITICAL)
    yield from _clock(survey)


def _away(
    survey: Survey,
    lost_at: float | None,
    nearest: float | None,
    *,
    office: str,
    type_code: str,
) -> Iterator[Condition]:
    if lost_at is None or survey.at - lost_at < _AWAY_S:
        return
    near = nearest is not None and nearest - survey.at < _AWAY_SERIOUS_S
    yield Condition(
        place=AlertPlace("AUTHORITY_UNREACHABLE", type=type_code),
        severity=Severity.SERIOUS if near else Severity.WARNING,
        facts={"office": office, "away_s": int(survey.at - lost_at), "since": lost_at},
        limit_at=nearest,
    )


def _clock(survey: Survey) -> Iterator[Condition]:
    ahead_s = survey.clock_ahead_s or 0.0
    worst_s = max(abs(ahead_s), survey.clamped_s)
    if abs(ahead_s) < _SKEW_S * _KEPT and survey.clamped_s <= _CLAMP_S:
        return
    yield Condition(
        place=AlertPlace("CLOCK_SKEW"),
        severity=Severity.CRITICAL if worst_s > _SKEW_CRITICAL_S else Severity.SERIOUS,
        holds=abs(ahead_s) >= _SKEW_S or survey.clamped_s > _CLAMP_S,
        facts={"ahead_s": round(ahead_s), "clamped_s": round(survey.clamped_s)},
    )


# --- stock ----------------------------------------------------------------------------------


def _stock(line: TaxpayerLine, _: Thresholds, survey: Survey) -> Iterator[Condition]:
    low: dict[str, list[Condition]] = {}
    for stock in line.stock:
        if stock.point is None or not stock.was_used:
            continue
        facts: dict[str, str | int | float] = {
            "available_count": stock.available_count,
            "taken_last_hour_count": stock.taken_last_hour_count,
        }
        if stock.expired_count:
            facts["expired_count"] = stock.expired_count
        if stock.grade is Grade.STOP:
            place = AlertPlace("STOCK_EXHAUSTED", line.tax_number, "", stock.point, stock.type)
            low.setdefault(stock.type, []).append(
                Condition(place=place, severity=Severity.CRITICAL, facts=facts, limit_at=survey.at)
            )
        most = None if stock.threshold is None else stock.threshold.low_count
        if most is not None:
            facts["low_count"] = most
        lasts_s = None if stock.empty_at is None else stock.empty_at - survey.at
        nearly = (lasts_s is not None and lasts_s * _KEPT < _HOUR_S and most is None) or (
            most is not None and stock.available_count * _KEPT <= most
        )
        if stock.grade is Grade.OK and not nearly:
            continue
        low.setdefault(stock.type, []).append(
            Condition(
                place=AlertPlace("STOCK_LOW", line.tax_number, "", stock.point, stock.type),
                severity=Severity.SERIOUS if stock.grade > Grade.WARN else Severity.WARNING,
                holds=stock.grade > Grade.OK,
                facts=facts,
                limit_at=stock.empty_at,
            )
        )
    for type_code, found in low.items():
        yield from _bounded(line.tax_number, type_code, found)


def _bounded(tax_number: str, type_code: str, found: list[Condition]) -> Iterator[Condition]:
    """Each point's own while they are few; beyond that one for all others of a kind."""
    for kind in ("STOCK_EXHAUSTED", "STOCK_LOW"):
        mine = [one for one in found if one.place.kind == kind]
        yield from mine[:_POINT_COUNT_MAX]
        others = [one for one in mine[_POINT_COUNT_MAX:] if one.holds]
        if others:
            yield Condition(
                place=AlertPlace(kind, tax_number, type=type_code),
                severity=max(one.severity for one in others),
                facts={"point_count": len(others)},
                limit_at=min((one.limit_at for one in others if one.limit_at), default=None),
            )


# --- backlogs ---------------------------------------------------------------------------------


def _backlogs(line: TaxpayerLine, thresholds: Thresholds, survey: Survey) -> Iterator[Condition]:
    wanted = in_force(thresholds.get(line.tax_number, NO_THRESHOLDS), line.offline_limits)
    for meter in line.meters:
        if not meter.unuploaded_count:
            continue
        outlooks = {outlook.use.limit: outlook for outlook in meter.limits}
        age_s = survey.at - meter.oldest_issue_time
        for limit, value, threshold in (
            (Limit.COUNT, meter.unuploaded_count, wanted.unuploaded_count),
            (Limit.AMOUNT, meter.unuploaded_amount_fen, wanted.unuploaded_amount_fen),
            (Limit.AGE, age_s, wanted.unuploaded_age_s),
        ):
            found = _backlog(line, meter, outlooks.get(limit), survey.at, limit, value, threshold)
            if found is not None:
                yield found


def _backlog(  # noqa: PLR0917 - one limit, its value and its threshold
    line: TaxpayerLine,
    meter: MeterLine,
    outlook: LimitOutlook | None,
    now: float,
    limit: Limit,
    value: float,
    threshold: int | None,
) -> Condition | None:
    most = None if outlook is None else outlook.use.most
    reached_at = None if outlook is None else outlook.reached_at
    left_s = None if reached_at is None else reached_at - now
    lead_s = _LEAD_S
    if limit is Limit.AGE and most:
        lead_s = min(lead_s, most / 2)
    # The part of the limit, or of the threshold, from which on a forecast counts.
    grown = most is None or value >= most * _FORECAST_FROM
    near = left_s is not None and left_s <= lead_s and grown
    over = threshold is not None and value >= threshold
    kept = (threshold is not None and value >= threshold * _KEPT) or (
        left_s is not None and left_s * _KEPT <= lead_s and grown
    )
    if most == 0 and now - meter.oldest_issue_time < _PATIENCE_S:
        return None  # one at a time: each is un-uploaded for a moment
    if not (near or over or kept):
        return None
    serious = (left_s is not None and left_s <= _SERIOUS_S and near) or (
        outlook is not None and outlook.use.grade >= Grade.RESTRICT
    )
    facts: dict[str, str | int | float] = {
        "unuploaded_count": meter.unuploaded_count,
        "unuploaded_amount_fen": meter.unuploaded_amount_fen,
        "age_s": int(now - meter.oldest_issue_time),
    }
    if most is not None:
        facts["limit"] = most
    if threshold is not None:
        facts["threshold"] = threshold
    return Condition(
        place=AlertPlace(
            f"UNUPLOADED_{limit}", line.tax_number, meter.machine_number, None, meter.type
        ),
        severity=Severity.SERIOUS if serious else Severity.WARNING,
        holds=near or over,
        facts=facts,
        limit_at=reached_at,
        drained_at=meter.drained_at,
    )


def _limits_reached(line: TaxpayerLine, _: Thresholds, survey: Survey) -> Iterator[Condition]:
    for meter in line.meters:
        reached = [
            outlook
            for outlook in meter.limits
            if outlook.use.limit not in (Limit.PERIOD, Limit.SUMMARY_AGE)
            and outlook.use.grade >= Grade.RESTRICT
            and not _momentary(meter, outlook, survey.at)
        ]
        if not reached:
            continue
        worst = max(reached, key=lambda outlook: outlook.use.used_ppm)
        yield Condition(
            place=AlertPlace(
                "OFFLINE_LIMIT_REACHED", line.tax_number, meter.machine_number, None, meter.type
            ),
            severity=Severity.CRITICAL,
            holds=worst.use.grade is Grade.STOP,
            facts={
                "limit_name": worst.use.limit.value,
                "limit": worst.use.most,
                "used": worst.use.used,
                "unuploaded_count": meter.unuploaded_count,
            },
            limit_at=worst.reached_at,
            drained_at=meter.drained_at,
        )


def _momentary(meter: MeterLine, outlook: LimitOutlook, now: float) -> bool:
    """Whether it is over as soon as one invoice is uploaded, and has not lasted yet."""
    return outlook.use.most == 0 and (
        not meter.unuploaded_count or now - meter.oldest_issue_time < _PATIENCE_S
    )


def _uploads(line: TaxpayerLine, _: Thresholds, survey: Survey) -> Iterator[Condition]:
    refused = line.rejected_count + line.signature_rejected_count
    if refused:
        yield Condition(
            place=AlertPlace("UPLOAD_REJECTED", line.tax_number),
            severity=Severity.SERIOUS if line.signature_rejected_count else Severity.WARNING,
            facts={
                "rejected_count": line.rejected_count,
                "signature_rejected_count": line.signature_rejected_count,
            },
        )
    if line.in_doubt_since and survey.at - line.in_doubt_since >= _IN_DOUBT_S:
        yield Condition(
            place=AlertPlace("UPLOAD_IN_DOUBT", line.tax_number),
            severity=Severity.WARNING,
            facts={
                "in_doubt_count": line.in_doubt_count,
                "doubt_s": int(survey.at - line.in_doubt_since),
            },
        )


# --- devices ------------------------------------------------------------------------------------


def _devices(line: TaxpayerLine, thresholds: Thresholds, survey: Survey) -> Iterator[Condition]:
    wanted = in_force(thresholds.get(line.tax_number, NO_THRESHOLDS), line.offline_limits)
    for device in line.devices:
        place = AlertPlace("HSM_UNAVAILABLE", line.tax_number, device.machine_number)
        # Where nothing signs at all, one alert says so for all devices.
        if survey.signing_available and device.key_id and not device.signs:
            yield Condition(
                place=place, severity=Severity.CRITICAL, facts={"key_id": device.key_id}
            )
        yield from _certificate(line, device, wanted.certificate_days, survey.at)
        yield from _period(line, device, wanted.period_days, survey.at)


def _certificate(
    line: TaxpayerLine, device: DeviceLine, days: int | None, now: float
) -> Iterator[Condition]:
    assert days is not None
    left_days = (device.certificate_ends_at - now) / _DAY_S
    if left_days * _KEPT > days:
        return
    severity = Severity.WARNING
    if left_days <= 0:
        severity = Severity.CRITICAL
    elif left_days <= _CERTIFICATE_SERIOUS_DAYS:
        severity = Severity.SERIOUS
    yield Condition(
        place=AlertPlace("CERTIFICATE_EXPIRING", line.tax_number, device.machine_number),
        severity=severity,
        holds=left_days <= days,
        facts={"key_id": device.key_id, "ends_at": device.certificate_ends_at},
        limit_at=device.certificate_ends_at or None,
    )


def _period(
    line: TaxpayerLine, device: DeviceLine, days: int | None, now: float
) -> Iterator[Condition]:
    assert days is not None
    ends = [
        outlook.use.limit_at
        for meter in line.meters
        if meter.machine_number == device.machine_number
        for outlook in meter.limits
        if outlook.use.limit is Limit.SUMMARY_AGE and outlook.use.limit_at is not None
    ]
    stops_at = min(ends, default=None)
    locked_soon = stops_at is not None and stops_at - now <= _SUMMARY_AGE_DAYS * _DAY_S
    lock_at = device.lock_at
    over = bool(device.open_period) and now - end_of(device.open_period) >= _PERIOD_PATIENCE_S
    due = over and lock_at is not None and lock_at - now <= days * _DAY_S
    if not (due or locked_soon):
        return
    first = min(at for at in (lock_at if due else None, stops_at) if at is not None)
    severity = Severity.WARNING
    if first <= now:
        severity = Severity.CRITICAL
    elif first - now <= _DAY_S:
        severity = Severity.SERIOUS
    yield Condition(
        place=AlertPlace("PERIOD_DUE", line.tax_number, device.machine_number),
        severity=severity,
        facts={"period": device.open_period},
        limit_at=first,
    )


_Look = Callable[[TaxpayerLine, Thresholds, Survey], Iterator[Condition]]
_OF_TAXPAYER: Final[tuple[_Look, ...]] = (_stock, _backlogs, _limits_reached, _uploads, _devices)
