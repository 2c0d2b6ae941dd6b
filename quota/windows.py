"""When the next call may go, so that no sliding window is ever exceeded as the authority counts.

Rules of this file. The authority counts a call when it arrives, which is some moment between
sending and answer that nobody here knows. So a call holds its place in every window from the
moment it is sent until one period after its answer; one that is unanswered holds it for ever.
Times are seconds on one clock that does not step.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

# Two clocks run apart by up to 500 ppm while one of them is slewed (the limit of NTP), and the
# authority may round arrivals to a millisecond. Together they cost under 0.2 % of a 1 s window.
_DRIFT = 0.0005
_ROUNDING_S = 0.001

# Additive increase, multiplicative decrease of the share of the limits that is used.
_SHARE_STEP = 0.125
_SHARE_MIN = 1 / 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """At most ``call_count_max`` calls in any ``period_s`` seconds, both ends included."""

    period_s: float
    call_count_max: int

    def __post_init__(self) -> None:
        if not (self.period_s > 0 and self.call_count_max >= 1):
            raise ValueError(f"not a rate window: {self.call_count_max} in {self.period_s} s")

    @property
    def hold_s(self) -> float:
        """How long after its answer a call still counts."""
        return self.period_s * (1 + _DRIFT) + _ROUNDING_S

    def limit(self, share: float) -> int:
        """Calls allowed when only ``share`` in (0, 1] of the rate is used; 1 always stays."""
        return max(1, int(self.call_count_max * share))


@dataclass(frozen=True, slots=True)
class Calls:
    """What the windows see.

    ``answered`` holds the times of answers, ascending; calls answered more than
    :func:`longest_hold_s` ago may be missing.
    """

    answered: Sequence[float]
    unanswered_count: int


def used(window: Window, calls: Calls, now: float) -> int:
    """How many calls count in ``window`` now."""
    held_count = len(calls.answered) - bisect_right(calls.answered, now - window.hold_s)
    return calls.unanswered_count + held_count


def next_call_at(windows: Sequence[Window], calls: Calls, *, share: float, now: float) -> float:
    """The earliest time a call may go: ``now``, later, or infinite until a call is answered."""
    return max((_free_at(window, calls, share, now) for window in windows), default=now)


def _free_at(window: Window, calls: Calls, share: float, now: float) -> float:
    # With n places and u unanswered calls, one place is free as soon as the (n - u)-th latest
    # answer has left the window: only n - u - 1 later ones can remain then.
    place_count = window.limit(share) - calls.unanswered_count
    if place_count <= 0:
        return math.inf
    if len(calls.answered) < place_count:
        return now
    return max(now, calls.answered[-place_count] + window.hold_s)


def linger_s(windows: Sequence[Window], calls: Calls, *, share: float, now: float) -> float:
    """How far apart calls had better go so that no window runs dry; 0 while calls are plenty.

    Plenty is less than half of every window. From there on the places left in a window are spread
    over the time until its oldest call leaves it.
    """
    return max((_spread_s(window, calls, share, now) for window in windows), default=0.0)


def _spread_s(window: Window, calls: Calls, share: float, now: float) -> float:
    limit, used_count = window.limit(share), used(window, calls, now)
    left_count = limit - used_count
    if 2 * used_count < limit or left_count <= 0:  # without a place next_call_at says when
        return 0.0
    held_count = used_count - calls.unanswered_count
    oldest = calls.answered[-held_count] if held_count else now
    return (oldest + window.hold_s - now) / left_count


def longest_hold_s(windows: Sequence[Window]) -> float:
    """After how long an answered call counts nowhere any more."""
    return max((window.hold_s for window in windows), default=0.0)


def shortest(windows: Sequence[Window]) -> Window | None:
    """The window with the shortest period, the tightest of equals; None without windows."""
    return min(windows, key=lambda window: (window.period_s, window.call_count_max), default=None)


def halved(share: float) -> float:
    """The share after the authority throttled."""
    return max(_SHARE_MIN, share / 2)


def raised(share: float) -> float:
    """The share after a clean shortest window."""
    return min(1.0, share + _SHARE_STEP)
