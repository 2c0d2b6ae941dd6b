"""Permits are stored before the call, turns are handed out in order, and the guard never polls."""

import asyncio
from typing import cast

import pytest
from asyncio_throttle.throttler import Throttler

from gateway.clock import SystemClock
from gateway.upload.pacer import Pacer, SteadyTime, throttler
from invoice.errors import LedgerUnavailable
from ledger.port import Ledger
from ledger.records import Permit
from quota.windows import Window
from tests.fakes import virtual_time
from tests.fakes.upload_ledger import Hook, Shelf, UploadLedger, no_hook
from tests.fakes.upload_world import TAXPAYER
from tests.fakes.virtual_time import VirtualClock, virtual_guard

WINDOW = Window(period_s=10, call_count_max=3)


async def pacer_on(
    shelf: Shelf, *windows: Window, clock: VirtualClock | None = None, hook: Hook = no_hook
) -> Pacer:
    ledger = UploadLedger(shelf, hook)
    clock = clock or VirtualClock()
    pacer = Pacer(
        TAXPAYER,
        ledger=cast("Ledger", ledger),
        clock=clock,
        steady=SteadyTime(clock),
        guard=virtual_guard,
    )
    ledger.start(clock.now())
    await pacer.open(windows)
    return pacer


def shelf_with_taxpayer() -> Shelf:
    shelf = Shelf()
    shelf.register(TAXPAYER)
    return shelf


def test_turns_are_handed_out_in_the_order_they_were_asked_for() -> None:
    async def story() -> None:
        pacer = await pacer_on(shelf_with_taxpayer(), Window(period_s=1, call_count_max=1))
        order: list[int] = []

        async def call(name: int) -> None:
            permit = await pacer.take()
            order.append(name)
            await asyncio.sleep(0.01)
            await pacer.answered(permit)

        await asyncio.gather(*(call(name) for name in range(20)))

        assert order == list(range(20))

    virtual_time.run(story())


def test_a_permit_is_stored_before_its_call_and_answered_after() -> None:
    async def story() -> None:
        shelf = shelf_with_taxpayer()
        pacer = await pacer_on(shelf, WINDOW)

        permit = await pacer.take()
        stored = [it.answered_at for it in shelf.permits[TAXPAYER].values()]
        await asyncio.sleep(2)
        await pacer.answered(permit)

        assert stored == [None]
        [kept] = shelf.permits[TAXPAYER].values()
        assert kept.answered_at == pytest.approx(kept.sent_at + 2, abs=0.001)

    virtual_time.run(story())


def test_what_the_windows_have_seen_survives_a_restart() -> None:
    async def story() -> None:
        shelf = shelf_with_taxpayer()
        before = await pacer_on(shelf, WINDOW)
        await before.answered(await before.take())
        await before.take()
        await asyncio.sleep(4)

        after = await pacer_on(shelf, WINDOW)
        used = [use.used_count for use in after.uses()]
        await after.take()
        free_at = after.next_call_at(4.0)

        # The answered one frees its place first; the unanswered one counts from the restart.
        assert used == [2]
        assert free_at == pytest.approx(WINDOW.hold_s, abs=0.001)
        assert asyncio.get_running_loop().time() == pytest.approx(4, abs=0.001)

    virtual_time.run(story())


def test_a_call_that_could_not_be_stored_is_not_sent_and_holds_no_place() -> None:
    async def story() -> None:
        async def hook(point: str) -> None:
            if point == "permit before":
                raise LedgerUnavailable("disk full")

        pacer = await pacer_on(shelf_with_taxpayer(), WINDOW, hook=hook)

        for _ in range(5):
            with pytest.raises(LedgerUnavailable):
                await pacer.take()

        assert [use.used_count for use in pacer.uses()] == [0]

    virtual_time.run(story())


def test_an_answer_that_could_not_be_stored_frees_its_place_all_the_same() -> None:
    async def story() -> None:
        async def hook(point: str) -> None:
            if point == "answer before":
                raise LedgerUnavailable("disk full")

        pacer = await pacer_on(
            shelf_with_taxpayer(), Window(period_s=1, call_count_max=1), hook=hook
        )

        for _ in range(3):
            await pacer.answered(await pacer.take())

        assert asyncio.get_running_loop().time() > 2

    virtual_time.run(story())


def test_without_windows_nothing_waits_and_nothing_is_stored() -> None:
    async def story() -> None:
        shelf = shelf_with_taxpayer()
        pacer = await pacer_on(shelf)

        for _ in range(1000):
            await pacer.answered(await pacer.take())

        assert asyncio.get_running_loop().time() < 0.01
        assert shelf.permits[TAXPAYER] == {}

    virtual_time.run(story())


