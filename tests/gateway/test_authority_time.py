"""How far the clock is from the authority's: told or not, ahead, behind, and running back meanwhile."""

import pytest

from gateway.authority_time import AuthorityTime
from invoice.errors import ClockSkew
from tests.fakes.set_clock import SetClock

NOW = 1_800_000_000.0


def fault(time: AuthorityTime) -> dict[str, str] | None:
    try:
        time.check()
    except ClockSkew as error:
        return error.facts
    return None


def facts(skew_s: int) -> dict[str, str]:
    return {"skew_s": str(skew_s), "skew_s_max": "1800", "ends_by": "CLOCK"}


@pytest.mark.parametrize(
    ("step_s", "found"),
    [(0, None), (1800, None), (-1800, None), (1801, facts(1801)), (-1801, facts(-1801))],
)
def test_30_minutes_from_the_authority_are_borne_and_no_more(
    step_s: int, found: dict[str, str] | None
) -> None:
    clock = SetClock(NOW)
    time = AuthorityTime(clock)
    time.observe(NOW, clock.monotonic(), clock.monotonic())
    clock.pass_by(86_400.0)

    clock.step(step_s)

    assert fault(time) == found
    assert time.skew_s() == step_s


@pytest.mark.parametrize(
    ("step_s", "found"), [(86_400, None), (-1800, None), (-1801, facts(-1801))]
)
def test_before_the_first_contact_a_clock_that_runs_back_is_not_believed(
    step_s: int, found: dict[str, str] | None
) -> None:
    clock = SetClock(NOW)
    time = AuthorityTime(clock)
    clock.pass_by(3600.0)

    clock.step(step_s)

    assert fault(time) == found
    assert not time.known


def test_the_authority_has_the_last_word_about_a_clock_that_ran_back() -> None:
    clock = SetClock(NOW + 7200)
    time = AuthorityTime(clock)
    clock.step(-7200)
    assert fault(time) == facts(-7200)

    time.observe(NOW, clock.monotonic(), clock.monotonic())

    assert fault(time) is None


def test_a_clock_that_runs_back_after_the_contact_is_seen_at_once() -> None:
    clock = SetClock(NOW)
    time = AuthorityTime(clock)
    time.observe(NOW, clock.monotonic(), clock.monotonic())

    clock.step(-3600)
    assert fault(time) == facts(-3600)
    clock.step(3600)
    assert fault(time) is None
