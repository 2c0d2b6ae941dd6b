"""How many users there are at each moment of a run. Pure; the locustfile hands it to Locust.

A shape is a curve over the run, from 0 at its start to 1 at its end, as a share of the most users.
Between two marks it is straight, so what is written here is what the report draws.
"""

from bisect import bisect_right
from collections.abc import Mapping
from typing import Final

Mark = tuple[float, float]

DOUBLE_11: Final = "double11"
MONTH_END: Final = "month-end"

_HOURS: Final = 24.0

# Double 11 (双十一): the sale begins at midnight, people sleep, shop at noon, and once more in the
# last hours. By the hour, as a share of the first minutes.
_DAY: Final = (
    *((0.0, 0.6), (0.2, 1.0), (1.0, 0.8), (2.0, 0.35), (4.0, 0.1), (7.0, 0.15), (10.0, 0.45)),
    *((12.0, 0.5), (14.0, 0.35), (18.0, 0.4), (20.0, 0.75), (22.0, 0.7), (23.5, 0.9), (24.0, 0.3)),
)

_SHAPES: Final[Mapping[str, tuple[Mark, ...]]] = {
    "steady": ((0.0, 1.0), (1.0, 1.0)),
    "ramp": ((0.0, 0.05), (0.8, 1.0), (1.0, 1.0)),
    # Up within a fiftieth of the run: longer than a backoff, shorter than any scaling out.
    "spike": ((0.0, 0.2), (0.4, 0.2), (0.42, 1.0), (0.58, 1.0), (0.6, 0.2), (1.0, 0.2)),
    DOUBLE_11: tuple((hour / _HOURS, share) for hour, share in _DAY),
    # A month by its days: quiet weeks, everybody's invoices in the last three days, then the
    # closing, when operators dry-run the summary (抄报) while stragglers still issue.
    MONTH_END: ((0.0, 0.3), (0.65, 0.35), (0.85, 0.8), (0.9, 1.0), (0.97, 1.0), (1.0, 0.4)),
}

NAMES: Final = tuple(_SHAPES)


def share(shape: str, at: float) -> float:
    """The share of the most users at ``at`` of the run, 0 to 1; ``KeyError``: no such shape."""
    marks = _SHAPES[shape]
    place = bisect_right(marks, at, key=lambda mark: mark[0])
    if place == len(marks):
        return marks[-1][1]
    (left, low), (right, high) = marks[max(0, place - 1)], marks[place]
    return low if right == left else low + (high - low) * (at - left) / (right - left)


def users_at(
    shape: str, elapsed_s: float, *, total_s: float, users_max: int, users_min: int = 1
) -> int | None:
    """How many users there are after ``elapsed_s``; None once the run is over."""
    if elapsed_s >= total_s:
        return None
    return max(users_min, round(users_max * share(shape, elapsed_s / total_s)))


def hour(shape: str, elapsed_s: float, *, total_s: float) -> float | None:
    """The hour of the compressed day, 0 to 24; None where a shape has no day."""
    if shape != DOUBLE_11:
        return None
    return min(max(elapsed_s / total_s, 0.0), 1.0) * _HOURS


def evening(at_hour: float | None) -> bool:
    """Whether it is the time at which people give: seven to eleven. Without a day it always is."""
    return at_hour is None or 19.0 <= at_hour < 23.0
