"""One taxpayer probes while the authority is away, and its return is everybody's news, spread out."""

from random import Random

from gateway.upload.reach import Reach
from tests.gateway.hand_clock import HandClock


class Waiting:
    """A stream as ``Reach`` sees it."""

    def __init__(self) -> None:
        self.recalls: list[float] = []

    def __call__(self, delay_s: float) -> None:
        """Be called back."""
        self.recalls.append(delay_s)


def test_the_first_to_lose_the_authority_is_the_probe() -> None:
    reach = Reach(Random(1), HandClock())

    assert reach.lost("a", Waiting())
    assert not reach.lost("b", Waiting())
    assert reach.lost("a", Waiting())


def test_an_answer_calls_all_others_back_spread_over_their_number() -> None:
    reach, waiting = Reach(Random(1), HandClock()), {f"t{n}": Waiting() for n in range(500)}
    for tax_number, stream in waiting.items():
        reach.lost(tax_number, stream)

    reach.found("t7")

    assert waiting.pop("t7").recalls == []
    delays_s = sorted(delay_s for stream in waiting.values() for delay_s in stream.recalls)
    assert len(delays_s) == 499
    assert delays_s[-1] < 5.0
    # At most twice the even rate in any tenth of the time.
    assert max(sum(lo <= it < lo + 0.5 for it in delays_s) for lo in range(5)) < 100
    assert reach.waiting_count == 0


def test_after_the_authority_was_found_the_next_loss_elects_another_probe() -> None:
    reach = Reach(Random(1), HandClock())
    reach.lost("a", Waiting())
    reach.found("b")

    assert reach.lost("b", Waiting())


def test_a_probe_that_ends_hands_over_at_once() -> None:
    reach, heir = Reach(Random(1), HandClock()), Waiting()
    reach.lost("a", Waiting())
    reach.lost("b", heir)

    reach.left("a")

    assert heir.recalls == [0.0]
    assert reach.lost("b", heir)


def test_one_that_is_not_the_probe_leaves_without_a_word() -> None:
    reach, probe = Reach(Random(1), HandClock()), Waiting()
    reach.lost("a", probe)
    reach.lost("b", Waiting())

    reach.left("b")
    reach.left("c")

    assert probe.recalls == []
    assert reach.waiting_count == 1


def test_an_answer_while_nobody_waits_is_no_news() -> None:
    reach = Reach(Random(1), HandClock())

    reach.found("a")

    assert reach.waiting_count == 0


def test_how_long_nobody_was_answered_is_counted_from_the_first_loss() -> None:
    clock = HandClock()
    reach = Reach(Random(1), clock)
    reach.lost("a", Waiting())
    clock.passed_s = 60.0
    reach.lost("b", Waiting())

    assert reach.lost_at == clock.now() - 60.0


def test_an_answer_ends_it_and_so_does_nobody_asking_any_more() -> None:
    answered, left = Reach(Random(1), HandClock()), Reach(Random(1), HandClock())
    for reach in (answered, left):
        reach.lost("a", Waiting())

    answered.found("b")
    left.left("a")

    assert answered.lost_at is None
    assert left.lost_at is None
