"""A lane that writes finishes whatever was queued; one that reads only what somebody waits for."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from invoice.errors import LedgerUnavailable
from ledger.lane import Lane
from ledger.sqlite import SqliteLedger
from tests.ledger import building


class _Held:
    """A lane whose thread is busy until it is released; ``done`` tells what ran after."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.done: list[str] = []
        self._free = threading.Event()

    async def begin(self) -> "asyncio.Task[bool]":
        """Let the thread, which has started, begin with what it is held by."""
        begun = threading.Event()

        def hold() -> bool:
            begun.set()
            return self._free.wait(60)

        holding = asyncio.create_task(self.lane.run(hold))
        await asyncio.to_thread(begun.wait, 60)
        return holding

    def queue(self, name: str) -> "asyncio.Task[None]":
        """Queue up a piece of work."""
        return asyncio.create_task(self.lane.run(self.noted(name)))

    def noted(self, name: str) -> Callable[[], None]:
        """A piece of work."""
        return lambda: self.done.append(name)

    def release(self) -> None:
        """Let the thread go on."""
        self._free.set()


@pytest.mark.parametrize("finishes_all", [True, False])
async def test_work_whose_caller_has_left(finishes_all: bool) -> None:
    held = _Held(Lane("test", finishes_all=finishes_all))
    held.lane.start()
    holding = await held.begin()
    left, stayed = held.queue("left"), held.queue("stayed")
    await asyncio.sleep(0)  # both are queued now

    left.cancel()
    await asyncio.wait([left])
    held.release()
    await asyncio.gather(holding, stayed)

    assert held.done == (["left", "stayed"] if finishes_all else ["stayed"])
    await held.lane.stop(held.noted("last"))


@pytest.mark.parametrize("finishes_all", [True, False])
async def test_a_stop_with_work_queued(finishes_all: bool) -> None:
    held = _Held(Lane("test", finishes_all=finishes_all))
    held.lane.start()
    holding = await held.begin()
    queued = [held.queue("a"), held.queue("b")]
    await asyncio.sleep(0)

    stopping = asyncio.create_task(held.lane.stop(held.noted("last")))
    await asyncio.sleep(0)
    held.release()
    await asyncio.gather(stopping, holding)

    assert held.done == (["a", "b", "last"] if finishes_all else ["last"])
    answers = await asyncio.gather(*queued, return_exceptions=True)
    if not finishes_all:
        assert [type(answer) for answer in answers] == [LedgerUnavailable] * 2
    with pytest.raises(LedgerUnavailable):
        await held.lane.run(held.noted("too late"))


@pytest.mark.parametrize("name", ["_writing", "_reading", "_browsing"])
async def test_a_ledger_that_closes_finishes_its_writes_and_begins_no_more_reads(
    tmp_path: Path, name: str
) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db", verify=building.verify)
    await ledger.start(building.WORKER, building.NOW)
    held = _Held(getattr(ledger, name))
    holding = await held.begin()
    queued = [held.queue("a"), held.queue("b")]
    await asyncio.sleep(0)

    closing = asyncio.create_task(ledger.close())
    while held.lane._open:  # noqa: ASYNC110 - a flag, nothing to await
        await asyncio.sleep(0)
    held.release()
    await asyncio.gather(closing, holding)

    assert held.done == (["a", "b"] if name == "_writing" else [])
    await asyncio.gather(*queued, return_exceptions=True)
