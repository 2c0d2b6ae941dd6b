"""Sliding rate windows: may this call pass, and if not, when.

A call at ``t`` passes when in every window fewer than its maximum of admitted calls lie in
``(t - period, t]``. So a place is free again exactly one period after the call that held it.
Pure: the caller knows the admitted calls and the time. Instants are ns since 1970.
"""

from collections.abc import Callable, Iterable

from authority.simulator.policy import Window

_NS_PER_MS = 1_000_000


def wait_ns(
    windows: Iterable[Window],
    now_ns: int,
    nth_last: Callable[[int], int | None],
) -> int:
    """Return after how long a call arriving now would pass every window; 0 when it passes.

    ``nth_last(n)`` is when the n-th last admitted call arrived (1 is the last), None when there
    are fewer. Only one call of a window matters: the one that must leave for this one to enter.
    """
    return max((_wait_ns(window, now_ns, nth_last) for window in windows), default=0)


def _wait_ns(window: Window, now_ns: int, nth_last: Callable[[int], int | None]) -> int:
    blocking_ns = nth_last(window.call_count_max)
    if blocking_ns is None:
        return 0
    return max(0, blocking_ns + window.period_ms * _NS_PER_MS - now_ns)
