"""When stock will be empty: right at a steady rate, and within a tenth of the time left in a real week."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock import forecast
from stock.forecast import HOUR_S, KEPT_HOUR_COUNT, NO_HOURS, Burn, empty_at, last_hour_count

# Monday 2026-11-30, 00:00 in Shanghai, in hours of the epoch.
MONDAY = 1_795_968_000 // HOUR_S
_DAYS = 7
# What a ticket counter sells at each hour of a working day, as parts of its busiest one.
_WORKING_DAY = (
    *(0.02, 0.01, 0.01, 0.01, 0.02, 0.08, 0.25, 0.55, 0.85, 1.0, 0.95, 0.8),
    *(0.6, 0.7, 0.85, 0.9, 0.95, 1.0, 0.8, 0.6, 0.4, 0.25, 0.12, 0.05),
)
_WEEKEND = tuple(part * 0.45 for part in (*_WORKING_DAY[-2:], *_WORKING_DAY[:-2]))


def steady(rate: int, hour_count: int) -> Burn:
    return Burn(
        taken={MONDAY + hour: rate for hour in range(hour_count)} if rate else {}, first_hour=MONDAY
    )


@pytest.mark.parametrize("hour_count", [1, 3, 24, KEPT_HOUR_COUNT])
@pytest.mark.parametrize("lasts_h", [0.4, 1.0, 7.3, 40.0])
def test_at_a_steady_rate_it_is_right_within_two_percent(hour_count: int, lasts_h: float) -> None:
    now = (MONDAY + hour_count) * HOUR_S

    found = empty_at(steady(600, hour_count), round(600 * lasts_h), now)

    assert found is not None
    assert found - now == pytest.approx(lasts_h * HOUR_S, rel=0.02)


def test_within_an_hour_the_part_of_it_that_has_passed_counts() -> None:
    now = MONDAY * HOUR_S + 1800.0
    burn = Burn(taken={MONDAY: 300}, first_hour=MONDAY)

    found = empty_at(burn, 100, now)

    assert found == pytest.approx(now + 600, rel=0.01)


@pytest.mark.parametrize(
    ("taken", "available", "minutes"),
    [(1, 59, 900), (10, 100, 150), (100, 400, 6), (1000, 400, 0.133)],
)
def test_a_first_number_is_no_rush_and_a_rush_is_told_in_its_first_minute(
    taken: int, available: int, minutes: float
) -> None:
    now = MONDAY * HOUR_S + 20.0
    burn = Burn(taken={MONDAY: taken}, first_hour=MONDAY)

    found = empty_at(burn, available, now)

    assert found is not None
    assert (found - now) / 60 == pytest.approx(minutes, rel=0.1)


def test_what_is_not_used_is_never_empty_and_what_is_empty_is_so_now() -> None:
    now = (MONDAY + 30) * HOUR_S

    assert empty_at(steady(0, 30), 100, now) is None
    assert empty_at(steady(10, 30), 0, now) == now


@given(
    rate=st.integers(1, 100_000),
    available=st.integers(1, 10_000_000),
    hour_count=st.integers(1, KEPT_HOUR_COUNT),
    minute=st.integers(0, 59),
)
def test_it_is_in_the_future_and_later_the_more_there_is(
    rate: int, available: int, hour_count: int, minute: int
) -> None:
    now = (MONDAY + hour_count) * HOUR_S + minute * 60.0
    burn = steady(rate, hour_count)

    less, more = empty_at(burn, available, now), empty_at(burn, available + rate, now)

    assert less is None or less >= now
    assert more is None or (less is not None and more >= less)


def test_the_last_hour_takes_its_share_of_the_hour_before() -> None:
    burn = Burn(taken={MONDAY: 600, MONDAY + 1: 200}, first_hour=MONDAY)

    assert last_hour_count(burn, (MONDAY + 1) * HOUR_S + 900.0) == 200 + 450


class Week:
    """Invoices of a point over two weeks: the rhythm of days and weekends, each hour as chance has it."""

    def __init__(self, seed: int, *, busiest: int, growth: float) -> None:
        random = Random(seed)
        self.taken: dict[int, int] = {}
        for hour in range(2 * _DAYS * 24):
            day, at = divmod(hour, 24)
            rhythm = _WEEKEND if day % 7 >= 5 else _WORKING_DAY
            expected = busiest * rhythm[at] * (1 + growth * (day // 7))
            # Arrivals by chance: the variance of a count is its mean, and a day has its own mood.
            taken = round(random.gauss(expected, expected**0.5))
            self.taken[MONDAY + hour] = max(0, taken)

    def burn(self, now: float) -> Burn:
        """What was counted until ``now``."""
        hour, share = int(now // HOUR_S), now % HOUR_S / HOUR_S
        taken = {
            one: count
            for one, count in self.taken.items()
            if hour - KEPT_HOUR_COUNT <= one < hour and count
        }
        taken[hour] = round(self.taken[hour] * share)
        return Burn(taken=taken, first_hour=MONDAY)

    def truly_empty_at(self, available: int, now: float) -> float:
        """When they are really used up, evenly within each hour."""
        rest, at = float(available), now
        while True:
            hour = int(at // HOUR_S)
            share = 1 - (at % HOUR_S) / HOUR_S
            taken = self.taken[hour] * share
            if taken >= rest:
                return at + share * HOUR_S * rest / taken
            rest, at = rest - taken, (hour + 1) * HOUR_S


def hours_to_ask(week: Week, lasts_h: float) -> list[tuple[float, int]]:
    """Each opening hour of the second week: the time, and what is left so that it lasts ``lasts_h``."""
    asked = []
    for hour in range(_DAYS * 24, 2 * _DAYS * 24 - 24):
        if not 7 <= hour % 24 <= 20:
            continue
        now = (MONDAY + hour) * HOUR_S + 600.0
        share = 1 - 600 / HOUR_S
        sold = week.taken[MONDAY + hour] * share + week.taken[MONDAY + hour + 1] * (lasts_h - share)
        asked.append((now, round(sold)))
    return asked


@pytest.mark.parametrize("growth", [0.0, 0.2])
def test_when_stock_turns_low_after_a_week_the_forecast_is_within_a_tenth(growth: float) -> None:
    """Low is an hour's use: at every opening hour of a busy counter, working days and weekends."""
    errors = []
    for seed in range(20):
        week = Week(seed, busiest=9000, growth=growth)
        for now, available in hours_to_ask(week, 1.0):
            truth = week.truly_empty_at(available, now) - now
            found = empty_at(week.burn(now), available, now)
            assert found is not None
            errors.append((abs(found - now - truth) / truth, seed, now))
    errors.sort()
    print(
        f"growth {growth}: {len(errors)} forecasts, seeds 0-19,"
        f" median {errors[len(errors) // 2][0]:.3f}, worst (error, seed, time) {errors[-1]}"
    )

    assert errors[-1][0] <= 0.1
    assert errors[len(errors) // 2][0] <= 0.02


def test_a_small_counter_is_forecast_as_well_as_chance_lets_anybody() -> None:
    """With a few hundred numbers left the truth itself is a matter of luck by some percent."""
    within, count = 0, 0
    for seed in range(20):
        week = Week(seed, busiest=900, growth=0.0)
        for now, available in hours_to_ask(week, 1.0):
            truth = week.truly_empty_at(available, now) - now
            found = empty_at(week.burn(now), available, now)
            assert found is not None
            within += abs(found - now - truth) <= 0.1 * truth
            count += 1
    print(f"within a tenth: {within} of {count}, seeds 0-19")

    assert within >= 0.9 * count


@given(
    taken=st.dictionaries(st.integers(0, KEPT_HOUR_COUNT), st.integers(1, 5000), max_size=60),
    moves=st.lists(
        st.tuples(
            st.integers(0, 40), st.dictionaries(st.integers(0, 250), st.integers(0, 99), max_size=5)
        ),
        max_size=6,
    ),
)
def test_packed_hours_are_what_a_dictionary_would_be(
    taken: dict[int, int], moves: list[tuple[int, dict[int, int]]]
) -> None:
    oldest, newest = 0, KEPT_HOUR_COUNT
    packed, plain = NO_HOURS.with_counts(oldest, newest, taken), dict(taken)
    before = dict(packed.items())
    for step, counted in moves:
        moved = packed.with_counts(oldest + step, newest + step, counted)
        oldest, newest = oldest + step, newest + step
        plain = {hour: count for hour, count in {**plain, **counted}.items() if hour <= newest}
        plain = {hour: count for hour, count in plain.items() if hour >= oldest and count}
        assert dict(moved.items()) == plain
        assert all(moved.get(hour, -1) == plain.get(hour, -1) for hour in range(oldest - 2, newest))
        packed = moved

    assert before == {hour: count for hour, count in taken.items() if count}


@given(
    seed=st.integers(0, 10_000),
    hour_count=st.integers(1, KEPT_HOUR_COUNT),
    minute=st.integers(0, 59),
    available=st.integers(1, 60_000),
)
def test_it_is_what_walking_hour_by_hour_over_like_days_finds(
    seed: int, hour_count: int, minute: int, available: int
) -> None:
    """Against the rule written out: like hours of the week before, averaged for each hour to come."""
    week = Week(seed, busiest=900, growth=0.0)
    running = MONDAY + hour_count
    taken = {hour: count for hour, count in week.taken.items() if hour <= running and count}
    burn = Burn(taken=taken, first_hour=MONDAY)
    now = running * HOUR_S + minute * 60.0

    def like(hour: int) -> list[int]:
        return [
            taken.get(earlier, 0)
            for earlier in range(max(MONDAY, running - 7 * 24), running)
            if earlier % 24 == hour % 24 and weekend(earlier) == weekend(hour)
        ]

    def weekend(hour: int) -> bool:
        return (hour - MONDAY) // 24 % 7 >= 5

    level = forecast._level(burn, running, 1 - minute / 60)
    recent = forecast._recent(burn, running, 1 - minute / 60)
    rest, expected = float(available), None
    for hour in range(running, running + 7 * 24):
        share = 1 - minute / 60 if hour == running else 1.0
        found = like(hour)
        sold = (sum(found) / len(found) * level if found else recent) * share
        if sold >= rest:
            begins = now if hour == running else hour * HOUR_S
            expected = begins + share * HOUR_S * rest / sold
            break
        rest -= sold

    assert empty_at(burn, available, now) == (None if expected is None else pytest.approx(expected))
