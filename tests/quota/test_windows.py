"""No schedule made here exceeds a window as the authority counts, and none wastes the rate."""

import heapq
import math
from bisect import bisect_left, insort
from collections import deque
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quota.windows import (
    Calls,
    Window,
    halved,
    linger_s,
    longest_hold_s,
    next_call_at,
    raised,
    shortest,
    used,
)

THREE = (
    Window(period_s=1, call_count_max=10),
    Window(period_s=60, call_count_max=30),
    Window(period_s=3600, call_count_max=600),
)

windows_strategy = st.lists(
    st.builds(
        Window,
        period_s=st.floats(0.05, 50, allow_nan=False),
        call_count_max=st.integers(1, 12),
    ),
    min_size=1,
    max_size=3,
)


class Schedule:
    """Lets calls go as soon as they may; each arrives somewhere between sending and answer."""

    def __init__(self, windows: list[Window] | tuple[Window, ...], rng: Random) -> None:
        self.windows = windows
        self.rng = rng
        self.now = 0.0
        self.answered: list[float] = []
        self.under_way: list[float] = []
        self.arrivals: list[float] = []

    def run(
        self,
        *,
        count: int = 1_000_000,
        until: float = math.inf,
        trip_s: tuple[float, float],
        shares: tuple[float, ...] = (1.0,),
    ) -> None:
        """Let calls go until there are enough or time is up."""
        for _ in range(count):
            share = self.rng.choice(shares)
            while (at := self._next_at(share)) > self.now:
                self.now = min(at, self.under_way[0] if self.under_way else math.inf)
            if self.now > until:
                return
            self._send(self.rng.uniform(*trip_s))

    def _next_at(self, share: float) -> float:
        while self.under_way and self.under_way[0] <= self.now:
            self.answered.append(heapq.heappop(self.under_way))
        del self.answered[: bisect_left(self.answered, self.now - longest_hold_s(self.windows))]
        calls = Calls(self.answered, len(self.under_way))
        return next_call_at(self.windows, calls, share=share, now=self.now)

    def _send(self, trip_s: float) -> None:
        # The worst places to arrive are the ends: early ones beside the past, late ones beside
        # the future.
        arrival = self.now + trip_s * self.rng.choice((0.0, 1.0, self.rng.random()))
        insort(self.arrivals, arrival)
        heapq.heappush(self.under_way, self.now + trip_s)


def most_in(arrivals: list[float], period_s: float) -> int:
    """The most arrivals in any closed span of ``period_s``: as the strictest authority counts."""
    span: deque[float] = deque()
    most = 0
    for at in arrivals:
        span.append(at)
        while at - span[0] > period_s:
            span.popleft()
        most = max(most, len(span))
    return most


def ideal_count(windows: tuple[Window, ...] | list[Window], until: float) -> int:
    """How many calls an authority would take by ``until`` if nothing took any time."""
    times: list[float] = []
    while True:
        at = max(
            (
                times[-window.call_count_max] + window.period_s
                for window in windows
                if len(times) >= window.call_count_max
            ),
            default=0.0,
        )
        if at > until:
            return len(times)
        times.append(at)


@settings(max_examples=300, deadline=None)
@given(
    windows=windows_strategy,
    seed=st.integers(0, 2**32),
    trip_max_s=st.floats(0, 80),
    throttling=st.booleans(),
)
def test_no_window_is_ever_exceeded_wherever_calls_arrive(
    windows: list[Window], seed: int, trip_max_s: float, throttling: bool
) -> None:
    schedule = Schedule(windows, Random(seed))

    shares = (1.0, 0.5, 0.125) if throttling else (1.0,)
    schedule.run(count=120, trip_s=(0.0, trip_max_s), shares=shares)

    for window in windows:
        assert most_in(schedule.arrivals, window.period_s) <= window.call_count_max


@settings(max_examples=60, deadline=None)
@given(windows=windows_strategy, seed=st.integers(0, 2**32))
def test_98_percent_of_the_rate_is_used_when_round_trips_are_short(
    windows: list[Window], seed: int
) -> None:
    # Below a second the millisecond kept for rounding is no longer small beside the window.
    windows = [Window(period_s=1 + it.period_s, call_count_max=it.call_count_max) for it in windows]
    until = 40 * max(window.period_s for window in windows)
    schedule = Schedule(windows, Random(seed))
    trip_s = min(window.period_s for window in windows) / 100

    schedule.run(until=until, trip_s=(0.0, trip_s))

    # The last, unfinished period of a window may be cut off on one side only.
    cut_off = max(window.call_count_max for window in windows)
    assert len(schedule.arrivals) >= 0.98 * ideal_count(windows, until) - cut_off


