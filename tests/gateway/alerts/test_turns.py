"""Judging everybody holds up nobody: counted in calls of functions, not in time."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

from gateway.alerts.engine import AlertEngine, NoDelivery
from gateway.change_hub import ChangeHub
from gateway.turns import in_turns
from ledger.alert_records import AlertChangeRecord, AlertNews
from ledger.port import Targets
from ledger.sqlite import SqliteLedger
from tests.gateway.hand_clock import HandClock
from tests.gateway.metrics.surveys import NOW, crowd
from tests.ledger import building
from tests.ledger.building import TENANT

# What a hundred alerts that are told and logged take, and half of it more; and a hundred that stand.
_CALLS_A_TURN_MAX = 12_000
_CALLS_A_QUIET_TURN_MAX = 4_000


class WatchedLedger(SqliteLedger):
    """A real ledger that notes how many alerts each transaction stores."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, verify=building.verify)
        self.stored_at_once: list[int] = []

    async def store_alerts(
        self, tenant: str, news: Sequence[AlertNews], *, targets: Targets
    ) -> list[AlertChangeRecord]:
        self.stored_at_once.append(len(news))
        return await super().store_alerts(tenant, news, targets=targets)


class Slices:
    """Counts the calls of functions in this thread, and the most of them between two turns of others."""

    def __init__(self) -> None:
        self.call_count = 0
        self.most = 0
        self._seen = 0

    def __enter__(self) -> Self:
        self._other = asyncio.create_task(self._others())
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        self._other.cancel()

    def _count(self, _: FrameType, event: str, __: Any) -> None:
        self.call_count += event == "call"

    async def _others(self) -> None:
        while True:
            self.most = max(self.most, self.call_count - self._seen)
            self._seen = self.call_count
            await asyncio.sleep(0)


async def slices_of(folder: Path, taxpayer_count: int) -> tuple[Slices, Slices, list[int]]:
    """Judge everybody twice: what is raised, and what stands."""
    ledger = WatchedLedger(folder / "ledger.db")
    await ledger.start(building.WORKER, NOW)
    engine = AlertEngine(
        ledger=ledger,
        hub=ChangeHub(1, watch_count_max_per_taxpayer=1),
        delivery=NoDelivery(),
        clock=HandClock(NOW),
        tenant=TENANT,
    )
    survey = crowd(taxpayer_count, 2)
    try:
        with Slices() as raised:
            await engine.judge(survey)
        with Slices() as stood:
            await engine.judge(survey)
        assert len(engine.counts.by_taxpayer) >= taxpayer_count
        return raised, stood, ledger.stored_at_once
    finally:
        await ledger.close()


async def test_the_longest_piece_of_a_judgement_is_as_long_for_many_as_for_few(
    tmp_path: Path,
) -> None:
    raised, stood, stored = await slices_of(tmp_path, 600)
    print(f"of {raised.call_count} and {stood.call_count} calls: {raised.most}, {stood.most}")

    assert raised.call_count > 20 * _CALLS_A_TURN_MAX  # so that one piece would be seen
    assert raised.most <= _CALLS_A_TURN_MAX
    assert stood.call_count > 20 * _CALLS_A_QUIET_TURN_MAX
    assert stood.most <= _CALLS_A_QUIET_TURN_MAX
    assert sum(stored) > 600
    assert max(stored) <= 100


async def test_everybody_else_has_a_turn_after_so_many(tmp_path: Path) -> None:
    turns: list[int] = []
    done = 0

    async def others() -> None:
        while True:
            turns.append(done)
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    async for item in in_turns(range(10), 4):
        assert item == done
        done += 1
    other.cancel()

    assert done == 10
    assert turns == [4, 8]