def test_calls_throttled_together_halve_the_share_once_and_clean_windows_raise_it() -> None:
    async def story() -> None:
        pacer = await pacer_on(shelf_with_taxpayer(), WINDOW)

        pauses = [pacer.throttled(5.0), pacer.throttled(None), pacer.throttled(1.0)]
        throttled_share, free_at = pacer.share, pacer.next_call_at(0.0)
        pacer.welcomed()
        shares = [pacer.share]
        for _ in range(5):
            await asyncio.sleep(WINDOW.period_s)
            pacer.welcomed()
            shares.append(pacer.share)

        assert pauses == [5.0, WINDOW.period_s, 1.0]
        assert free_at == pytest.approx(WINDOW.period_s, abs=0.001)
        assert throttled_share == 0.5
        assert shares == [0.5, 0.625, 0.75, 0.875, 1.0, 1.0]

    virtual_time.run(story())


def test_memory_keeps_no_more_than_the_longest_window() -> None:
    async def story() -> None:
        pacer = await pacer_on(shelf_with_taxpayer(), WINDOW, Window(period_s=1, call_count_max=2))

        for _ in range(300):
            await pacer.answered(await pacer.take())

        assert len(pacer._answered or ()) <= WINDOW.call_count_max + 1

    virtual_time.run(story())


def test_wider_windows_remember_what_was_sent_under_the_narrow_ones() -> None:
    async def story() -> None:
        pacer = await pacer_on(shelf_with_taxpayer(), Window(period_s=1, call_count_max=1))
        for _ in range(3):
            await pacer.answered(await pacer.take())
        await asyncio.sleep(5)

        await pacer.open([Window(period_s=60, call_count_max=3)])

        assert [use.used_count for use in pacer.uses()] == [3]
        assert pacer.next_call_at(asyncio.get_running_loop().time()) == pytest.approx(60, rel=0.01)

    virtual_time.run(story())


def test_windows_change_while_calls_are_under_way_and_each_call_counts_once() -> None:
    async def story() -> None:
        shelf = shelf_with_taxpayer()
        late: list[Permit | None] = []

        async def hook(point: str) -> None:
            if point == "permits before" and late:
                await pacer.answered(late.pop())

        pacer = await pacer_on(shelf, Window(period_s=1, call_count_max=5), hook=hook)
        await pacer.answered(await pacer.take())
        under_way = await pacer.take()
        late.append(await pacer.take())  # its answer comes while the stored ones are read

        await pacer.open([Window(period_s=60, call_count_max=4)])
        changed = [use.used_count for use in pacer.uses()]
        await pacer.answered(under_way)

        assert changed == [use.used_count for use in pacer.uses()] == [3]

    virtual_time.run(story())


def test_a_call_that_waits_for_its_turn_goes_by_windows_that_are_lifted_meanwhile() -> None:
    async def story() -> None:
        pacer = await pacer_on(shelf_with_taxpayer(), Window(period_s=3600, call_count_max=1))
        await pacer.answered(await pacer.take())
        waiting = asyncio.create_task(pacer.take())
        await asyncio.sleep(1)

        await pacer.open([Window(period_s=3600, call_count_max=2)])
        await waiting

        assert asyncio.get_running_loop().time() < 2

    virtual_time.run(story())


@pytest.mark.parametrize("step_s", [3_700.0, -3_700.0])
def test_a_step_of_the_wall_clock_shows_in_no_stored_time(step_s: float) -> None:
    async def story() -> None:
        shelf, clock = shelf_with_taxpayer(), VirtualClock()
        pacer = await pacer_on(shelf, WINDOW, clock=clock)

        await pacer.answered(await pacer.take())
        clock.step_s = step_s
        await pacer.answered(await pacer.take())

        first, second = (one.answered_at for one in shelf.permits[TAXPAYER].values())
        assert first is not None
        assert second == pytest.approx(first, abs=0.001)

    virtual_time.run(story())


async def test_the_real_guard_stands_behind_the_pacer_and_never_polls() -> None:
    class Watched(Throttler):
        def flush(self) -> None:
            super().flush()  # type: ignore[no-untyped-call]
            assert len(self._task_logs) < self.rate_limit, "it would poll now"

    window = Window(period_s=0.05, call_count_max=5)
    shelf = shelf_with_taxpayer()
    pacer = Pacer(
        TAXPAYER,
        ledger=cast("Ledger", UploadLedger(shelf)),
        clock=SystemClock(),
        steady=SteadyTime(SystemClock()),
        guard=lambda window: Watched(rate_limit=window.call_count_max, period=window.period_s),
    )
    await pacer.open([window])

    for _ in range(40):
        await pacer.answered(await pacer.take())

    assert len(shelf.permits[TAXPAYER]) == 40


async def test_the_guard_in_use_is_strict_over_the_shortest_window() -> None:
    guard = throttler(Window(period_s=60, call_count_max=2))

    await guard.acquire()
    await guard.acquire()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await guard.acquire()
