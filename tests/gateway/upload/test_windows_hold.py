"""The rate windows hold as the authority counts, over crashes, faults and clock steps, and are used up."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import virtual_time
from tests.fakes.strict_authority import Call, StrictAuthority, lost, throttled
from tests.fakes.upload_ledger import Shelf
from tests.fakes.upload_world import TAXPAYER, World

DAY_S = 86_400.0
THREE = ((1.0, 10), (60.0, 30), (3600.0, 600))


def busy_world(authority: StrictAuthority, seed: int, batch_count_max: int = 2) -> World:
    shelf = Shelf()
    shelf.register(TAXPAYER, authority.windows, batch_count_max)
    return World(authority, shelf, seed)


async def keep_a_backlog(world: World, until_s: float) -> None:
    """Let time pass while there is always something to send."""
    while (left_s := until_s - world.clock.monotonic()) > 0:
        if len(world.shelf.backlog[TAXPAYER]) < 400:
            world.shelf.issue(TAXPAYER, 400)
            world.shelf.events[TAXPAYER].clear()  # what is final is of no interest here
        await world.clock.sleep(min(20.0, left_s))


def test_a_day_with_50_crashes_exceeds_no_window_and_uses_98_percent() -> None:
    async def story() -> None:
        authority = StrictAuthority(
            windows=THREE, seed=1, round_trip_s=(0.002, 0.01), result_delay_s=5.0
        )
        world, rng = busy_world(authority, seed=2), Random(3)
        await world.start()

        for at in sorted(rng.uniform(0, DAY_S) for _ in range(50)):
            await keep_a_backlog(world, at)
            await world.restart()
        await keep_a_backlog(world, DAY_S)
        await world.crash()

        assert authority.excesses == []
        assert len(authority.arrivals[TAXPAYER]) >= 0.98 * 24 * 600
        assert set(authority.recorded.values()) == {1}

    virtual_time.run(story())


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    windows=st.lists(
        st.tuples(st.sampled_from([0.5, 1.0, 7.0, 60.0]), st.integers(1, 12)),
        min_size=1,
        max_size=3,
    ),
    trip_s=st.floats(0.0, 3.0),
    kill_after_s=st.lists(st.floats(0.01, 30.0), max_size=4),
)
def test_no_window_is_exceeded_with_faults_and_crashes(
    seed: int, windows: list[tuple[float, int]], trip_s: float, kill_after_s: list[float]
) -> None:
    async def story() -> None:
        rng = Random(seed)

        async def fault(moment: str, _: Call) -> None:
            # A place that a throttled call had is counted all the same.
            if moment == "before" and rng.random() < 0.05:
                raise throttled(rng.choice([None, 0.0, 1.0, 5.0]))
            if rng.random() < 0.05:
                raise lost()

        authority = StrictAuthority(
            windows=windows, seed=seed, round_trip_s=(0.0, trip_s), result_delay_s=1.0, fault=fault
        )
        world = busy_world(authority, seed)
        await world.start()
        for seconds in kill_after_s:
            await keep_a_backlog(world, world.clock.monotonic() + seconds)
            await world.restart()
        await keep_a_backlog(world, world.clock.monotonic() + 120)
        await world.crash()

        assert authority.excesses == []
        assert set(authority.recorded.values()) <= {1}

    virtual_time.run(story())


def test_a_step_of_the_wall_clock_opens_no_window() -> None:
    async def story() -> None:
        authority = StrictAuthority(windows=((60.0, 5),), round_trip_s=(0.0, 0.1))
        world = busy_world(authority, seed=1)
        await world.start()

        for step_s in (3600.0, -7200.0, 3600.0):
            await keep_a_backlog(world, world.clock.monotonic() + 30)
            world.clock.step_s += step_s
        await keep_a_backlog(world, world.clock.monotonic() + 100)

        assert authority.excesses == []
        assert len(authority.calls) >= 12

    virtual_time.run(story())


@pytest.mark.parametrize("round_trip_s", [0.01, 0.9])
def test_latency_does_not_cap_the_rate(round_trip_s: float) -> None:
    async def story() -> None:
        authority = StrictAuthority(windows=((1.0, 10),), round_trip_s=(round_trip_s,) * 2)
        world = busy_world(authority, seed=1)
        await world.start()

        await keep_a_backlog(world, 100.0)

        # A call holds its place for the round trip and one window more; that is all it costs.
        assert len(authority.calls) >= 0.98 * 1000 / (1 + round_trip_s)
        assert authority.in_flight_max >= round_trip_s * 10

    virtual_time.run(story())


def test_polls_take_at_most_an_eighth_of_scarce_calls() -> None:
    async def story() -> None:
        authority = StrictAuthority(windows=((60.0, 30),), result_delay_s=0.5)
        world = busy_world(authority, seed=1)
        await world.start()

        await keep_a_backlog(world, 1800.0)

        methods = [call.method for call in authority.calls]
        assert methods.count("get_results") <= len(methods) / 8
        assert len(methods) >= 0.98 * 900

    virtual_time.run(story())


def test_a_trickle_never_waits_for_a_window_it_has_used_up() -> None:
    async def story() -> None:
        sent_at: dict[str, float] = {}

        async def note(moment: str, call: Call) -> None:
            if moment == "before":
                sent_at.update(dict.fromkeys(call.numbers, world.clock.monotonic()))

        authority = StrictAuthority(windows=((60.0, 30),), fault=note)
        world = busy_world(authority, seed=1, batch_count_max=100)
        await world.start()

        issued_at = {}
        for _ in range(600):  # one invoice every 0.3 s for three minutes
            [event] = world.shelf.issue(TAXPAYER, 1)
            issued_at[event.item.number] = world.clock.monotonic()
            world.uploader.wake(TAXPAYER)
            await world.clock.sleep(0.3)
        await world.until_finished()

        waits_s = [sent_at[number] - at for number, at in issued_at.items()]
        assert waits_s[0] < 0.001
        # At most 4 s from call to call, and one call may have asked for results instead.
        assert max(waits_s) < 8.0
        assert authority.excesses == []

    virtual_time.run(story())
