"""Devices and months as answers have them."""

from cryptography import x509

from gateway import convert, offline_wire
from invoice.identifiers import device_name
from invoice.period_content import TypeStatistics, facts
from ledger.period_records import DeviceStatusRecord, MonthRecord, PeriodRecord, TypeMeterRecord
from ledger.records import DeviceKeyRecord
from quota.offline import LimitUse, OfflineLimits, uses, worst
from quota.period import lock_time
from taxcontrol.admin.v1 import device_service_pb2, period_pb2


def device(
    record: DeviceStatusRecord, *, now: float, signing_available: bool
) -> device_service_pb2.DeviceStatus:
    """Write a device."""
    found = [use for meter in record.meters for use in _uses(record.limits, meter, now)]
    wire = device_service_pb2.DeviceStatus(
        name=device_name(record.tax_number, record.device.machine_number),
        machine_number=record.device.machine_number,
        kind=record.device.kind,
        keys=[_key(key) for key in sorted(record.device.keys, key=_newest_first)],
        signing_available=signing_available,
        points=record.points,
        month_issued_count=record.month_issued_count,
        unuploaded_count=sum(meter.state.unuploaded_count for meter in record.meters),
        open_period=record.open_period,
        grade=offline_wire.grade(worst(tuple(found))),
    )
    last_issue_time = max((meter.last_issue_time for meter in record.meters), default=0)
    if last_issue_time:
        wire.last_issue_time.CopyFrom(convert.timestamp(last_issue_time))
    return wire


def monitored(
    record: DeviceStatusRecord, meter: TypeMeterRecord, now: float
) -> device_service_pb2.MonitoredType:
    """Write one type of a device."""
    found = _uses(record.limits, meter, now)
    state = meter.state
    wire = device_service_pb2.MonitoredType(
        type=meter.type,
        invoice_limit_fen=meter.invoice_limit_fen,
        unuploaded_count=state.unuploaded_count,
        unuploaded_amount_fen=state.unuploaded_amount_fen,
        limits=map(offline_wire.limit_use, found),
        grade=offline_wire.grade(worst(found)),
    )
    if state.oldest_issue_time:
        wire.oldest_issue_time.CopyFrom(convert.timestamp(state.oldest_issue_time))
    return wire


def month(record: MonthRecord, *, lock_day: int | None) -> period_pb2.Period:
    """Write a month of a device, whatever its state."""
    if record.summary is not None:
        return summarised(record.summary, lock_day=lock_day)
    wire = period_pb2.Period(
        period=record.period,
        state=period_pb2.Period.STATE_OPEN,
        statistics=map(_statistics, record.statistics),
    )
    _show_lock(wire, lock_day)
    return wire


def summarised(record: PeriodRecord, *, lock_day: int | None) -> period_pb2.Period:
    """Write a month that has a summary."""
    wire = period_pb2.Period(
        period=record.period,
        state=period_pb2.Period.State.Value(f"STATE_{record.state}"),
        statistics=map(_statistics, facts(record.content).types),
        summary_serial=record.summary_serial,
        content=record.content,
        signature=record.signature or b"",
        key_id=record.key_id,
    )
    if record.summarised_at is None:
        _show_lock(wire, lock_day)
    else:
        wire.summary_time.CopyFrom(convert.timestamp(record.summarised_at))
    return wire


def _show_lock(wire: period_pb2.Period, lock_day: int | None) -> None:
    if lock_day is not None:
        wire.lock_time.CopyFrom(convert.timestamp(lock_time(wire.period, lock_day)))


def _statistics(one: TypeStatistics) -> period_pb2.PeriodStatistics:
    return period_pb2.PeriodStatistics(
        type=one.type,
        opening_count=one.opening,
        drawn_count=one.drawn,
        returned_count=one.returned,
        blue_count=one.blue,
        blue_void_count=one.blue_void,
        red_count=one.red,
        red_void_count=one.red_void,
        blank_void_count=one.blank_void,
        closing_count=one.closing,
        totals=[
            period_pb2.RateTotal(
                group=period_pb2.RateTotal.Group.Value(f"GROUP_{total.group.name}"),
                rate_ppm=total.rate_ppm,
                invoice_count=total.invoice_count,
                net_fen=total.net_fen,
                tax_fen=total.tax_fen,
            )
            for total in one.totals
        ],
    )


def _key(key: DeviceKeyRecord) -> device_service_pb2.DeviceKey:
    wire = device_service_pb2.DeviceKey(
        key_id=key.key_id,
        algorithm=key.algorithm,
        active=key.active,
        certificate=key.certificate,
    )
    try:
        ends_at = x509.load_der_x509_certificate(key.certificate).not_valid_after_utc
    except ValueError:  # garbled: shown as it is, without its end
        pass
    else:
        wire.expire_time.CopyFrom(convert.timestamp(ends_at.timestamp()))
    if key.activated_at is not None:
        wire.activate_time.CopyFrom(convert.timestamp(key.activated_at))
    return wire


def _newest_first(key: DeviceKeyRecord) -> tuple[bool, float]:
    return not key.active, -(key.activated_at or 0.0)


def _uses(limits: OfflineLimits, meter: TypeMeterRecord, now: float) -> tuple[LimitUse, ...]:
    return uses(limits, meter.state, max(int(now), meter.last_issue_time, meter.issue_time_min))
