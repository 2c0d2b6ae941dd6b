"""Lanes keep blocking calls off the loop, give answers in order, and survive calls that hang."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from hsm.gate import Gate
from hsm.lanes import LaneLate, Lanes, LanesClosed, in_thread


class Seat:
    """Counts how many of its kind were closed."""

    closed_count = 0

    def close(self) -> None:
        """Count it."""
        type(self).closed_count += 1


@pytest.fixture
def seat_type() -> type[Seat]:
    return type("FreshSeat", (Seat,), {})


def lanes_of(seat_type: type[Seat], *, count: int = 2, wait_s: float = 2.0) -> Lanes[Seat]:
    lanes = Lanes(seat_type, count=count, wait_s=wait_s)
    lanes.start()
    return lanes


def answering(value: int) -> Callable[[Seat], int]:
    return lambda _: value


async def test_results_stand_in_the_order_of_the_work(seat_type: type[Seat]) -> None:
    lanes = lanes_of(seat_type)

    results = await lanes.run([answering(value) for value in range(50)])

    assert results == list(range(50))
    await lanes.close()


async def test_work_runs_off_the_loop_and_on_several_threads(seat_type: type[Seat]) -> None:
    lanes = lanes_of(seat_type, count=2)
    both = threading.Barrier(2)

    def meet(_: Seat) -> str:
        both.wait(2)
        return threading.current_thread().name

    names = await lanes.run([meet, meet])

    assert sorted(names) == ["hsm-lane-1", "hsm-lane-2"]
    await lanes.close()


async def test_the_first_error_is_the_callers_and_what_is_queued_is_dropped(
    seat_type: type[Seat],
) -> None:
    lanes = lanes_of(seat_type, count=1)
    ran = []

    def fail(_: Seat) -> None:
        raise LookupError("first")

    def record(_: Seat) -> None:
        ran.append(1)

    with pytest.raises(LookupError, match="first"):
        await lanes.run([fail, *[record] * 2000])

    # One lane, one queue: when this answer is here, the two thousand have been passed by.
    assert await lanes.run([answering(1)]) == [1]
    assert len(ran) < 2000
    await lanes.close()


async def test_a_lane_that_hangs_is_replaced_and_leaves_when_it_can(seat_type: type[Seat]) -> None:
    lanes = lanes_of(seat_type, count=1, wait_s=0.05)
    may_go = threading.Event()

    with pytest.raises(LaneLate) as late:
        await lanes.run([lambda _: may_go.wait()])

    assert late.value.stuck
    assert lanes.abandoned_count == 1
    assert await lanes.run([answering(7)]) == [7]
    may_go.set()
    await lanes.close()
    for thread in threading.enumerate():
        if thread.name == "hsm-lane-1":
            thread.join(2)
    assert lanes.abandoned_count == 0
    assert seat_type.closed_count == 2


async def test_no_more_threads_are_abandoned_than_allowed(seat_type: type[Seat]) -> None:
    lanes = lanes_of(seat_type, count=1, wait_s=0.02)
    may_go = threading.Event()

    for _ in range(6):
        with pytest.raises(LaneLate):
            await lanes.run([lambda _: may_go.wait()])

    assert lanes.abandoned_count == 2
    # The last lane was kept. It comes back with the device, without anybody's help.
    may_go.set()
    async with asyncio.timeout(2):
        assert await lanes.run([answering(7)], wait_s=2) == [7]
    await lanes.close()


async def test_a_long_queue_is_late_but_not_stuck(seat_type: type[Seat]) -> None:
    lanes = lanes_of(seat_type, count=1, wait_s=0.3)
    turn = threading.Event()

    def brief(_: Seat) -> None:
        turn.wait(0.01)

    with pytest.raises(LaneLate) as late:
        await lanes.run([brief] * 300)

    assert not late.value.stuck
    assert lanes.abandoned_count == 0
    await lanes.close()


async def test_closed_lanes_finish_what_is_queued_and_take_no_more(seat_type: type[Seat]) -> None:
    lanes = lanes_of(seat_type)
    running = asyncio.create_task(lanes.run([answering(value) for value in range(20)]))
    await asyncio.sleep(0)

    await lanes.close()

    assert await running == list(range(20))
    assert seat_type.closed_count == 2
    with pytest.raises(LanesClosed):
        await lanes.run([answering(1)])


async def test_a_single_blocking_call_answers_or_raises() -> None:
    def fail() -> None:
        raise LookupError("no")

    assert await in_thread(lambda: 5) == 5
    with pytest.raises(LookupError):
        await in_thread(fail)


def test_the_gate_keeps_others_out_while_one_is_alone() -> None:
    gate, entered = Gate(), threading.Event()

    def enter() -> None:
        with gate:
            entered.set()

    with gate.alone(wait_s=1):
        visitor = threading.Thread(target=enter)
        visitor.start()
        assert not entered.wait(0.05)
    visitor.join(2)

    assert entered.is_set()


def test_nobody_gets_the_gate_alone_while_a_call_is_inside() -> None:
    gate = Gate()

    with gate, pytest.raises(TimeoutError, match="still inside"), gate.alone(wait_s=0.01):
        pass

    with gate.alone(wait_s=0.01):
        pass
