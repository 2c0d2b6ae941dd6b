"""Wherever the process dies or stops, what is stored is enough to end as if it had not."""

import asyncio

import pytest

from tests.fakes import virtual_time
from tests.fakes.strict_authority import Call, StrictAuthority, lost, throttled
from tests.fakes.upload_ledger import Shelf
from tests.fakes.upload_world import TAXPAYER, World

WINDOWS = ((1.0, 3), (60.0, 30))
EVENT_COUNT = 9
POISON, REFUSED = "00000003", "00000007"


class Tripwire:
    """Counts the steps between the uploader and the world; ``trip_at`` is where it is caught."""

    def __init__(self, trip_at: int, *, hang: bool) -> None:
        self.tripped = asyncio.Event()
        self._trip_at = trip_at
        self._hang = hang
        self._count = 0
        self._troubles = [throttled(1.5), lost(), lost()]

    async def at_ledger(self, _: str) -> None:
        """One step of the ledger."""
        await self._step()

    async def at_authority(self, moment: str, _: Call) -> None:
        """One step of the authority."""
        await self._step()
        # One throttle, one lost request and one lost answer on the way make every branch a step.
        if self._troubles and (moment == "after") == (len(self._troubles) == 1):
            raise self._troubles.pop(0)

    async def _step(self) -> None:
        self._count += 1
        if self._count == self._trip_at:
            self.tripped.set()
            if self._hang:
                await asyncio.get_running_loop().create_future()


async def story_with(trip_at: int, *, crash: bool) -> bool:
    """Run until the wire, crash or stop there, run to the end; False when the wire was not met."""
    wire = Tripwire(trip_at, hang=crash)
    authority = StrictAuthority(
        windows=WINDOWS,
        round_trip_s=(0.0, 0.02),
        result_delay_s=0.3,
        poison={POISON},
        refuse_item={REFUSED},
        fault=wire.at_authority,
    )
    shelf = Shelf()
    shelf.register(TAXPAYER, WINDOWS, batch_count_max=4)
    shelf.issue(TAXPAYER, EVENT_COUNT)
    world = World(authority, shelf)
    world.hook = wire.at_ledger
    await world.start()

    await world.until(lambda: wire.tripped.is_set() or not any(shelf.backlog.values()))
    if crash:
        await world.restart()
    else:
        await world.stop_and_start()
    await world.until_finished(600)

    expected = {f"{n:08d}": "ACCEPTED" for n in range(1, EVENT_COUNT + 1)}
    assert shelf.states(TAXPAYER) == expected | {POISON: "REJECTED", REFUSED: "REJECTED"}
    assert sum(authority.recorded.values()) == len(authority.recorded) == EVENT_COUNT - 1
    assert authority.excesses == []
    return wire.tripped.is_set()


@pytest.mark.parametrize("crash", [True, False], ids=["crash", "stop"])
def test_at_every_step_between_ledger_and_authority_the_end_is_the_same(crash: bool) -> None:
    trip_at = 1
    while virtual_time.run(story_with(trip_at, crash=crash)):
        trip_at += 1

    # The wire was met everywhere: reading, claiming, permits, sending, asking, results.
    assert trip_at > 100


def test_a_process_that_dies_again_and_again_gets_there() -> None:
    async def story() -> None:
        authority = StrictAuthority(
            windows=WINDOWS, round_trip_s=(0.0, 0.2), result_delay_s=0.5, poison={POISON}
        )
        shelf = Shelf()
        shelf.register(TAXPAYER, WINDOWS, batch_count_max=4)
        shelf.issue(TAXPAYER, 40)
        world = World(authority, shelf)
        await world.start()

        crash_count = 0
        while shelf.backlog[TAXPAYER] and crash_count < 1000:
            await world.clock.sleep(0.5 + world.rng.random())
            await world.restart()
            crash_count += 1

        assert list(shelf.states(TAXPAYER).values()).count("ACCEPTED") == 39
        assert sum(authority.recorded.values()) == 39
        assert 5 < crash_count < 200
        assert authority.excesses == []

    virtual_time.run(story())
