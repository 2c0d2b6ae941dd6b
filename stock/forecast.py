"""How fast a point uses its stock, and when it will be empty.

Numbers are counted by the hour (unix seconds divided by 3600). What an hour to come will take is the
average of the same hour on like days of the week before, working days apart from weekends, scaled by how
much busier or quieter the last hours were than theirs. Without such a day it is the recent rate.
"""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

HOUR_S: Final = 3600
KEPT_HOUR_COUNT: Final = 8 * 24
"""So many hours are worth keeping: a week to compare with, and a day to compare."""

_DAY_HOURS: Final = 24
_REFERENCE_DAYS: Final = 7
_LEVEL_HOURS: Final = 3
# So many numbers the level starts from: a handful more or less in a quiet hour is no trend.
_LEVEL_DAMPING: Final = 10.0
_LEVEL_MIN: Final = 0.25
_LEVEL_MAX: Final = 4.0
# A rate is not told from less than this, or from the time in which so few were taken.
_BRIEF_HOURS: Final = 0.25
_BRIEF_COUNT: Final = 2.5
# Unsigned and four bytes wide: more than there are numbers of a type.
_COUNT: Final = "I"
_COUNT_SIZE: Final = array(_COUNT).itemsize
_COUNT_MAX: Final = 2**32 - 1
# Hours of the epoch are hours of UTC; Shanghai is 8 ahead, and 1970-01-01 was a Thursday.
_SHANGHAI_HOURS: Final = 8
_THURSDAY: Final = 3
_SATURDAY: Final = 5


class Hours:
    """Counts by hour in four bytes each, since there are as many as hours are kept for every point.

    ``counts[0]`` is that of ``first_hour``; hours outside have none.
    """

    __slots__ = ("_counts", "_first_hour")

    def __init__(self, first_hour: int, counts: "array[int]") -> None:
        self._first_hour = first_hour
        self._counts = counts

    def get(self, hour: int, default: int, /) -> int:
        """Return the count of an hour, ``default`` where there is none."""
        at = hour - self._first_hour
        return self._counts[at] or default if 0 <= at < len(self._counts) else default

    def items(self) -> Iterator[tuple[int, int]]:
        """Yield the hours that have any, with their counts."""
        return ((at, count) for at, count in enumerate(self._counts, self._first_hour) if count)

    def with_counts(self, oldest: int, newest: int, counted: Mapping[int, int]) -> "Hours":
        """The same from ``oldest`` to ``newest``, with other counts where ``counted`` has them."""
        counts = array(_COUNT, bytes((newest - oldest + 1) * _COUNT_SIZE))
        begin = max(oldest, self._first_hour)
        kept = self._counts[begin - self._first_hour : newest + 1 - self._first_hour]
        if begin <= newest:
            counts[begin - oldest : begin - oldest + len(kept)] = kept
        for hour, count in counted.items():
            if oldest <= hour <= newest:
                counts[hour - oldest] = min(count, _COUNT_MAX)
        return Hours(oldest, counts)


NO_HOURS: Final = Hours(0, array(_COUNT))


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """Numbers a point took of one type: by hour, and since when they were counted.

    ``taken`` has the hours in which any was taken, the running one included; hours from ``first_hour`` on
    that are missing took none.
    """

    taken: Hours | Mapping[int, int]
    first_hour: int


def last_hour_count(burn: Burn, now: float) -> int:
    """Return how many numbers the hour up to ``now`` took, about: of the hour before its share."""
    hour, left = _hour(now)
    return round(burn.taken.get(hour, 0) + burn.taken.get(hour - 1, 0) * left)


def empty_at(burn: Burn, available_count: int, now: float) -> float | None:
    """Return when ``available_count`` numbers will be used up; None when not within a week."""
    if available_count <= 0:
        return now
    hour, left = _hour(now)
    level, recent = _level(burn, hour, left), _recent(burn, hour, left)
    days = _like_days(burn, hour)
    rest = float(available_count)
    for ahead in range(_REFERENCE_DAYS * _DAY_HOURS):
        share = left if ahead == 0 else 1.0
        expected = days[_weekend(hour + ahead)][(hour + ahead) % _DAY_HOURS]
        taken = (recent if expected is None else expected * level) * share
        if taken >= rest:
            begins_at = now if ahead == 0 else (hour + ahead) * HOUR_S
            return begins_at + share * HOUR_S * rest / taken
        rest -= taken
    return None


def _hour(now: float) -> tuple[int, float]:
    """The running hour, and the share of it that is left."""
    hour = int(now // HOUR_S)
    return hour, 1 - (now - hour * HOUR_S) / HOUR_S


def _like_days(burn: Burn, running: int) -> tuple[list[float | None], list[float | None]]:
    """What each hour of a working day and of a weekend took on average; None: none was counted whole."""
    sums = [0] * (2 * _DAY_HOURS)
    counts = [0] * (2 * _DAY_HOURS)
    hour, get = max(burn.first_hour, running - _REFERENCE_DAYS * _DAY_HOURS), burn.taken.get
    while hour < running:
        # A day of Shanghai at a time: all of it is a working day, or none.
        day_ends = min(running, hour + _DAY_HOURS - (hour + _SHANGHAI_HOURS) % _DAY_HOURS)
        offset = _DAY_HOURS if _weekend(hour) else 0
        for one in range(hour, day_ends):
            at = offset + one % _DAY_HOURS
            sums[at] += get(one, 0)
            counts[at] += 1
        hour = day_ends
    average = [taken / count if count else None for taken, count in zip(sums, counts, strict=True)]
    return average[:_DAY_HOURS], average[_DAY_HOURS:]


def _expected(burn: Burn, hour: int) -> float | None:
    """What the like hours of the week before took on average; None when none was counted whole."""
    like = [
        burn.taken.get(earlier, 0)
        for days in range(1, _REFERENCE_DAYS + 1)
        if (earlier := hour - days * _DAY_HOURS) >= burn.first_hour
        and _weekend(earlier) == _weekend(hour)
    ]
    if not like:
        return None
    return sum(like) / len(like)


def _level(burn: Burn, hour: int, left: float) -> float:
    """How much busier the last hours were than like ones: 1 is as busy."""
    taken = expected = _LEVEL_DAMPING
    for back in range(_LEVEL_HOURS + 1):
        share = 1 - left if back == 0 else 1.0
        like = _expected(burn, hour - back)
        if like is not None and hour - back >= burn.first_hour:
            taken += burn.taken.get(hour - back, 0)
            expected += like * share
    return min(max(taken / expected, _LEVEL_MIN), _LEVEL_MAX)


def _recent(burn: Burn, hour: int, left: float) -> float:
    """Numbers an hour at the recent rate: of the hours counted, three at most."""
    first = max(burn.first_hour, hour - _LEVEL_HOURS)
    taken = sum(burn.taken.get(one, 0) for one in range(first, hour + 1))
    if not taken:
        return 0.0
    # One number in the first minute is no sixty an hour; a hundred are a rush.
    brief = min(_BRIEF_HOURS, _BRIEF_COUNT / taken)
    return taken / max(hour - first + 1 - left, brief)


def _weekend(hour: int) -> bool:
    day = (hour + _SHANGHAI_HOURS) // _DAY_HOURS
    return (day + _THURSDAY) % 7 >= _SATURDAY
