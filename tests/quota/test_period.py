"""Months and days in Shanghai, and from when on an open month stops issuing."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.period import (
    civil,
    day_of,
    end_of,
    end_of_day,
    lock_time,
    next_period,
    period_of,
    start_of,
    start_of_month,
)

SHANGHAI = timezone(timedelta(hours=8))
times = st.integers(0, 4_000_000_000)
periods = times.map(period_of)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp())


@pytest.mark.parametrize(
    ("time", "day"),
    [
        ("2026-11-30T23:59:59", "2026-11-30"),
        ("2026-12-01T00:00:00", "2026-12-01"),
        ("2027-01-01T07:59:59", "2027-01-01"),
        ("2028-02-29T12:00:00", "2028-02-29"),
    ],
)
def test_a_day_is_that_of_shanghai(time: str, day: str) -> None:
    assert (day_of(at(time)), period_of(at(time))) == (day, day[:7])


@pytest.mark.parametrize(
    ("period", "starts", "ends", "following"),
    [
        ("2026-11", "2026-11-01", "2026-12-01", "2026-12"),
        ("2026-12", "2026-12-01", "2027-01-01", "2027-01"),
        ("2028-02", "2028-02-01", "2028-03-01", "2028-03"),
    ],
)
def test_a_month_has_its_ends(period: str, starts: str, ends: str, following: str) -> None:
    assert (start_of(period), end_of(period)) == (at(starts), at(ends))
    assert next_period(period) == following


@pytest.mark.parametrize("text", ["", "2026-13", "2026-00", "2026-1", "26-11", "2026-11-01", "２０２６-11"])  # fmt: skip
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        start_of(text)


@pytest.mark.parametrize(
    ("period", "lock_day", "stops"),
    [
        ("2026-11", 0, "2026-12-01"),
        ("2026-11", 1, "2026-12-01"),
        ("2026-11", 2, "2026-12-02"),
        ("2026-11", 15, "2026-12-15"),
        ("2026-12", 31, "2027-01-31"),
        ("2027-01", 31, "2027-02-28"),
        ("2028-01", 30, "2028-02-29"),
    ],
)
def test_a_month_stops_at_the_beginning_of_the_lock_day(
    period: str, lock_day: int, stops: str
) -> None:
    assert lock_time(period, lock_day) == at(stops)


def test_a_time_is_told_as_in_shanghai() -> None:
    assert civil(at("2026-12-01T08:30:00") + 0.9) == "2026-12-01T08:30:00+08:00"
    assert end_of_day("2026-12-31") == at("2027-01-01")


@given(times)
def test_every_time_lies_in_its_day_and_month(time: int) -> None:
    period = period_of(time)

    assert start_of(period) <= time < end_of(period) == start_of(next_period(period))
    assert start_of_month(time) == start_of(period)
    assert end_of_day(day_of(time)) - 86_400 <= time < end_of_day(day_of(time))


@given(periods, st.integers(0, 31))
def test_the_lock_day_lies_in_the_month_after(period: str, lock_day: int) -> None:
    stops_at = lock_time(period, lock_day)

    assert end_of(period) <= stops_at < end_of(next_period(period))
    assert (stops_at - end_of(period)) % 86_400 == 0
