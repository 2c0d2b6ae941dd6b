"""Each caller has its own allowance, told by its address, and memory stays bounded."""

import pytest

from gateway.caller_limit import CallerLimit, caller_of
from invoice.errors import RateLimited
from tests.gateway.hand_clock import HandClock


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ipv4:10.0.0.1:50000", "ipv4:10.0.0.1:50001", True),
        ("ipv4:10.0.0.1:50000", "ipv4:10.0.0.2:50000", False),
        ("ipv6:[::1]:50000", "ipv6:%5B::1%5D:50001", True),
        ("ipv6:[2001:db8:1:2::1]:1", "ipv6:[2001:db8:1:2:ffff::9]:2", True),
        ("ipv6:[2001:db8:1:2::1]:1", "ipv6:[2001:db8:1:3::1]:1", False),
        ("ipv6:[::ffff:10.0.0.1]:1", "ipv4:10.0.0.1:2", True),
        ("ipv6:[fe80::1%eth0]:1", "ipv6:[fe80::1%25eth1]:1", True),
        ("unix:", "unix:@other", True),
        ("ipv4:nonsense", "ipv4:other", False),
    ],
)
def test_who_calls_is_told_by_the_address(one: str, other: str, same: bool) -> None:
    assert (caller_of(one) == caller_of(other)) is same


async def test_one_caller_too_often_bothers_nobody_else() -> None:
    clock = HandClock()
    limit = CallerLimit(3, clock=clock)
    for port in range(3):
        limit.take(f"ipv4:10.0.0.1:{port}")

    with pytest.raises(RateLimited) as caught:
        limit.take("ipv4:10.0.0.1:9")

    assert caught.value.retry_s == pytest.approx(20.0)
    limit.take("ipv4:10.0.0.2:9")
    await clock.move(20.0)
    limit.take("ipv4:10.0.0.1:9")


async def test_callers_that_are_longest_silent_are_forgotten_first() -> None:
    limit = CallerLimit(1, clock=HandClock(), caller_count_max=2)
    limit.take("ipv4:10.0.0.1:1")
    limit.take("ipv4:10.0.0.2:1")
    with pytest.raises(RateLimited):
        limit.take("ipv4:10.0.0.1:1")

    limit.take("ipv4:10.0.0.3:1")

    with pytest.raises(RateLimited):
        limit.take("ipv4:10.0.0.1:1")
    limit.take("ipv4:10.0.0.2:1")
    assert len(limit._free_at) == 2
