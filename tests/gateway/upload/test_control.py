"""An operator pauses uploads and lowers their rate: at once, over restarts, and within all windows."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upload.control import in_force
from ledger.records import RateWindow, UploadControlRecord
from tests.fakes import virtual_time
from tests.fakes.strict_authority import Call, StrictAuthority, lost, no_fault
from tests.fakes.upload_ledger import Shelf, no_hook
from tests.fakes.upload_world import OTHER, TAXPAYER, World

Windows = tuple[tuple[float, int], ...]


async def unreachable(_: str, __: Call) -> None:
    """Nobody answers."""
    raise lost()


def a_world(windows: Windows = (), *, authority: StrictAuthority | None = None) -> World:
    shelf = Shelf()
    shelf.register(TAXPAYER, windows, 2)
    return World(authority or StrictAuthority(windows=windows), shelf)


async def decide(world: World, **what: object) -> None:
    """What an operator decides, as the servicer does it: stored, then kept to."""
    known = world.shelf.controls.get(TAXPAYER) or UploadControlRecord(tax_number=TAXPAYER)
    world.shelf.controls[TAXPAYER] = replace(known, **what)  # type: ignore[arg-type]
    await world.uploader.reload(TAXPAYER)


def rate_windows(*windows: tuple[float, int]) -> tuple[RateWindow, ...]:
    return tuple(RateWindow(period_s=p, call_count_max=n) for p, n in windows)


def test_of_windows_of_one_length_the_tightest_is_in_force() -> None:
    given_ = rate_windows((1, 10), (60, 30))

    assert in_force(given_, ()) == given_
    assert in_force(given_, rate_windows((1, 3), (60, 99), (3600, 5))) == rate_windows(
        (1, 3), (60, 30), (3600, 5)
    )
    assert in_force(rate_windows((1, 1), (1, 2)), ()) == rate_windows((1, 1))


def test_a_paused_stream_sends_nothing_not_even_polls_until_its_time() -> None:
    async def story() -> None:
        world = a_world(authority=StrictAuthority(result_delay_s=5.0))
        await world.start()
        world.shelf.issue(TAXPAYER, 4)
        world.uploader.wake(TAXPAYER)
        await world.until(lambda: len(world.authority.taken) == 2)

        paused_at = world.clock.now()
        await decide(world, paused=True, paused_until=paused_at + 600)
        world.shelf.issue(TAXPAYER, 4)
        world.uploader.wake(TAXPAYER)
        before = len(world.authority.calls)
        await world.clock.sleep(590)
        during = len(world.authority.calls)
        status = await world.uploader.status(TAXPAYER)
        await world.until_finished(limit_s=30)

        assert before == during
        assert status.next_call_at == pytest.approx(paused_at + 600, abs=0.01)
        assert world.clock.now() >= paused_at + 600
        assert set(world.authority.recorded.values()) == {1}

    virtual_time.run(story())


def test_a_pause_without_an_end_holds_over_a_restart_until_it_is_resumed() -> None:
    async def story() -> None:
        world = a_world()
        await world.start()
        await decide(world, paused=True)
        world.shelf.issue(TAXPAYER, 4)

        await world.restart()
        await world.clock.sleep(100_000)
        before = len(world.authority.calls)
        status = await world.uploader.status(TAXPAYER)
        await decide(world, paused=False)
        took_s = await world.until_finished(limit_s=30)

        assert before == 0
        assert status.next_call_at is None
        assert took_s < 5

    virtual_time.run(story())


def test_another_pause_moves_the_end_of_the_first() -> None:
    async def story() -> None:
        world = a_world()
        await world.start()
        now = world.clock.now()
        await decide(world, paused=True, paused_until=now + 10_000)
        world.shelf.issue(TAXPAYER, 2)
        world.uploader.wake(TAXPAYER)
        await world.clock.sleep(10)

        await decide(world, paused_until=now + 100)
        await world.until_finished(limit_s=200)

        assert 100 <= world.clock.now() - now < 110

    virtual_time.run(story())


def test_a_call_that_waits_for_its_permit_is_not_sent_into_a_pause() -> None:
    async def story() -> None:
        world = a_world(((1.0, 10),))

        async def hook(point: str) -> None:
            if point == "permit before":
                await decide(world, paused=True, paused_until=world.clock.now() + 50)

        world.hook = hook
        await world.start()
        world.shelf.issue(TAXPAYER, 1)
        world.uploader.wake(TAXPAYER)
        await world.clock.sleep(49)
        assert world.authority.calls == []

        world.hook = no_hook
        await world.until_finished(limit_s=10)
        assert set(world.authority.recorded.values()) == {1}

    virtual_time.run(story())


def test_a_step_of_the_wall_clock_ends_a_pause_within_a_minute() -> None:
    async def story() -> None:
        world = a_world()
        await world.start()
        await decide(world, paused=True, paused_until=world.clock.now() + 10_000)
        world.shelf.issue(TAXPAYER, 2)
        world.uploader.wake(TAXPAYER)
        await world.clock.sleep(1)

        world.clock.step_s += 20_000
        await world.until_finished(limit_s=65)

    virtual_time.run(story())


@pytest.mark.parametrize("seed", range(6))
def test_a_pause_of_the_one_that_looks_out_leaves_the_lookout_to_another(seed: int) -> None:
    async def story() -> None:
        authority = StrictAuthority(fault=unreachable)
        shelf = Shelf()
        world = World(authority, shelf, seed)
        await world.start()
        for tax_number in (TAXPAYER, OTHER):
            shelf.register(tax_number)
            shelf.issue(tax_number, 2)
            world.uploader.wake(tax_number)
        await world.clock.sleep(120)

        await decide(world, paused=True)
        authority.fault = no_fault
        took_s = await world.until(lambda: shelf.finished(OTHER), limit_s=60)

        assert took_s < 4  # what a lookout waits at most, and a little more
        assert not shelf.finished(TAXPAYER)

    virtual_time.run(story())


def test_a_lower_rate_holds_at_once_and_after_a_restart_and_is_lifted() -> None:
    async def story() -> None:
        world = a_world(((1.0, 10),))
        await world.start()
        world.shelf.issue(TAXPAYER, 4000)
        world.uploader.wake(TAXPAYER)

        async def calls_in(seconds: float) -> int:
            before = len(world.authority.calls)
            await world.clock.sleep(seconds)
            return len(world.authority.calls) - before

        free = await calls_in(20)
        await decide(world, windows=rate_windows((10.0, 5)))
        lowered = await calls_in(100)
        uses = (await world.uploader.status(TAXPAYER)).windows
        await world.restart()
        after_restart = await calls_in(100)
        await decide(world, windows=())
        lifted = await calls_in(20)

        assert free > 180
        # It counts what was sent before it was set.
        assert 40 <= lowered <= 50
        assert [(use.period_s, use.call_count_max) for use in uses] == [(1.0, 10), (10.0, 5)]
        assert 40 <= after_restart <= 50
        assert lifted > 180
        assert world.authority.excesses == []

    virtual_time.run(story())


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    trip_s=st.floats(0.0, 2.0),
    steps=st.lists(
        st.tuples(
            st.floats(0.05, 15.0),
            st.lists(st.tuples(st.sampled_from([1.0, 7.0, 60.0]), st.integers(1, 8)), max_size=2),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_no_window_of_the_authority_is_exceeded_while_the_rate_changes(
    seed: int, trip_s: float, steps: list[tuple[float, list[tuple[float, int]]]]
) -> None:
    async def story() -> None:
        windows = ((1.0, 4), (20.0, 30))
        authority = StrictAuthority(windows=windows, seed=seed, round_trip_s=(0.0, trip_s))
        world, rng = a_world(windows, authority=authority), Random(seed)
        await world.start()
        world.shelf.issue(TAXPAYER, 600)
        world.uploader.wake(TAXPAYER)
        for seconds, lowered in steps:
            await world.clock.sleep(seconds)
            await decide(world, windows=rate_windows(*lowered))
            if rng.random() < 0.3:
                await world.restart()
        await world.clock.sleep(30)

        assert authority.excesses == []
        assert set(authority.recorded.values()) <= {1}

    virtual_time.run(story())
