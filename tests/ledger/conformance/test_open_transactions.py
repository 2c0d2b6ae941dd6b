"""Transactions that are open together: nobody sees early what they draw, nor misses it for ever."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ledger.port import Ledger
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import NOW, SPECIAL_TYPE, TYPE
from tests.ledger.conformance.gates import Gate
from tests.ledger.follower import Follower, open_two_meters

Gated = Callable[[Path, Gate], Ledger]


def _sqlite(folder: Path, gate: Gate) -> Ledger:
    return SqliteLedger(folder / "ledger.db", verify=building.verify, connect=gate.connect)


GATED: dict[str, Gated] = {"sqlite": _sqlite}


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture(params=sorted(GATED))
async def gated(
    request: pytest.FixtureRequest, gate: Gate, tmp_path: Path
) -> AsyncIterator[Ledger]:
    """A ledger of each kind whose commits wait at the gate while it is shut."""
    ledger = GATED[request.param](tmp_path, gate)
    await ledger.start(building.WORKER, NOW)
    yield ledger
    gate.open()
    await ledger.close()


async def test_commits_in_reverse_order_miss_nothing_and_tell_nothing_early(
    gated: Ledger, gate: Gate
) -> None:
    """Two transactions on two meters are open together; the one that began last ends first."""
    await open_two_meters(gated)
    reserved = [
        (await building.reserve(gated, building.a_reservation(f"r-{at}", type=type_)))[0]
        for at, type_ in enumerate((TYPE, SPECIAL_TYPE, TYPE, SPECIAL_TYPE))
    ]
    eager, late = Follower(), Follower()
    gate.shut()

    settling = [
        asyncio.create_task(building.commit(gated, [building.signed(entry)], now=NOW + 10 - at))
        for at, entry in enumerate(reserved)
    ]
    answered: set[str] = set()
    for _ in settling:
        await gate.standing(1)
        await eager.read_all(gated)
        # What is drawn in an open transaction is nobody's business yet.
        assert set(eager.issued()) == answered
        gate.let_last_go()
        await asyncio.wait(
            [task for task in settling if not task.done()], return_when=asyncio.FIRST_COMPLETED
        )
        answered = {
            entry.request_id for task in settling if task.done() for entry in task.result().settled
        }
        await eager.read_all(gated)
        assert set(eager.issued()) == answered
    await late.read_all(gated)

    everything = Counter(entry.request_id for entry in reserved)
    assert Counter(eager.issued()) == Counter(late.issued()) == everything
