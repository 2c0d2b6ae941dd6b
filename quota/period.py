"""Calendar months (所属期) in Asia/Shanghai: which one a time lies in, and until when one may stay open.

A month is written ``YYYY-MM``, a day ``YYYY-MM-DD``; times are unix seconds.
"""

import re
from calendar import monthrange
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

_SHANGHAI: Final = timezone(timedelta(hours=8))
_OFFSET_S: Final = 28_800
_DAY_S: Final = 86_400
_PERIOD: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)

SUMMARY_AGE_S_MAX: Final = 90 * _DAY_S
"""A device that was not summarised for longer is locked (domain §8)."""


def period_of(time: float) -> str:
    """Return the month a time lies in."""
    return day_of(time)[:7]


def day_of(time: float) -> str:
    """Return the day a time lies in."""
    return _day((int(time // 1) + _OFFSET_S) // _DAY_S)


def civil(time: float) -> str:
    """Return a time as refusals state it: RFC 3339 in Asia/Shanghai, whole seconds."""
    return datetime.fromtimestamp(int(time), _SHANGHAI).isoformat()


def end_of_day(day: str) -> int:
    """Return when a day is over: the first moment of the next one."""
    return int(datetime.fromisoformat(day).replace(tzinfo=_SHANGHAI).timestamp()) + _DAY_S


def start_of(period: str) -> int:
    """Return when a month begins; ``ValueError`` when it is none."""
    return int(_first_day(period).timestamp())


def next_period(period: str) -> str:
    """Return the month after."""
    return period_of(end_of(period))


@lru_cache(maxsize=64)
def end_of(period: str) -> int:
    """Return when a month is over: the first moment of the next one."""
    return int(_end(_first_day(period)).timestamp())


def start_of_month(time: float) -> int:
    """Return when the month of a time began."""
    return start_of(period_of(time))


@lru_cache(maxsize=256)
def lock_time(period: str, lock_day: int) -> int:
    """Return from when on issuing stops unless ``period`` is summarised.

    The beginning of the lock day (锁死期) in the month after: a limit that is *reached* on a day stops
    that day. 0 and 1 close that month from its first moment on; a day the month does not have is its last.
    """
    first = _end(_first_day(period))
    day = min(max(lock_day, 1), monthrange(first.year, first.month)[1])
    return int((first + timedelta(days=day - 1)).timestamp())


# Each group of invoices asks for the day it is dated, and many have the same.
@lru_cache(maxsize=64)
def _day(days_since_1970: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=_SHANGHAI) + timedelta(days=days_since_1970)).strftime(
        "%Y-%m-%d"
    )


def _first_day(period: str) -> datetime:
    match = _PERIOD.fullmatch(period)
    if match is None:
        raise ValueError(f"not a month: {period!r}")
    return datetime(int(match[1]), int(match[2]), 1, tzinfo=_SHANGHAI)


def _end(first: datetime) -> datetime:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
