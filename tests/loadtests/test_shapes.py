"""The curves say how many users there are at each moment, from the first second to the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import shapes


@given(shape=st.sampled_from(shapes.NAMES), at=st.floats(0, 1))
def test_a_share_is_never_none_and_never_more_than_all(shape: str, at: float) -> None:
    assert 0 < shapes.share(shape, at) <= 1


@pytest.mark.parametrize("shape", shapes.NAMES)
def test_every_shape_reaches_its_most_users(shape: str) -> None:
    counts = [shapes.users_at(shape, t, total_s=1000, users_max=80) for t in range(1000)]

    assert max(count for count in counts if count is not None) == 80
    assert shapes.users_at(shape, 1000, total_s=1000, users_max=80) is None


@given(shape=st.sampled_from(shapes.NAMES), at=st.floats(0, 0.999))
def test_a_curve_has_no_steps(shape: str, at: float) -> None:
    # The steepest piece, Double 11's first minutes, climbs 0.4 in 0.2 of 24 hours.
    assert abs(shapes.share(shape, at + 0.001) - shapes.share(shape, at)) <= 0.0481


@pytest.mark.parametrize(
    ("shape", "at", "users"),
    [
        ("steady", 0, 100),
        ("steady", 99, 100),
        ("ramp", 0, 5),
        ("ramp", 40, 52),
        ("ramp", 90, 100),
        ("spike", 30, 20),
        ("spike", 41, 60),
        ("spike", 50, 100),
        ("spike", 80, 20),
        ("month-end", 0, 30),
        ("month-end", 95, 100),
    ],
)
def test_a_curve_is_what_it_is_called(shape: str, at: int, users: int) -> None:
    assert shapes.users_at(shape, at, total_s=100, users_max=100) == users


@pytest.mark.parametrize(("hour", "users"), [(0.2, 100), (5.5, 12), (12, 50), (20, 75), (23.5, 90)])
def test_double_11_is_a_day(hour: float, users: int) -> None:
    assert shapes.users_at("double11", hour, total_s=24, users_max=100) == users
    assert shapes.hour("double11", hour, total_s=24) == hour


def test_there_are_never_fewer_users_than_asked_for() -> None:
    assert shapes.users_at("double11", 5.5, total_s=24, users_max=20, users_min=6) == 6


@pytest.mark.parametrize(
    ("hour", "evening"),
    [(None, True), (18.9, False), (19.0, True), (22.9, True), (23.0, False), (3.0, False)],
)
def test_people_give_in_the_evening(hour: float | None, *, evening: bool) -> None:
    assert shapes.evening(hour) is evening
    assert shapes.hour("steady", 5, total_s=10) is None