def test_three_windows_together_use_98_percent_of_a_day() -> None:
    day_s = 86_400.0
    schedule = Schedule(THREE, Random(1))

    schedule.run(until=day_s, trip_s=(0.005, 0.01))

    assert len(schedule.arrivals) >= 0.98 * ideal_count(THREE, day_s)
    for window in THREE:
        assert most_in(schedule.arrivals, window.period_s) <= window.call_count_max


def test_a_place_is_free_one_period_after_the_answer_and_not_a_moment_before() -> None:
    window = Window(period_s=10, call_count_max=2)
    calls = Calls((100.0, 103.0), 0)

    at = next_call_at([window], calls, share=1.0, now=104.0)

    assert at == 100.0 + window.hold_s > 110.0
    assert next_call_at([window], calls, share=1.0, now=at) == at
    assert next_call_at([window], calls, share=1.0, now=at - 0.001) > at - 0.001


def test_an_unanswered_call_holds_its_place_for_ever() -> None:
    window = Window(period_s=10, call_count_max=2)

    assert next_call_at([window], Calls((), 2), share=1.0, now=1e9) == math.inf
    assert next_call_at([window], Calls((), 1), share=1.0, now=1e9) == 1e9


def test_nothing_waits_where_there_is_no_window() -> None:
    assert next_call_at([], Calls((), 99), share=0.1, now=5.0) == 5.0
    assert linger_s([], Calls((), 99), share=0.1, now=5.0) == 0.0
    assert shortest([]) is None


@pytest.mark.parametrize(
    ("count_max", "share", "limit"),
    [(10, 1.0, 10), (10, 0.5, 5), (10, 0.26, 2), (10, 1 / 64, 1), (1, 0.5, 1)],
)
def test_a_share_scales_the_limit_and_one_call_stays(
    count_max: int, share: float, limit: int
) -> None:
    assert Window(period_s=1, call_count_max=count_max).limit(share) == limit


def test_the_share_halves_and_climbs_back_by_steps() -> None:
    share = 1.0
    falling = [share := halved(share) for _ in range(8)]
    climbing = [share := raised(share) for _ in range(9)]

    assert falling[:3] == [0.5, 0.25, 0.125]
    assert falling[-1] == falling[-2] > 0
    steps = [after - before for before, after in pairwise(climbing)]
    assert set(steps[:-2]) == {0.125}
    assert climbing[-1] == 1.0


def test_used_counts_the_unanswered_and_what_is_answered_within_the_period() -> None:
    window = Window(period_s=10, call_count_max=5)

    assert used(window, Calls((80.0, 95.0, 100.0), 1), 100.0) == 3
    assert used(window, Calls((80.0, 95.0, 100.0), 1), 200.0) == 1


@pytest.mark.parametrize(
    ("answered_count", "unanswered_count", "now", "linger"),
    [
        (0, 0, 100.0, 0.0),
        (14, 0, 100.0, 0.0),  # plenty
        (15, 0, 100.0, 60 / 15),  # fifteen places for a minute
        (15, 0, 130.0, 30 / 15),
        (14, 1, 130.0, 30 / 15),
        (0, 15, 130.0, 60 / 15),  # whoever is unanswered stays for a period at least
        (29, 0, 130.0, 30.0),
        (30, 0, 130.0, 0.0),  # none left: it is not a matter of lingering any more
    ],
)
def test_from_half_of_a_window_on_the_places_left_are_spread(
    answered_count: int, unanswered_count: int, now: float, linger: float
) -> None:
    window = Window(period_s=60, call_count_max=30)
    calls = Calls((100.0,) * answered_count, unanswered_count)

    assert linger_s([window], calls, share=1.0, now=now) == pytest.approx(linger, rel=0.01)


@pytest.mark.parametrize(("period_s", "count_max"), [(0, 1), (-1, 1), (1, 0)])
def test_a_window_without_room_is_refused(period_s: float, count_max: int) -> None:
    with pytest.raises(ValueError, match="not a rate window"):
        Window(period_s=period_s, call_count_max=count_max)
