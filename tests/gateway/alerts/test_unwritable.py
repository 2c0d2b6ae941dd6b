"""A ledger that cannot be written: said at once from memory, and stored with its true times, once.

The ledger is the real one and so is its fault: somebody else holds the lock that every write needs.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from gateway.alerts.engine import ALERTS, AlertEngine
from gateway.change_hub import ChangeHub, Listener
from gateway.desk.survey import Survey
from gateway.desk.wire import frame
from invoice.errors import LedgerUnavailable
from ledger.alert_records import AlertChangeRecord, AlertRecord
from ledger.sqlite import SqliteLedger
from tests.fakes import virtual_time
from tests.fakes.inline_lane import inline_ledger
from tests.fakes.virtual_time import VirtualClock
from tests.gateway.alerts.scenes import gateway, seller
from tests.ledger import building
from tests.ledger.building import TENANT

_TARGET = "pager"
_LOOK_S = 10.0


class Pager:
    """Wants to hear of everything; keeps what could not be stored for it."""

    def __init__(self) -> None:
        self.unstored: list[tuple[str, str, float]] = []

    def targets(self, change: AlertChangeRecord) -> Sequence[str]:
        del change
        return (_TARGET,)

    def wake(self) -> None:
        pass

    def send_unstored(self, change: AlertChangeRecord) -> None:
        self.unstored.append(life(change))


@dataclass(slots=True)
class Desk:
    """An engine on a real ledger that somebody else can lock."""

    path: Path
    ledger: SqliteLedger
    engine: AlertEngine
    pager: Pager
    clock: VirtualClock
    listener: Listener
    logged: list[EventDict]
    _locks: list[apsw.Connection] = field(default_factory=list)

    def lock(self) -> None:
        """Nothing can be written from now on."""
        other = apsw.Connection(str(self.path))
        other.execute("BEGIN IMMEDIATE")
        self._locks.append(other)

    def unlock(self) -> None:
        """It can be written again."""
        self._locks.pop().close()

    async def look(
        self, *, writable: bool, rejected_count: int = 0, after_s: float = _LOOK_S
    ) -> float:
        """Judge a survey as it would be now; its time."""
        await self.clock.sleep(after_s)
        survey: Survey = gateway(
            seller(rejected_count=rejected_count), at=self.clock.now(), ledger_writable=writable
        )
        await self.engine.judge(survey)
        return survey.at

    async def changes(self) -> list[tuple[str, str, float]]:
        """Every change on record."""
        found, _ = await self.ledger.alert_changes(TENANT, "", after=0, count_max=1000)
        return [life(change) for change in found]

    async def alerts(self) -> list[AlertRecord]:
        """Every alert on record, the first first."""
        found = await self.ledger.alerts(
            TENANT, tax_number="", kind="", standing_only=False, before=10**9, count_max=1000
        )
        return found[::-1]

    def logs(self) -> list[tuple[str, str]]:
        """What the log has of alerts."""
        return [
            (str(line["event"]).removeprefix("alert.").upper(), str(line["kind"]))
            for line in self.logged
            if "kind" in line
        ]

    def heard(self) -> bool:
        """Whether the watches of alerts were woken since the last time."""
        stirred = self.listener.stirred.is_set()
        self.listener.stirred.clear()
        return stirred


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger gives up at once: whoever waits for a lock waits in real time."""
    monkeypatch.setattr("ledger.opening._BUSY_MS", 1)


def life(change: AlertChangeRecord) -> tuple[str, str, float]:
    return change.what, change.alert.place.kind, change.at


@asynccontextmanager
async def a_desk(folder: Path) -> AsyncIterator[Desk]:
    path = folder / "ledger.db"
    ledger, clock, pager = inline_ledger(path), VirtualClock(), Pager()
    await ledger.start(building.WORKER, clock.now())
    hub = ChangeHub(1, watch_count_max_per_taxpayer=1)
    engine = AlertEngine(ledger=ledger, hub=hub, delivery=pager, clock=clock, tenant=TENANT)
    with hub.listening(ALERTS) as listener, capture_logs() as logged:
        yield Desk(path, ledger, engine, pager, clock, listener, logged)
    assert [found for word in ledger.check_books() for found in word.findings] == []
    await ledger.close()


