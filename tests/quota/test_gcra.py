"""A caller may come so often at once, and then as often as its allowance grows back."""

from random import Random

import pytest

from quota.gcra import Allowance, decide

TEN_A_MINUTE = Allowance(period_s=60, count_max=10)
SEED = 20_260_707


class Caller:
    """Comes when told to, and keeps what it was told."""

    def __init__(self, allowance: Allowance) -> None:
        self.allowance = allowance
        self.free_at = 0.0

    def comes(self, now: float) -> float | None:
        """None when it was let in, else after how long it may come again."""
        decision = decide(self.allowance, self.free_at, now)
        self.free_at = decision.free_at
        assert decision.allowed == (decision.retry_s == 0)
        return None if decision.allowed else decision.retry_s


def test_one_callers_minute() -> None:
    caller = Caller(TEN_A_MINUTE)

    assert [caller.comes(100.0) for _ in range(10)] == [None] * 10
    assert caller.comes(100.0) == pytest.approx(6.0)
    assert caller.comes(103.0) == pytest.approx(3.0)
    assert caller.comes(105.999) == pytest.approx(0.001)
    assert caller.comes(106.0) is None
    assert caller.comes(106.0) == pytest.approx(6.0)
    assert [caller.comes(166.0) for _ in range(10)] == [None] * 10
    assert caller.comes(166.0) is not None


def test_being_refused_costs_nothing() -> None:
    caller = Caller(TEN_A_MINUTE)
    for _ in range(10):
        caller.comes(0.0)

    for at in range(1, 600):
        assert caller.comes(at / 100) is not None

    assert caller.comes(6.0) is None


@pytest.mark.parametrize("allowance", [TEN_A_MINUTE, Allowance(period_s=1, count_max=1)])
def test_never_more_than_the_allowance_and_what_grew_back(allowance: Allowance) -> None:
    print(f"seed {SEED}")
    rng, caller, now = Random(SEED), Caller(allowance), 1_000.0
    let_in: list[float] = []
    share_s = allowance.period_s / allowance.count_max
    for _ in range(5_000):
        now += rng.choice((0.0, share_s / 3, share_s, 4 * share_s)) * rng.random()
        if (retry_s := caller.comes(now)) is None:
            let_in.append(now)
        elif rng.random() < 0.5:
            now += retry_s
            assert caller.comes(now) is None
            let_in.append(now)

    for first in range(0, len(let_in), 7):
        for last in range(first, min(first + 40, len(let_in))):
            grown = (let_in[last] - let_in[first]) / share_s
            assert last - first + 1 <= allowance.count_max + grown + 1e-6


@pytest.mark.parametrize(("period_s", "count_max"), [(0, 1), (-1, 1), (1, 0)])
def test_what_is_no_allowance_is_refused(period_s: float, count_max: int) -> None:
    with pytest.raises(ValueError, match="not an allowance"):
        Allowance(period_s=period_s, count_max=count_max)
