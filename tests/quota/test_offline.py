"""How much of each limit is used, how near it is, and what an operator's lower limits leave."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.offline import (
    NO_LIMITS,
    Grade,
    Limit,
    LimitUse,
    MeterState,
    OfflineLimits,
    grade_of,
    uses,
    worst,
)

SHANGHAI = timezone(timedelta(hours=8))
limit = st.none() | st.integers(0, 100)
limits = st.builds(
    OfflineLimits,
    age_hours_max=limit,
    amount_fen_max=limit,
    count_max=limit,
    lock_day=st.none() | st.integers(0, 31),
)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp())


NOVEMBER = MeterState(
    unuploaded_count=0,
    unuploaded_amount_fen=0,
    oldest_issue_time=0,
    open_period="2026-11",
    summarised_at=at("2026-11-03T09:00:00"),
)
BEHIND = replace(
    NOVEMBER,
    unuploaded_count=7,
    unuploaded_amount_fen=700,
    oldest_issue_time=at("2026-11-20T12:00:00"),
)


@pytest.mark.parametrize(
    ("used_ppm", "grade"),
    [
        (0, Grade.OK),
        (699_999, Grade.OK),
        (700_000, Grade.WARN),
        (899_999, Grade.WARN),
        (900_000, Grade.RESTRICT),
        (999_999, Grade.RESTRICT),
        (1_000_000, Grade.STOP),
        (5_000_000, Grade.STOP),
    ],
)
def test_grades_begin_at_70_90_and_100_percent(used_ppm: int, grade: Grade) -> None:
    assert grade_of(used_ppm) is grade


def use(state: MeterState, limits: OfflineLimits, now: str) -> dict[Limit, tuple[int, int, Grade]]:
    return {one.limit: (one.used, one.most, one.grade) for one in uses(limits, state, at(now))}


@pytest.mark.parametrize(
    ("state", "limits", "now", "limit", "found"),
    [
        (BEHIND, OfflineLimits(age_hours_max=10), "2026-11-20T12:00:00", Limit.AGE, (0, 36_000, Grade.OK)),
        (BEHIND, OfflineLimits(age_hours_max=10), "2026-11-20T19:00:00", Limit.AGE, (25_200, 36_000, Grade.WARN)),
        (BEHIND, OfflineLimits(age_hours_max=10), "2026-11-20T21:59:59", Limit.AGE, (35_999, 36_000, Grade.RESTRICT)),
        (BEHIND, OfflineLimits(age_hours_max=10), "2026-11-20T22:00:00", Limit.AGE, (36_000, 36_000, Grade.STOP)),
        (BEHIND, OfflineLimits(age_hours_max=0), "2026-11-20T12:00:00", Limit.AGE, (0, 0, Grade.STOP)),
        (BEHIND, OfflineLimits(count_max=10), "2026-11-21", Limit.COUNT, (7, 10, Grade.WARN)),
        (BEHIND, OfflineLimits(count_max=7), "2026-11-21", Limit.COUNT, (7, 7, Grade.STOP)),
        (NOVEMBER, OfflineLimits(count_max=0), "2026-11-21", Limit.COUNT, (0, 0, Grade.STOP)),
        (BEHIND, OfflineLimits(amount_fen_max=750), "2026-11-21", Limit.AMOUNT, (700, 750, Grade.RESTRICT)),
        (NOVEMBER, OfflineLimits(lock_day=11), "2026-12-01", Limit.PERIOD, (0, 864_000, Grade.OK)),
        (NOVEMBER, OfflineLimits(lock_day=11), "2026-12-08", Limit.PERIOD, (604_800, 864_000, Grade.WARN)),
        (NOVEMBER, OfflineLimits(lock_day=11), "2026-12-10T23:59:59", Limit.PERIOD, (863_999, 864_000, Grade.RESTRICT)),
        (NOVEMBER, OfflineLimits(lock_day=11), "2026-12-11", Limit.PERIOD, (864_000, 864_000, Grade.STOP)),
        (NOVEMBER, OfflineLimits(lock_day=0), "2026-12-01", Limit.PERIOD, (0, 0, Grade.STOP)),
        (BEHIND, OfflineLimits(lock_day=11), "2026-12-11", Limit.LOCK_DAY, (864_000, 864_000, Grade.STOP)),
        (NOVEMBER, NO_LIMITS, "2027-02-01T09:00:00", Limit.SUMMARY_AGE, (7_776_000, 7_776_001, Grade.RESTRICT)),
        (NOVEMBER, NO_LIMITS, "2027-02-01T09:00:01", Limit.SUMMARY_AGE, (7_776_001, 7_776_001, Grade.STOP)),
    ],
)  # fmt: skip
def test_what_is_used_of_a_limit(
    state: MeterState,
    limits: OfflineLimits,
    now: str,
    limit: Limit,
    found: tuple[int, int, Grade],
) -> None:
    assert use(state, limits, now)[limit] == found


@pytest.mark.parametrize(
    ("state", "limits", "now", "named"),
    [
        (NOVEMBER, NO_LIMITS, "2026-11-30", set()),
        # Nothing is old where nothing is un-uploaded, and the month that runs is not late.
        (NOVEMBER, OfflineLimits(age_hours_max=1, lock_day=0), "2026-11-30T23:59:59", set()),
        (BEHIND, OfflineLimits(lock_day=15), "2026-12-01", {Limit.LOCK_DAY, Limit.PERIOD}),
        # What is un-uploaded is of this month only.
        (replace(BEHIND, oldest_issue_time=at("2026-12-01")), OfflineLimits(lock_day=15), "2026-12-02", {Limit.PERIOD}),
        (replace(BEHIND, open_period="2026-12"), OfflineLimits(lock_day=0), "2026-12-31", set()),
    ],
)  # fmt: skip
def test_only_limits_that_can_be_reached_are_named(
    state: MeterState, limits: OfflineLimits, now: str, named: set[Limit]
) -> None:
    assert set(use(state, limits, now)) == named | {Limit.SUMMARY_AGE}


def test_a_time_that_runs_says_when_it_is_over() -> None:
    found = {
        one.limit: one.limit_at
        for one in uses(
            OfflineLimits(age_hours_max=72, count_max=9, amount_fen_max=9, lock_day=15),
            BEHIND,
            at("2026-12-02"),
        )
    }

    assert found == {
        Limit.SUMMARY_AGE: at("2027-02-01T09:00:00"),
        Limit.LOCK_DAY: at("2026-12-15"),
        Limit.PERIOD: at("2026-12-15"),
        Limit.AGE: at("2026-11-23T12:00:00"),
        Limit.COUNT: None,
        Limit.AMOUNT: None,
    }


def test_the_worst_grade_counts() -> None:
    found = uses(OfflineLimits(count_max=10, amount_fen_max=750), BEHIND, at("2026-11-21"))

    assert worst(found) is Grade.RESTRICT
    assert worst(()) is Grade.OK


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_left_and_grade_agree(most: int, used: int) -> None:
    one = LimitUse(limit=Limit.COUNT, most=most, used=used)

    assert one.left == max(0, most - used)
    assert (one.grade is Grade.STOP) == (used >= most)


@given(limits, limits)
def test_a_lowered_limit_is_never_above_either(one: OfflineLimits, other: OfflineLimits) -> None:
    lowered = one.lowered(other)

    assert lowered == other.lowered(one)
    assert lowered.lowered(one) == lowered
    assert one.lowered(NO_LIMITS) == one
    for name in ("age_hours_max", "amount_fen_max", "count_max", "lock_day"):
        stated = [
            value for value in (getattr(one, name), getattr(other, name)) if value is not None
        ]
        assert getattr(lowered, name) == min(stated, default=None)
