"""How long issuing may go on without the authority (离线): what is used of each limit, and when it stops.

Rules of this file. Everything is per taxpayer, device and invoice type. There is one time in it, the
issue time the invoice would get, which never runs backwards: the clock passed in, moved on where it is
behind. Un-uploaded is what has a number and no final answer of the authority.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from typing import Final

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
from quota.period import SUMMARY_AGE_S_MAX, end_of, lock_time, start_of_month

_SHANGHAI: Final = timezone(timedelta(hours=8))
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_WHOLE_PPM: Final = 1_000_000
_WARN_PPM: Final = 700_000
_RESTRICT_PPM: Final = 900_000


class Grade(IntEnum):
    """How near something is to the point where issuing stops."""

    OK = 1
    WARN = 2
    RESTRICT = 3
    STOP = 4


class Limit(StrEnum):
    """What issuing can run into. Times are in seconds, AMOUNT in fen."""

    AGE = "AGE"
    COUNT = "COUNT"
    AMOUNT = "AMOUNT"
    LOCK_DAY = "LOCK_DAY"
    PERIOD = "PERIOD"
    SUMMARY_AGE = "SUMMARY_AGE"


_REASONS: Final[dict[Limit, type[InvoiceError]]] = {
    Limit.AGE: OfflineAgeExceeded,
    Limit.COUNT: OfflineCountExceeded,
    Limit.AMOUNT: OfflineAmountExceeded,
    Limit.LOCK_DAY: OfflineLockDay,
    Limit.PERIOD: PeriodNotSummarised,
    Limit.SUMMARY_AGE: DeviceLocked,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineLimits:
    """How long issuing may go on without upload (离线限制). None is no limit; 0 is a limit."""

    age_hours_max: int | None = None
    amount_fen_max: int | None = None
    count_max: int | None = None
    lock_day: int | None = None

    def lowered(self, other: "OfflineLimits") -> "OfflineLimits":
        """The lower of each two."""
        return OfflineLimits(
            age_hours_max=_lower(self.age_hours_max, other.age_hours_max),
            amount_fen_max=_lower(self.amount_fen_max, other.amount_fen_max),
            count_max=_lower(self.count_max, other.count_max),
            lock_day=_lower(self.lock_day, other.lock_day),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterState:
    """What one meter has un-uploaded, and where its device stands in its months.

    ``oldest_issue_time`` is 0 when nothing is un-uploaded. ``open_period`` is the first month that is
    not summarised, ``summarised_at`` when the one before it was, or when the device was registered.
    """

    unuploaded_count: int
    unuploaded_amount_fen: int
    oldest_issue_time: int
    open_period: str
    summarised_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """How much of one limit is used. ``limit_at``: when the time that runs is over, None else."""

    limit: Limit
    most: int
    used: int
    limit_at: float | None = None

    @property
    def left(self) -> int:
        """What is left; 0 at the limit."""
        return max(0, self.most - self.used)

    @property
    def used_ppm(self) -> int:
        """The part that is used; 1,000,000 and more at the limit. A limit of 0 is always reached."""
        return self.used * _WHOLE_PPM // self.most if self.most > 0 else _WHOLE_PPM

    @property
    def grade(self) -> Grade:
        """How near the limit is."""
        return grade_of(self.used_ppm)


def grade_of(used_ppm: int) -> Grade:
    """Return the grade of a part of a limit."""
    if used_ppm >= _WHOLE_PPM:
        return Grade.STOP
    if used_ppm >= _RESTRICT_PPM:
        return Grade.RESTRICT
    return Grade.WARN if used_ppm >= _WARN_PPM else Grade.OK


def uses(limits: OfflineLimits, meter: MeterState, at: float) -> tuple[LimitUse, ...]:
    """Return how much of every limit that holds is used at ``at``, in the order they are checked."""
    return tuple(_uses(limits, meter, at))


def worst(found: tuple[LimitUse, ...]) -> Grade:
    """Return the worst grade; OK without limits."""
    return max((use.grade for use in found), default=Grade.OK)


def _uses(limits: OfflineLimits, meter: MeterState, at: float) -> Iterator[LimitUse]:
    yield LimitUse(
        limit=Limit.SUMMARY_AGE,
        most=SUMMARY_AGE_S_MAX,
        used=max(0, int(at - meter.summarised_at)),
        limit_at=meter.summarised_at + SUMMARY_AGE_S_MAX,
    )
    if limits.lock_day is not None and (over_at := end_of(meter.open_period)) <= at:
        stops_at = lock_time(meter.open_period, limits.lock_day)
        most, used = stops_at - over_at, int(at - over_at)
        if 0 < meter.oldest_issue_time < start_of_month(at):
            yield LimitUse(limit=Limit.LOCK_DAY, most=most, used=used, limit_at=stops_at)
        yield LimitUse(limit=Limit.PERIOD, most=most, used=used, limit_at=stops_at)
    if limits.age_hours_max is not None and meter.unuploaded_count:
        most = limits.age_hours_max * _HOUR_S
        yield LimitUse(
            limit=Limit.AGE,
            most=most,
            used=max(0, int(at - meter.oldest_issue_time)),
            limit_at=meter.oldest_issue_time + most,
        )
    if limits.count_max is not None:
        yield LimitUse(limit=Limit.COUNT, most=limits.count_max, used=meter.unuploaded_count)
    if limits.amount_fen_max is not None:
        yield LimitUse(
            limit=Limit.AMOUNT, most=limits.amount_fen_max, used=meter.unuploaded_amount_fen
        )


class Budget:
    """What one meter may still issue at one moment; used up item by item inside one transaction.

    ``names`` go into every refusal: taxpayer, machine number, type.
    """

    def __init__(
        self, limits: OfflineLimits, meter: MeterState, at: int, *, names: dict[str, str]
    ) -> None:
        self._limits = limits
        self._meter = meter
        self._at = at
        self._names = names
        self._count = meter.unuploaded_count
        self._amount_fen = meter.unuploaded_amount_fen
        self._closed = self._time_refusal()
        # What grows with every item is compared with where RESTRICT begins; times stand still here.
        self._time_near = next(
            (use.limit for use in uses(limits, meter, at) if use.grade >= Grade.RESTRICT), None
        )

    def refusal(self, amount_fen: int, *, bulk: bool) -> InvoiceError | None:
        """Return why an invoice of ``amount_fen`` (|net|) cannot be issued now; None when it can."""
        if self._closed is not None:
            return self._closed
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
        if bulk and (near := self._near()) is not None:
            return self._bulk(near)
        return None

    def take(self, amount_fen: int) -> None:
        """Count one that got its number."""
        self._count += 1
        self._amount_fen += amount_fen

    def _time_refusal(self) -> InvoiceError | None:
        for use in uses(self._limits, self._meter, self._at):
            if use.limit_at is None or use.grade is not Grade.STOP:
                continue
            match use.limit:
                case Limit.SUMMARY_AGE:
                    # Locked after *more* than 90 days.
                    if use.used > use.most:
                        return self._device_locked(use)
                case Limit.LOCK_DAY | Limit.PERIOD:
                    return self._lock_day(use)
                case Limit.AGE if use.most:
                    return self._no(
                        OfflineAgeExceeded,
                        limit=use.most // _HOUR_S,
                        used=use.used // _HOUR_S,
                        until=use.limit_at,
                        ends_by="UPLOAD",
                    )
        return None

    def _device_locked(self, use: LimitUse) -> InvoiceError:
        return self._no(
            DeviceLocked,
            limit=use.most // _DAY_S,
            used=use.used // _DAY_S,
            until=use.limit_at,
            ends_by="SUMMARY",
            period=self._meter.open_period,
        )

    def _lock_day(self, use: LimitUse) -> InvoiceError:
        lock_day = self._limits.lock_day
        assert lock_day is not None
        if use.limit is Limit.LOCK_DAY:
            return self._no(
                OfflineLockDay,
                limit=lock_day,
                used=self._meter.unuploaded_count,
                left=0,
                until=use.limit_at,
                ends_by="UPLOAD",
            )
        return self._no(
            PeriodNotSummarised,
            limit=lock_day,
            used=datetime.fromtimestamp(self._at, _SHANGHAI).day,
            left=0,
            until=use.limit_at,
            ends_by="SUMMARY",
            period=self._meter.open_period,
        )

    def _near(self) -> Limit | None:
        if self._time_near is not None:
            return self._time_near
        limits = self._limits
        if limits.count_max is not None and _restricted(self._count, limits.count_max):
            return Limit.COUNT
        if limits.amount_fen_max is not None and _restricted(
            self._amount_fen, limits.amount_fen_max
        ):
            return Limit.AMOUNT
        return None

    def _bulk(self, near: Limit) -> InvoiceError:
        use = next(use for use in self.uses() if use.limit is near)
        return self._no(
            OfflineBulkRestricted,
            limit=use.most,
            used=use.used,
            until=use.limit_at,
            ends_by="SUMMARY" if near in (Limit.PERIOD, Limit.SUMMARY_AGE) else "UPLOAD",
            limit_reason=_REASONS[near].reason,
        )

    def uses(self) -> tuple[LimitUse, ...]:
        """What is used of every limit, with what was taken here."""
        now = MeterState(
            unuploaded_count=self._count,
            unuploaded_amount_fen=self._amount_fen,
            oldest_issue_time=self._meter.oldest_issue_time or self._at,
            open_period=self._meter.open_period,
            summarised_at=self._meter.summarised_at,
        )
        return uses(self._limits, now, self._at)

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
        known_left = max(0, limit - used) if left is None else left
        names = "{taxpayer}, device {machine_number}, type {type}".format(**self._names)
        return kind(
            f"{_SENTENCES[kind].format(limit=limit, used=used, left=known_left)} ({names})",
            **self._names,
            limit=limit,
            used=used,
            left=known_left,
            until="" if until is None else civil(until),
            ends_by=ends_by,
            **more,
        )


_SENTENCES: Final[dict[type[InvoiceError], str]] = {
    OfflineAgeExceeded: "an invoice has been un-uploaded for {used} h, at most {limit} h",
    OfflineCountExceeded: "{used} invoices are un-uploaded, at most {limit}",
    OfflineAmountExceeded: "{used} fen are un-uploaded, at most {limit}; {left} are left",
    OfflineLockDay: "invoices of an earlier month are un-uploaded and lock day {limit} has come",
    OfflineNotAllowed: "{used} un-uploaded; each must be accepted before the next",
    PeriodNotSummarised: "an earlier month is not summarised and lock day {limit} has come",
    DeviceLocked: "not summarised for {used} days, at most {limit}",
    OfflineBulkRestricted: "{used} of {limit} is used; the rest is kept for people who wait",
}


def civil(time: float) -> str:
    """Return a time as refusals state it: RFC 3339 in Asia/Shanghai."""
    return datetime.fromtimestamp(int(time), _SHANGHAI).isoformat()


def _restricted(used: int, most: int) -> bool:
    return used * _WHOLE_PPM >= most * _RESTRICT_PPM


def _lower(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
