"""How long issuing may go on without the authority (离线): what is used of each limit, and when it stops.

Rules of this file. Everything is per taxpayer, device and invoice type. There is one time in it, the
issue time the invoice would get, which never runs backwards: the clock passed in, moved on where it is
behind. Un-uploaded is what has a number and no final answer of the authority.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from math import ceil
from typing import Final

from quota.period import SUMMARY_AGE_S_MAX, end_of, lock_time, start_of_month

_HOUR_S: Final = 3600
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


NO_LIMITS: Final = OfflineLimits()


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


def within_times(limits: OfflineLimits, meter: MeterState, at: float) -> bool:
    """Whether no time is over at ``at``, nor a month that a lock day may close.

    True says that no use of a time stops; each group of invoices asks, and nearly always that is all.
    """
    hours = limits.age_hours_max
    return (
        at - meter.summarised_at <= SUMMARY_AGE_S_MAX
        and (limits.lock_day is None or at < end_of(meter.open_period))
        and (
            hours is None
            or not meter.unuploaded_count
            or at - meter.oldest_issue_time < hours * _HOUR_S
        )
    )


def worst(found: Iterable[LimitUse]) -> Grade:
    """Return the worst grade; OK without limits."""
    return max((use.grade for use in found), default=Grade.OK)


def _uses(limits: OfflineLimits, meter: MeterState, at: float) -> Iterator[LimitUse]:
    # Locked after *more* than 90 days, so the first second too many is the limit.
    yield LimitUse(
        limit=Limit.SUMMARY_AGE,
        most=SUMMARY_AGE_S_MAX + 1,
        used=max(0, ceil(at - meter.summarised_at)),
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


def _lower(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
