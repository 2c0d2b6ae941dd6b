"""From what the ledger holds to what an operator sees: grades, and when things will run out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from gateway.desk.survey import (
    DeviceLine,
    LimitOutlook,
    MeterLine,
    StockLine,
    StockThreshold,
    TaxpayerLine,
)
from gateway.desk.trends import Slope, Trends
from gateway.upload.control import in_force
from gateway.upload.status import UploadStatus
from ledger.records import MeterRecord
from ledger.survey_records import DeviceReading, ShelfRecord, TaxpayerReading, ThresholdRecord
from quota.offline import Grade, Limit, LimitUse, OfflineLimits, uses, worst
from quota.period import lock_time
from stock.forecast import empty_at, last_hour_count
from stock.warning import StockLevel, level_of

_NO_SLOPE: Final = Slope(0.0, 0.0)
# Nobody plans by what is further away. A slow growth under a high limit ends after the last calendar.
_FORECAST_S_MAX: Final = 366 * 86_400.0


@dataclass(slots=True)
class Lines:
    """Makes lines. ``signs`` answers whether a key signs now; what it has parsed it keeps."""

    trends: Trends
    signs: Callable[[str], bool]
    _expiries: dict[bytes, float]

    def __init__(self, trends: Trends, signs: Callable[[str], bool]) -> None:
        self.trends = trends
        self.signs = signs
        self._expiries = {}

    def taxpayer(
        self, reading: TaxpayerReading, upload: UploadStatus | None, now: float
    ) -> TaxpayerLine:
        """One taxpayer as of ``now``."""
        stock = _stock(reading.shelves, now)
        meters = tuple(self._meter(meter, reading.limits, now) for meter in reading.meters)
        drains = [meter.drained_at for meter in meters if meter.unuploaded_count]
        drained_at = None if None in drains else max(filter(None, drains), default=None)
        return TaxpayerLine(
            tenant=reading.tenant,
            tax_number=reading.tax_number,
            name=reading.name,
            offline_limits=reading.limits,
            windows=in_force(reading.windows, reading.control.windows),
            control=reading.control,
            stock=stock,
            meters=meters,
            devices=tuple(self._device(device, reading) for device in reading.devices),
            pending_count=reading.pending_count,
            submitted_count=reading.submitted_count,
            in_doubt_count=reading.in_doubt_count,
            rejected_count=reading.rejected_count,
            signature_rejected_count=reading.signature_rejected_count,
            in_doubt_since=reading.in_doubt_since,
            upload=upload,
            grade=max(
                *(line.grade for line in stock),
                *(line.grade for line in meters),
                Grade.OK,
                Grade.OK,
            ),
            drained_at=drained_at,
        )

    def _meter(self, meter: MeterRecord, limits: OfflineLimits, now: float) -> MeterLine:
        name = meter.tax_number, meter.machine_number, meter.type
        slope = self.trends.note(name, meter.unuploaded_count, meter.unuploaded_amount_fen, now)
        found = uses(limits, meter.state, meter.issue_time(now))
        return MeterLine(
            machine_number=meter.machine_number,
            type=meter.type,
            unuploaded_count=meter.unuploaded_count,
            unuploaded_amount_fen=meter.unuploaded_amount_fen,
            oldest_issue_time=meter.oldest_issue_time,
            last_issue_time=meter.last_issue_time,
            open_period=meter.open_period,
            limits=tuple(
                LimitOutlook(use=use, reached_at=_reached_at(use, slope or _NO_SLOPE, now))
                for use in found
            ),
            grade=worst(found),
            drained_at=_drained_at(meter.unuploaded_count, slope, now),
        )

    def _device(self, device: DeviceReading, reading: TaxpayerReading) -> DeviceLine:
        open_period = min(
            (
                meter.open_period
                for meter in reading.meters
                if meter.machine_number == device.machine_number and meter.open_period
            ),
            default="",
        )
        lock_day = reading.limits.lock_day
        return DeviceLine(
            machine_number=device.machine_number,
            key_id=device.key_id,
            certificate_ends_at=self._ends_at(device),
            signs=bool(device.key_id) and self.signs(device.key_id),
            open_period=open_period,
            lock_at=lock_time(open_period, lock_day)
            if open_period and lock_day is not None
            else None,
        )

    def _ends_at(self, device: DeviceReading) -> float:
        known = self._expiries.get(device.certificate)
        if known is None:
            known = self._expiries[device.certificate] = _ends_at(device.certificate)
        return known


def _ends_at(certificate: bytes) -> float:
    """When a certificate ends; 0 when it cannot be read: one broken one must not blind the desk."""
    try:
        return x509.load_der_x509_certificate(certificate).not_valid_after_utc.timestamp()
    except ValueError:
        return 0.0


def _reached_at(use: LimitUse, slope: Slope, now: float) -> float | None:
    """When a limit is reached as things go; None when it is not within a year."""
    if use.grade is Grade.STOP:
        return now if use.limit_at is None else use.limit_at
    growth = {Limit.COUNT: slope.count_per_s, Limit.AMOUNT: slope.fen_per_s}.get(use.limit)
    if growth is None:
        return _near(use.limit_at, now)
    return _near(now + use.left / growth, now) if growth > 0 else None


def _drained_at(count: int, slope: Slope | None, now: float) -> float | None:
    if not count or slope is None or slope.count_per_s >= 0:
        return None
    return _near(now + count / -slope.count_per_s, now)


def _near(at: float | None, now: float) -> float | None:
    return None if at is None or at - now > _FORECAST_S_MAX else at


def _stock(shelves: Iterable[ShelfRecord], now: float) -> tuple[StockLine, ...]:
    at_points = [_line(shelf, now) for shelf in shelves if shelf.place.point is not None]
    wanted = {line.type for line in at_points if line.grade > Grade.OK}
    pool = [
        _pool_line(shelf, wanted=shelf.place.type in wanted)
        for shelf in shelves
        if shelf.place.point is None
    ]
    return (*pool, *at_points)


def _line(shelf: ShelfRecord, now: float) -> StockLine:
    was_used = shelf.taken_count > 0
    ends_at = empty_at(shelf.burn, shelf.available_count, now) if was_used else None
    level = level_of(
        shelf.available_count,
        low_count=None if shelf.threshold is None else shelf.threshold.low_count,
        empty_at=ends_at,
        now=now,
        was_used=was_used,
    )
    return StockLine(
        point=shelf.place.point,
        type=shelf.place.type,
        available_count=shelf.available_count,
        expired_count=shelf.expired_count,
        threshold=_threshold(shelf.threshold),
        taken_last_hour_count=last_hour_count(shelf.burn, now),
        empty_at=ends_at,
        was_used=was_used,
        grade=Grade(level),
        issue_deadline=shelf.issue_deadline,
    )


def _threshold(record: ThresholdRecord | None) -> StockThreshold | None:
    if record is None:
        return None
    return StockThreshold(
        low_count=record.low_count,
        target_count=record.target_count,
        auto_draw=record.auto_draw,
        of_point=record.point is not None,
    )


def _pool_line(shelf: ShelfRecord, *, wanted: bool) -> StockLine:
    """The pool: nobody issues from it, so it is worth a look only when it is empty and a point is low."""
    empty = wanted and shelf.available_count == 0
    return StockLine(
        point=None,
        type=shelf.place.type,
        available_count=shelf.available_count,
        expired_count=shelf.expired_count,
        threshold=None,
        taken_last_hour_count=0,
        empty_at=None,
        was_used=False,
        grade=Grade(StockLevel.LOW if empty else StockLevel.FINE),
        issue_deadline=shelf.issue_deadline,
    )
