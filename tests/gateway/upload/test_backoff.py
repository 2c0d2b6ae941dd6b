"""Delays double up to a cap, are spread over all of it, and need no more than a count."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upload.backoff import Backoff

BACKOFF = Backoff(base_s=0.5, cap_s=30.0)


@given(failure_count=st.integers(1, 10_000), seed=st.integers())
def test_a_delay_lies_below_a_ceiling_that_doubles_up_to_the_cap(
    failure_count: int, seed: int
) -> None:
    delay_s = BACKOFF.delay_s(failure_count, Random(seed))

    assert 0 <= delay_s <= min(30.0, 0.5 * 2.0 ** min(failure_count - 1, 100))


@pytest.mark.parametrize(("failure_count", "mean_s"), [(1, 0.25), (3, 1.0), (50, 15.0)])
def test_delays_fill_the_whole_range(failure_count: int, mean_s: float) -> None:
    rng = Random(1)

    delays_s = [BACKOFF.delay_s(failure_count, rng) for _ in range(4000)]

    assert sum(delays_s) / 4000 == pytest.approx(mean_s, rel=0.05)
    assert min(delays_s) < mean_s / 20
    assert max(delays_s) > mean_s * 1.95


def test_the_same_seed_gives_the_same_delays() -> None:
    first, second = Random(7), Random(7)

    assert [BACKOFF.delay_s(n, first) for n in range(1, 9)] == [
        BACKOFF.delay_s(n, second) for n in range(1, 9)
    ]


@pytest.mark.parametrize(("base_s", "cap_s"), [(0, 1), (-1, 1), (2, 1)])
def test_a_backoff_that_makes_no_sense_is_refused(base_s: float, cap_s: float) -> None:
    with pytest.raises(ValueError, match="not a backoff"):
        Backoff(base_s=base_s, cap_s=cap_s)
