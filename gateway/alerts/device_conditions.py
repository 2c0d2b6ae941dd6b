"""What is wrong with a taxpayer's devices: their keys, certificates and months."""

from collections.abc import Iterator
from typing import Final

from gateway.alerts.condition import DAY_S, KEPT, Condition, Severity
from gateway.alerts.thresholds import Thresholds, of_taxpayer
from gateway.desk.survey import DeviceLine, Survey, TaxpayerLine
from ledger.alert_records import AlertPlace
from quota.offline import Limit
from quota.period import end_of

_CERTIFICATE_SERIOUS_DAYS: Final = 7
_SUMMARY_AGE_DAYS: Final = 10
# At its end a month is summarised by itself, in a moment.
_PERIOD_PATIENCE_S: Final = 600.0


def of_devices(line: TaxpayerLine, thresholds: Thresholds, survey: Survey) -> Iterator[Condition]:
    """HSM_UNAVAILABLE, CERTIFICATE_EXPIRING and PERIOD_DUE, of each device."""
    wanted = of_taxpayer(line, thresholds)
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
    left_days = (device.certificate_ends_at - now) / DAY_S
    if left_days * KEPT > days:
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
    locked_soon = stops_at is not None and stops_at - now <= _SUMMARY_AGE_DAYS * DAY_S
    lock_at = device.lock_at
    over = bool(device.open_period) and now - end_of(device.open_period) >= _PERIOD_PATIENCE_S
    due = over and lock_at is not None and lock_at - now <= days * DAY_S
    if not (due or locked_soon):
        return
    first = min(at for at in (lock_at if due else None, stops_at) if at is not None)
    severity = Severity.WARNING
    if first <= now:
        severity = Severity.CRITICAL
    elif first - now <= DAY_S:
        severity = Severity.SERIOUS
    yield Condition(
        place=AlertPlace("PERIOD_DUE", line.tax_number, device.machine_number),
        severity=severity,
        facts={"period": device.open_period},
        limit_at=first,
    )
