"""Figures and times as people read them, in either language. All times are Asia/Shanghai."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from console.languages import Language

# China has had no daylight saving time since 1991.
SHANGHAI: Final = timezone(timedelta(hours=8), "Asia/Shanghai")
_FIRST: Final = datetime.min.replace(tzinfo=SHANGHAI)
_LAST: Final = datetime.max.replace(tzinfo=SHANGHAI)
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400


def moment(stamp: Timestamp) -> datetime:
    """The civil time of a timestamp; beyond the calendar its last moment, or its first.

    A certificate without an end has one there, and so may a pause.
    """
    try:
        return stamp.ToDatetime(tzinfo=UTC).astimezone(SHANGHAI)
    except (ValueError, OverflowError):
        return _LAST if stamp.seconds > 0 else _FIRST


def civil(unix_s: float) -> datetime:
    """The civil time of unix seconds."""
    return datetime.fromtimestamp(unix_s, SHANGHAI)


def count(value: int) -> str:
    """``12,345``, with a true minus sign."""
    return f"{value:,}".replace("-", "−")


def yuan(fen: int) -> str:
    """``1,234.50``: whole fen, never rounded."""
    whole, rest = divmod(abs(fen), 100)
    return f"{'−' if fen < 0 else ''}{whole:,}.{rest:02}"


def percent(ppm: int) -> str:
    """Parts per million as ``63 %``: cut off, so that 100 % is said at the limit only."""
    return f"{ppm // 10_000} %"


def rate(ppm: int) -> str:
    """A tax rate: ``13 %``, ``1.5 %``."""
    return f"{ppm / 10_000:g} %"


def clock(at: datetime, *, now: datetime, language: Language) -> str:
    """As short as it is clear: ``16:40``, ``tomorrow 03:10``, ``12-04 03:10``."""
    time = f"{at:%H:%M}"
    match (at.date() - now.date()).days:
        case 0:
            return time
        case 1:
            return language.text("tomorrow %(time)s", time=time)
        case -1:
            return language.text("yesterday %(time)s", time=time)
    same_year = at.year == now.year
    return f"{at:%m-%d} {time}" if same_year else f"{at:%Y-%m-%d} {time}"


def full(at: datetime) -> str:
    """``2026-01-31 16:40:05``."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def duration(seconds: float, *, language: Language) -> str:
    """The two largest units: ``2 d 3 h``, ``3 h 5 min``, ``12 min``, ``40 s``."""
    left = max(0, int(seconds))
    if left >= _DAY_S:
        days, hours = left // _DAY_S, left % _DAY_S // _HOUR_S
        return language.text("%(days)s d %(hours)s h", days=days, hours=hours)
    if left >= _HOUR_S:
        hours, minutes = left // _HOUR_S, left % _HOUR_S // _MINUTE_S
        return language.text("%(hours)s h %(minutes)s min", hours=hours, minutes=minutes)
    if left >= _MINUTE_S:
        return language.text("%(minutes)s min", minutes=left // _MINUTE_S)
    return language.text("%(seconds)s s", seconds=left)


def days_until(day: date, *, now: datetime) -> int:
    """Whole days from today to ``day``; negative when it is over."""
    return (day - now.date()).days