def test_it_is_said_from_memory_and_stored_once_with_its_times(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_desk(tmp_path) as desk:
            await desk.look(writable=True)
            desk.lock()
            lost_at = await desk.look(writable=False)
            refused_at = await desk.look(writable=False, rejected_count=1)
            for _ in range(5):
                await desk.look(writable=False, rejected_count=1)

            unsaid = await desk.changes()
            shown = desk.engine.counts
            meanwhile = [
                ("RAISED", "LEDGER_UNWRITABLE", lost_at),
                ("RAISED", "UPLOAD_REJECTED", refused_at),
            ]
            assert unsaid == []
            assert shown.all.severities == {"CRITICAL": 1, "WARNING": 1}
            assert frame(gateway(), shown.all).alerts.critical_count == 1
            assert shown.by_kind["LEDGER_UNWRITABLE"] == {"CRITICAL": 1}
            assert desk.logs() == [(what, kind) for what, kind, _ in meanwhile]
            assert desk.pager.unstored == meanwhile

            desk.unlock()
            await desk.look(writable=True, rejected_count=1)
            assert await desk.changes() == meanwhile
            assert desk.heard()
            ended_at = await desk.look(writable=True, rejected_count=1, after_s=60)
            for _ in range(5):
                await desk.look(writable=True, rejected_count=1)

            assert await desk.changes() == [
                *meanwhile,
                ("RESOLVED", "LEDGER_UNWRITABLE", ended_at),
            ]
            first, second = await desk.alerts()
            assert (first.raised_at, first.resolved_at) == (lost_at, ended_at)
            assert (second.raised_at, second.state) == (refused_at, "RAISED")
            assert desk.logs() == [
                ("RAISED", "LEDGER_UNWRITABLE"),
                ("RAISED", "UPLOAD_REJECTED"),
                ("RESOLVED", "LEDGER_UNWRITABLE"),
            ]
            assert desk.pager.unstored == meanwhile

    virtual_time.run(story())


def test_what_begins_and_ends_while_it_is_away_is_on_record_with_both_times(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_desk(tmp_path) as desk:
            desk.lock()
            began_at = await desk.look(writable=False, rejected_count=1)
            await desk.look(writable=False)
            ended_at = await desk.look(writable=False, after_s=60)
            again_at = await desk.look(writable=False, rejected_count=1)
            desk.unlock()
            await desk.look(writable=False, rejected_count=1)

            lives = [
                (one.place.kind, one.raised_at, one.resolved_at) for one in await desk.alerts()
            ]
            assert sorted(lives, key=lambda life: life[:2]) == [
                ("LEDGER_UNWRITABLE", began_at, None),
                ("UPLOAD_REJECTED", began_at, ended_at),
                ("UPLOAD_REJECTED", again_at, None),
            ]
            changes = await desk.changes()
            assert len(changes) == len(set(changes)) == 4
            assert desk.pager.unstored == changes

    virtual_time.run(story())


@pytest.mark.parametrize("moment", ["before", "after"])
def test_lost_in_the_middle_of_many_each_is_stored_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The second of three transactions fails: before its effect, or after it with the answer lost."""

    async def story() -> None:
        async with a_desk(tmp_path) as desk:
            store, count = desk.ledger.store_alerts, 0

            async def cut_off(*args: Any, **named: Any) -> Any:
                nonlocal count
                count += 1
                if count == 2 and moment == "after":
                    await store(*args, **named)
                    raise LedgerUnavailable("the answer is lost")
                if count == 2:
                    desk.lock()
                return await store(*args, **named)

            monkeypatch.setattr(desk.ledger, "store_alerts", cut_off)
            sellers = [
                seller(tax_number=f"{number:018}", rejected_count=1) for number in range(250)
            ]
            await desk.engine.judge(gateway(*sellers, at=desk.clock.now()))
            shown = desk.engine.counts.all.severities
            stored_first = len(await desk.changes())
            if moment == "before":
                desk.unlock()
            for _ in range(3):
                await desk.clock.sleep(_LOOK_S)
                await desk.engine.judge(gateway(*sellers, at=desk.clock.now()))

            names = {one.place.tax_number for one in await desk.alerts()}
            assert shown == {"WARNING": 250}
            assert stored_first == (100 if moment == "before" else 200)
            assert (len(await desk.alerts()), len(names)) == (250, 250)
            assert len(await desk.changes()) == 250
            assert len(desk.logs()) == 250

    virtual_time.run(story())


def test_who_watches_is_woken_though_nothing_could_be_stored(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_desk(tmp_path) as desk:
            desk.lock()
            await desk.look(writable=False)
            woken = desk.heard()
            desk.unlock()

            assert woken

    virtual_time.run(story())
