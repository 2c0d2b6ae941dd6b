"""Calendar months (所属期) in Asia/Shanghai: which one a time lies in, and until when one may stay open.

A month is written ``YYYY-MM``; times are unix seconds.
"""

from calendar import monthrange
from datetime import datetime, timedelta, timezone
from typing import Final

_SHANGHAI: Final = timezone(timedelta(hours=8))
_DAY_S: Final = 86_400

SUMMARY_AGE_S_MAX: Final = 90 * _DAY_S
"""A device that was not summarised for longer is locked (domain §8)."""


def period_of(time: float) -> str:
    """Return the month a time lies in."""
    return f"{datetime.fromtimestamp(time, _SHANGHAI):%Y-%m}"


def start_of(period: str) -> int:
    """Return when a month begins; ``ValueError`` when it is none."""
    return int(_first_day(period).timestamp())


def next_period(period: str) -> str:
    """Return the month after."""
    return period_of(_end(_first_day(period)).timestamp())


def end_of(period: str) -> int:
    """Return when a month is over: the first moment of the next one."""
    return int(_end(_first_day(period)).timestamp())


def start_of_month(time: float) -> int:
    """Return when the month of a time began."""
    civil = datetime.fromtimestamp(time, _SHANGHAI)
    return int(datetime(civil.year, civil.month, 1, tzinfo=_SHANGHAI).timestamp())


def lock_time(period: str, lock_day: int) -> int:
    """Return from when on issuing stops unless ``period`` is summarised.

    The beginning of the lock day (锁死期) in the month after: a limit that is *reached* on a day stops
    that day. 0 and 1 close that month from its first moment on; a day the month does not have is its last.
    """
    first = _end(_first_day(period))
    day = min(max(lock_day, 1), monthrange(first.year, first.month)[1])
    return int((first + timedelta(days=day - 1)).timestamp())


def _first_day(period: str) -> datetime:
    return datetime.strptime(period, "%Y-%m").replace(tzinfo=_SHANGHAI)


def _end(first: datetime) -> datetime:
    return (first + timedelta(days=32)).replace(day=1)
