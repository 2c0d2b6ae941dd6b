"""Sliding windows: never more than allowed in any interval, and free to the nanosecond."""

from bisect import bisect_right
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from authority.simulator.policy import Window
from authority.simulator.windows import wait_ns

MS = 1_000_000

windows_of = st.lists(
    st.builds(Window, period_ms=st.integers(1, 50), call_count_max=st.integers(1, 8)),
    max_size=3,
)


def nth_last(admitted: list[int]) -> Callable[[int], int | None]:
    return lambda n: admitted[-n] if n <= len(admitted) else None


def test_a_call_waits_exactly_until_a_place_is_free() -> None:
    windows = [Window(period_ms=1000, call_count_max=2)]
    admitted = [0, 400 * MS]

    assert wait_ns(windows, 600 * MS, nth_last(admitted)) == 400 * MS
    assert wait_ns(windows, 1000 * MS - 1, nth_last(admitted)) == 1
    assert wait_ns(windows, 1000 * MS, nth_last(admitted)) == 0


def test_no_window_is_no_limit() -> None:
    assert wait_ns([], 0, nth_last([0] * 1000)) == 0


@given(windows=windows_of, gaps=st.lists(st.integers(0, 20 * MS), max_size=60))
def test_whatever_arrives_no_window_is_passed_and_no_place_is_wasted(
    windows: list[Window], gaps: list[int]
) -> None:
    admitted: list[int] = []
    now = 0
    for gap in gaps:
        now += gap
        waiting = wait_ns(windows, now, nth_last(admitted))
        counts = [
            (len(admitted) - bisect_right(admitted, now - each.period_ms * MS), each)
            for each in windows
        ]
        full = any(count >= each.call_count_max for count, each in counts)

        assert (waiting > 0) == full
        if waiting:
            assert wait_ns(windows, now + waiting - 1, nth_last(admitted)) == 1
            assert wait_ns(windows, now + waiting, nth_last(admitted)) == 0
        else:
            admitted.append(now)
