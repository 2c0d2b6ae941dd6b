"""An open loop counts from when a call was due, and accounts for every call, on virtual time."""

import asyncio
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.arrivals import CONSTANT, POISSON, OpenLoop, Tally, due, rates
from tests.fakes import virtual_time


class Refusal(Exception):
    """No invoice."""


class Server:
    """Answers at once, but for a stall: who comes then waits for its end."""

    def __init__(self, *, stall: tuple[float, float] = (0.0, 0.0), takes_s: float = 0.001) -> None:
        self.stall = stall
        self.takes_s = takes_s
        self.seen: list[int] = []
        self.outstanding = 0
        self.outstanding_max = 0

    async def issue(self, number: int) -> None:
        """Answer the ``number``-th call; every tenth is refused when ``takes_s`` is 0."""
        self.seen.append(number)
        self.outstanding += 1
        self.outstanding_max = max(self.outstanding, self.outstanding_max)
        try:
            now = asyncio.get_running_loop().time()
            begin, end = self.stall
            await asyncio.sleep(end - now if begin <= now < end else self.takes_s)
            if not self.takes_s and number % 10 == 0:
                raise Refusal
        finally:
            self.outstanding -= 1


def run(server: Server, *, outstanding_max: int = 1000, grace_s: float = 0.0) -> Tally:
    """Ten seconds at 100 calls a second."""

    async def main() -> Tally:
        loop = OpenLoop(
            server.issue, outstanding_max=outstanding_max, grace_s=grace_s, failures=Refusal
        )
        return await loop.run(due(100, 10, kind=CONSTANT, random=Random(1)), seconds=10)

    return virtual_time.run(main())


def test_a_quick_server_is_called_when_each_call_is_due() -> None:
    tally = run(Server())

    assert (tally.due, tally.sent, tally.answered) == (1000, 1000, 1000)
    assert (tally.late, tally.unsent, tally.failed) == (0, 0, 0)
    assert tally.latencies.get_value_at_percentile(99.9) <= 1_100


def test_a_stall_is_felt_by_all_who_came_meanwhile() -> None:
    # A closed loop of one caller would have had one slow call in a thousand.
    tally = run(Server(stall=(2.0, 4.0)))

    assert tally.sent == 1000
    # A fifth of all came in the stall and waited 0 to 2 s: the 90th percentile is half of it.
    assert tally.latencies.get_value_at_percentile(90) == pytest.approx(1_000_000, rel=0.02)
    assert tally.latencies.max_value == pytest.approx(2_000_000, rel=0.01)


def test_who_waits_for_a_free_place_counts_from_when_it_was_due() -> None:
    server = Server(stall=(2.0, 4.0))
    tally = run(server, outstanding_max=10)

    assert server.outstanding_max == 10
    assert (tally.sent, tally.unsent) == (1000, 0)
    # 190 came while ten were outstanding; they were sent at the stall's end, all of them late but one.
    assert tally.late == pytest.approx(190, abs=3)
    assert tally.latencies.get_value_at_percentile(90) == pytest.approx(1_000_000, rel=0.02)
    assert server.seen == sorted(server.seen)


def test_what_could_not_be_sent_is_late_and_stays_in_the_latencies() -> None:
    server = Server(stall=(2.0, 30.0))
    tally = run(server, outstanding_max=10, grace_s=1.0)

    assert tally.due == 1000 == tally.sent + tally.unsent
    assert tally.unsent == 1000 - 210
    assert tally.late >= tally.unsent
    assert tally.latencies.total_count == 1000
    # The first that found no place was due at 2.1 s and was given up at 11 s; ten were answered at 30 s.
    assert tally.latencies.get_value_at_percentile(98.9) == pytest.approx(8_900_000, rel=0.02)
    assert tally.latencies.max_value == pytest.approx(28_000_000, rel=0.01)


def test_quick_refusals_do_not_make_the_server_look_fast() -> None:
    tally = run(Server(takes_s=0.0))

    assert (tally.answered, tally.failed) == (900, 100)
    assert tally.latencies.total_count == 900


def test_a_fault_of_the_caller_ends_the_run() -> None:
    class Broken(Server):
        async def issue(self, number: int) -> None:
            raise ZeroDivisionError(number)

    with pytest.raises(ExceptionGroup):
        run(Broken())


@given(
    rate=st.floats(0.5, 2000), seconds=st.floats(0.1, 5), kind=st.sampled_from([POISSON, CONSTANT])
)
def test_calls_are_due_in_order_and_within_the_run(rate: float, seconds: float, kind: str) -> None:
    times = list(due(rate, seconds, kind=kind, random=Random(7)))

    assert times == sorted(times)
    assert all(0 <= at < seconds for at in times)


def test_poisson_has_the_rate_and_the_spread_of_independent_callers() -> None:
    times = list(due(1000, 20, kind=POISSON, random=Random(11)))
    gaps = [after - before for before, after in pairwise(times)]

    assert len(times) == pytest.approx(20_000, rel=0.03)
    # The gaps of independent callers vary as much as they are long.
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert variance**0.5 == pytest.approx(mean, rel=0.05)


def test_one_seed_gives_one_run() -> None:
    first = list(due(50, 2, kind=POISSON, random=Random(3)))

    assert first == list(due(50, 2, kind=POISSON, random=Random(3)))
    assert first != list(due(50, 2, kind=POISSON, random=Random(4)))


def test_rates_are_read() -> None:
    assert rates("500,1000") == [500, 1000]
    for text in ("", "0", "-5", "fast"):
        with pytest.raises(ValueError):  # noqa: PT011 - argparse says it
            rates(text)
