"""How a backlog moves: its slope over the last hour, or since there was none."""

import pytest

from gateway.desk.trends import Trends

METER = ("91110000AYTLHUJ0ET", "661000000001", "026")
NOW = 1_800_000_000.0


def grown(trends: Trends, *, seconds: int, step_s: int, per_s: float) -> object:
    """The slope after a backlog has grown for a while, looked at every ``step_s``."""
    slope = None
    for passed_s in range(0, seconds + 1, step_s):
        count = 100 + round(passed_s * per_s)
        slope = trends.note(METER, count, count * 50, NOW + passed_s)
    return slope


@pytest.mark.parametrize("step_s", [1, 5, 60])
def test_a_steady_growth_is_its_slope(step_s: int) -> None:
    slope = grown(Trends(), seconds=1800, step_s=step_s, per_s=2.0)

    assert slope == pytest.approx((2.0, 100.0), rel=0.01)


def test_a_minute_has_to_pass_before_anything_is_said() -> None:
    assert grown(Trends(), seconds=59, step_s=1, per_s=5.0) is None
    assert grown(Trends(), seconds=60, step_s=1, per_s=5.0) is not None


def test_what_turned_round_shows_within_the_window() -> None:
    trends = Trends()
    grown(trends, seconds=1800, step_s=15, per_s=2.0)
    slope = None
    for passed_s in range(15, 4000, 15):
        slope = trends.note(METER, 9000 - passed_s, 0, NOW + 1800 + passed_s)

    assert slope is not None
    assert slope.count_per_s == pytest.approx(-1.0, rel=0.01)


def test_without_a_backlog_there_is_no_slope_and_nothing_is_kept() -> None:
    trends = Trends()
    grown(trends, seconds=120, step_s=15, per_s=1.0)

    for passed_s in range(135, 1200, 15):
        slope = trends.note(METER, 0, 0, NOW + passed_s)

    assert slope is None
    assert trends.note(METER, 0, 0, NOW + 3600) is None


def test_what_grows_from_nothing_is_not_watered_down_by_the_time_before() -> None:
    trends = Trends()
    for passed_s in range(0, 3000, 15):
        trends.note(METER, passed_s % 30, 0, NOW + passed_s)
    slope = None
    for passed_s in range(0, 76, 15):
        slope = trends.note(METER, passed_s * 3, 0, NOW + 3000 + passed_s)

    assert slope is not None
    assert slope.count_per_s == pytest.approx(3.0, rel=0.01)


def test_a_clock_set_back_begins_anew() -> None:
    trends = Trends()
    grown(trends, seconds=600, step_s=15, per_s=1.0)

    assert trends.note(METER, 700, 0, NOW + 300) is None
