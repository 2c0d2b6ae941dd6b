"""What one meter may still issue at one moment, used up item by item inside one transaction.

What stands against an invoice is looked at in one order: locked for want of a summary, lock day, month
not summarised, age, hours 0, count, amount, and last, of BULK alone, that little is left.
"""

from typing import Final, NamedTuple

from invoice.errors import (
    DeviceLocked,
    InvoiceError,
    OfflineAgeExceeded,
    OfflineAmountExceeded,
    OfflineBulkRestricted,
    OfflineCountExceeded,
    OfflineLockDay,
    OfflineNotAllowed,
    PeriodNotSummarised,
)
from quota.offline import (
    Grade,
    Limit,
    LimitUse,
    MeterState,
    OfflineLimits,
    uses,
    within_times,
)
from quota.period import civil, day_of

_HOUR_S: Final = 3600
_DAY_S: Final = 86_400

_REASONS: Final[dict[Limit, type[InvoiceError]]] = {
    Limit.AGE: OfflineAgeExceeded,
    Limit.COUNT: OfflineCountExceeded,
    Limit.AMOUNT: OfflineAmountExceeded,
    Limit.LOCK_DAY: OfflineLockDay,
    Limit.PERIOD: PeriodNotSummarised,
    Limit.SUMMARY_AGE: DeviceLocked,
}
_SENTENCES: Final[dict[type[InvoiceError], str]] = {
    OfflineAgeExceeded: "an invoice has been un-uploaded for {used} h, at most {limit} h",
    OfflineCountExceeded: "{used} invoices are un-uploaded, at most {limit}",
    OfflineAmountExceeded: "{used} fen are un-uploaded, at most {limit}; {left} are left",
    OfflineLockDay: "invoices of an earlier month are un-uploaded and lock day {limit} has come",
    OfflineNotAllowed: "{used} un-uploaded; each must be accepted before the next",
    PeriodNotSummarised: "an earlier month is not summarised and lock day {limit} has come",
    DeviceLocked: "not summarised for more than {limit} days",
    OfflineBulkRestricted: "{used} of {limit} is used; the rest is kept for people who wait",
}


class Whose(NamedTuple):
    """The meter a budget is of, as every refusal names it."""

    taxpayer: str
    machine_number: str
    type: str


class Budget:
    """What one meter may still issue at ``at``, the issue time of everything it is asked about."""

    def __init__(self, limits: OfflineLimits, meter: MeterState, at: int, *, whose: Whose) -> None:
        self._limits = limits
        self._meter = meter
        self._at = at
        self._whose = whose
        self._count = meter.unuploaded_count
        self._amount_fen = meter.unuploaded_amount_fen
        # Times stand still here; what grows with every item is looked at with each.
        in_time = within_times(limits, meter, at)
        self._over = None if in_time else next(filter(_is_over, self._times()), None)

    def refusal(self, amount_fen: int, *, bulk: bool) -> InvoiceError | None:
        """Return why an invoice of ``amount_fen`` (|net|) cannot be issued now; None when it can."""
        if self._over is not None:
            return self._time_is_over(self._over)
        limits = self._limits
        if limits.age_hours_max == 0 and self._count:
            return self._no(OfflineNotAllowed, limit=0, used=self._count, ends_by="UPLOAD")
        if limits.count_max is not None and self._count >= limits.count_max:
            return self._no(
                OfflineCountExceeded, limit=limits.count_max, used=self._count, ends_by="UPLOAD"
            )
        most_fen = limits.amount_fen_max
        if most_fen is not None and self._amount_fen + amount_fen > most_fen:
            return self._no(
                OfflineAmountExceeded,
                limit=most_fen,
                used=self._amount_fen,
                ends_by="UPLOAD",
                wanted=amount_fen,
            )
        return self._little_left() if bulk else None

    def take(self, amount_fen: int) -> None:
        """Count one that gets its number."""
        self._count += 1
        self._amount_fen += amount_fen

    def _times(self) -> list[LimitUse]:
        found = uses(self._limits, self._meter, self._at)
        return [use for use in found if use.limit_at is not None]

    def _time_is_over(self, use: LimitUse) -> InvoiceError:
        match use.limit:
            case Limit.SUMMARY_AGE:
                return self._summary_missing(use, limit=use.most // _DAY_S, used=use.used // _DAY_S)
            case Limit.PERIOD:
                lock_day, today = self._limits.lock_day, int(day_of(self._at)[-2:])
                return self._summary_missing(use, limit=lock_day or 0, used=today)
            case Limit.LOCK_DAY:
                return self._no(
                    OfflineLockDay,
                    limit=self._limits.lock_day or 0,
                    used=self._count,
                    left=0,
                    until=use.limit_at,
                    ends_by="UPLOAD",
                )
            case _:
                return self._no(
                    OfflineAgeExceeded,
                    limit=use.most // _HOUR_S,
                    used=use.used // _HOUR_S,
                    until=use.limit_at,
                    ends_by="UPLOAD",
                )

    def _summary_missing(self, use: LimitUse, *, limit: int, used: int) -> InvoiceError:
        return self._no(
            _REASONS[use.limit],
            limit=limit,
            used=used,
            left=0,
            until=use.limit_at,
            ends_by="SUMMARY",
            period=self._meter.open_period,
        )

    def _little_left(self) -> InvoiceError | None:
        """Return why BULK has to leave the rest to others; None while there is enough."""
        count_max, most_fen = self._limits.count_max, self._limits.amount_fen_max
        near = next(filter(_near, self._times()), None)
        if near is None and count_max is not None:
            near = _near(LimitUse(limit=Limit.COUNT, most=count_max, used=self._count))
        if near is None and most_fen is not None:
            near = _near(LimitUse(limit=Limit.AMOUNT, most=most_fen, used=self._amount_fen))
        if near is None:
            return None
        return self._no(
            OfflineBulkRestricted,
            limit=near.most,
            used=near.used,
            until=near.limit_at,
            ends_by="SUMMARY" if near.limit in (Limit.PERIOD, Limit.SUMMARY_AGE) else "UPLOAD",
            limit_reason=_REASONS[near.limit].reason,
        )

    def _no(
        self,
        kind: type[InvoiceError],
        *,
        limit: int,
        used: int,
        ends_by: str,
        left: int | None = None,
        until: float | None = None,
        **more: str | int,
    ) -> InvoiceError:
        left = max(0, limit - used) if left is None else left
        taxpayer, machine_number, type_code = self._whose
        said = _SENTENCES[kind].format(limit=limit, used=used, left=left)
        return kind(
            f"{said} ({taxpayer}, device {machine_number}, type {type_code})",
            retry_s=None,
            taxpayer=taxpayer,
            machine_number=machine_number,
            type=type_code,
            limit=limit,
            used=used,
            left=left,
            until="" if until is None else civil(until),
            ends_by=ends_by,
            **more,
        )


def _is_over(use: LimitUse) -> bool:
    """Whether a time is over. Hours of 0 are no time: they ask how many there are."""
    return use.used >= use.most and (use.most > 0 or use.limit is not Limit.AGE)


def _near(use: LimitUse) -> LimitUse | None:
    return use if use.grade >= Grade.RESTRICT else None
