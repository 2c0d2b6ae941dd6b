"""What the gateway can do is learnt from what comes out while there is more, and forgotten when it is old."""

import math

import pytest

from gateway.admission import ROOM_COUNT_MIN, Admission
from gateway.throughput import Throughput
from invoice.errors import Overloaded
from tests.fakes.set_clock import SetClock


class Line:
    """Outcomes on a clock that a test moves."""

    def __init__(self) -> None:
        self.clock = SetClock(1_800_000_000.0)
        self.throughput = Throughput(self.clock.monotonic)

    def run(self, seconds: float, *, per_s: float, busy_count: int) -> float:
        """Let so many end a second, with so many in work beside each."""
        for _ in range(round(seconds * per_s)):
            self.clock.pass_by(1 / per_s)
            self.throughput.ended(busy_count)
        return self.throughput.per_s


@pytest.fixture
def line() -> Line:
    return Line()


def test_nothing_is_known_before_there_was_more_than_could_be_done(line: Line) -> None:
    assert math.isinf(line.run(10, per_s=5, busy_count=1))
    assert math.isinf(line.run(10, per_s=900, busy_count=63))


def test_it_is_what_comes_out_while_there_is_more(line: Line) -> None:
    assert line.run(3, per_s=800, busy_count=300) == pytest.approx(800, rel=0.02)
    # It follows: slower and faster, within a few seconds.
    assert line.run(5, per_s=200, busy_count=300) == pytest.approx(200, rel=0.05)
    assert line.run(5, per_s=2_000, busy_count=300) == pytest.approx(2_000, rel=0.05)


def test_a_quiet_time_is_no_measure_and_a_slow_one_is_forgotten(line: Line) -> None:
    line.run(3, per_s=800, busy_count=300)
    assert line.run(5, per_s=10, busy_count=1) >= 800

    stuck = line.run(60, per_s=1, busy_count=300)
    assert stuck < 2
    assert line.run(20, per_s=100, busy_count=10) >= 100


def test_the_room_is_what_is_done_within_the_longest_wait(line: Line) -> None:
    busy_count = 0
    admission = Admission(
        count_max=4096,
        in_work=lambda: busy_count,
        throughput=line.throughput,
        wait_s_max=0.5,
    )

    def room() -> int:
        nonlocal busy_count
        for busy_count in range(0, 5000, 8):
            try:
                with admission.admitted(1):
                    pass
            except Overloaded:
                return busy_count
        raise AssertionError("there is no end of room")

    assert room() == 4096
    line.run(5, per_s=2_000, busy_count=300)
    assert room() == pytest.approx(1_000, rel=0.05)
    line.run(5, per_s=100, busy_count=300)
    assert room() == ROOM_COUNT_MIN


@pytest.mark.parametrize(("per_s", "least_s", "most_s"), [(1_000, 0.3, 0.9), (50, 2.5, 7.5)])
def test_callers_are_told_to_come_back_when_there_is_room_and_not_all_at_once(
    line: Line, per_s: float, least_s: float, most_s: float
) -> None:
    line.run(5, per_s=per_s, busy_count=300)
    admission = Admission(
        count_max=600, in_work=lambda: 600, throughput=line.throughput, wait_s_max=0.5
    )
    advised = set()
    for _ in range(50):
        with pytest.raises(Overloaded) as refused, admission.admitted(1):
            pass
        advised.add(refused.value.retry_s)

    assert all(one is not None and least_s <= one <= most_s for one in advised)
    assert len(advised) > 10


async def test_streams_and_bulk_have_their_parts_of_the_room_as_it_is_now(line: Line) -> None:
    line.run(5, per_s=100, busy_count=300)
    admission = Admission(
        count_max=4096, in_work=lambda: 0, throughput=line.throughput, wait_s_max=0.5
    )

    turns = [admission.turn() for _ in range(ROOM_COUNT_MIN)]

    assert turns.count(None) == ROOM_COUNT_MIN // 2
    with pytest.raises(Overloaded), admission.admitted(ROOM_COUNT_MIN // 4 + 1, bulk=True):
        pass
    with admission.admitted(ROOM_COUNT_MIN // 4, bulk=True):
        pass
