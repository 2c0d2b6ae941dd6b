"""The desk as a stream: at once, then what is new, not too often and never silent for long; and its history."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.alerts.engine import AlertEngine, NoDelivery
from gateway.change_hub import ChangeHub
from gateway.desk.opening import DESK
from gateway.desk_service import DeskServicer
from gateway.registry import Registry
from invoice.errors import InvalidRequest, Overloaded, ShuttingDown, TaxpayerNotFound
from ledger.survey_records import BacklogSample
from stock.forecast import HOUR_S
from taxcontrol.admin.v1 import desk_service_pb2 as pb2
from taxcontrol.admin.v1.offline_pb2 import Grade
from tests.gateway.survey.lookout import Lookout, open_lookout, register_crowd
from tests.ledger import building
from tests.ledger.building import NOW, OTHER_TAX_NUMBER, TAX_NUMBER, TENANT, TYPE

PARENT = f"taxpayers/{TAX_NUMBER}"
NOBODY: Any = None


@dataclass(slots=True)
class Desk:
    """A desk over a lookout; it is looked when a test says so."""

    lookout: Lookout
    hub: ChangeHub
    servicer: DeskServicer

    async def look(self) -> None:
        await self.lookout.surveyor.look()

    async def history(self, **asked: Any) -> pb2.GetHistoryResponse:
        request = pb2.GetHistoryRequest(**{"parent": PARENT, **asked})
        return await self.servicer.GetHistory(request, NOBODY)


@asynccontextmanager
async def open_desk(folder: Path, *, watch_count_max: int = 3) -> AsyncIterator[Desk]:
    async with open_lookout(folder) as lookout:
        hub = ChangeHub(watch_count_max, watch_count_max_per_taxpayer=watch_count_max)
        lookout.surveyor.tell(lambda _: hub.stir((DESK,)))
        alerts = AlertEngine(
            ledger=lookout.ledger,
            hub=ChangeHub(1, watch_count_max_per_taxpayer=1),
            delivery=NoDelivery(),
            clock=lookout.clock,
            tenant=TENANT,
        )
        servicer = DeskServicer(
            surveyor=lookout.surveyor,
            hub=hub,
            alerts=alerts,
            ledger=lookout.ledger,
            registry=Registry(lookout.ledger),
            clock=lookout.clock,
            tenant=TENANT,
        )
        yield Desk(lookout, hub, servicer)


class Watch:
    """One watch of the desk."""

    def __init__(self, desk: Desk, **request: Any) -> None:
        self._messages = desk.servicer.WatchDesk(pb2.WatchDeskRequest(**request), NOBODY)
        self._taking: asyncio.Task[pb2.WatchDeskResponse] | None = None

    async def next(self) -> Any:
        """The next view."""
        taking, self._taking = self._begin(), None
        async with asyncio.timeout(5):
            return (await taking).view

    async def settle(self) -> bool:
        """Let the watch do all it can without time passing; whether a view came of it."""
        taking = self._taking = self._begin()
        for _ in range(50):
            await asyncio.sleep(0)
        return taking.done()

    async def close(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.wait([self._taking])
        await self._messages.aclose()

    def _begin(self) -> "asyncio.Task[pb2.WatchDeskResponse]":
        return self._taking or asyncio.create_task(self._take())

    async def _take(self) -> pb2.WatchDeskResponse:
        return await anext(self._messages)


async def test_the_first_view_comes_at_once_and_shows_everything(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.lookout.ledger, 100)
        await building.issue(desk.lookout.ledger, "r-1", "r-2")
        watch = Watch(desk)

        view = await watch.next()

        [seller] = view.taxpayers
        assert (seller.taxpayer, view.left_out_count) == (PARENT, 0)
        [stock] = seller.stock
        assert (stock.point, stock.type, stock.available_count) == (f"{PARENT}/points/0", TYPE, 98)
        [meter] = [one for one in seller.meters if one.type == TYPE]
        assert (meter.unuploaded_count, meter.unuploaded_amount_fen) == (2, 40_000)
        assert meter.oldest_issue_time.seconds == int(NOW)
        assert seller.upload.pending_count == 2
        assert not view.HasField("finance_reachable")
        assert desk.lookout.clock.passed_s == 0
        await watch.close()


async def test_what_changed_is_told_and_what_did_not_is_not(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.lookout.ledger, 100)
        watch = Watch(desk, interval_ms=200)
        await watch.next()
        assert not await watch.settle()
        await desk.lookout.clock.move(0.2)
        await desk.look()
        unchanged = await watch.settle()
        await building.issue(desk.lookout.ledger, "r-1")
        await desk.look()

        view = await watch.next()

        assert not unchanged
        assert [one.available_count for one in view.taxpayers[0].stock] == [99]
        await watch.close()


@pytest.mark.parametrize(("asked_ms", "interval_s"), [(0, 1.0), (1, 0.2), (700, 0.7), (9000, 9.0)])
async def test_views_come_no_faster_than_asked(
    tmp_path: Path, asked_ms: int, interval_s: float
) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.lookout.ledger, 100)
        watch = Watch(desk, interval_ms=asked_ms)
        await watch.next()
        await watch.settle()
        await building.issue(desk.lookout.ledger, "r-1")
        await desk.look()
        await desk.lookout.clock.move(interval_s - 0.01)
        early = await watch.settle()
        await desk.lookout.clock.move(0.01)

        assert not early
        assert [one.available_count for one in (await watch.next()).taxpayers[0].stock] == [99]
        await watch.close()


async def test_silence_lasts_no_longer_than_fifteen_seconds_whatever_is_looked(
    tmp_path: Path,
) -> None:
    """Looks without news in between do not begin the silence anew. Nobody is registered, so nothing ticks."""
    async with open_desk(tmp_path) as desk:
        watch = Watch(desk)
        first = await watch.next()
        told = []
        for _ in range(14):
            await watch.settle()
            await desk.lookout.clock.move(1.0)
            await desk.look()
            told.append(await watch.settle())
        await desk.lookout.clock.move(1.0)

        again = await watch.next()

        assert not any(told)
        assert again.view_time.seconds == first.view_time.seconds + 14
        await watch.close()


async def test_one_sellers_desk_shows_that_seller_alone(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.register(desk.lookout.ledger)
        await building.register(desk.lookout.ledger, OTHER_TAX_NUMBER)
        watch = Watch(desk, parent=PARENT)

        view = await watch.next()

        assert [one.taxpayer for one in view.taxpayers] == [PARENT]
        assert view.left_out_count == 0
        await watch.close()


async def test_those_nearest_to_trouble_come_first_and_the_rest_is_counted(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await register_crowd(desk.lookout.ledger, 5)
        await building.open_shop(desk.lookout.ledger, 2)
        await building.issue(desk.lookout.ledger, "r-1", "r-2")
        await desk.look()
        desk.lookout.clock.passed_s += 60
        await desk.look()
        watch = Watch(desk, taxpayer_count_max=2)

        view = await watch.next()

        assert view.taxpayers[0].taxpayer == PARENT
        assert view.taxpayers[0].grade == Grade.GRADE_STOP
        assert (len(view.taxpayers), view.left_out_count) == (2, 4)
        await watch.close()


async def test_a_view_is_cut_where_a_client_would_not_take_it(tmp_path: Path) -> None:
    """Sellers of 5,000 points each: as many as fit into 4 MiB, and always one."""
    async with open_desk(tmp_path) as desk:
        await register_crowd(desk.lookout.ledger, 8)
        await building.open_shop(desk.lookout.ledger, 10)
        survey = await desk.lookout.surveyor.look()
        [line] = survey.taxpayers[TAX_NUMBER].stock
        for one in survey.taxpayers.values():
            object.__setattr__(one, "stock", (line,) * 12_000)
        watch = Watch(desk)

        view = await watch.next()

        assert 1 <= len(view.taxpayers) < 9
        assert len(view.taxpayers) + view.left_out_count == 9
        assert view.ByteSize() < 4 * 1024 * 1024
        await watch.close()


async def test_all_who_ask_for_the_same_are_shown_one_view(tmp_path: Path) -> None:
    """Fifty open pages cost what one costs."""
    async with open_desk(tmp_path) as desk:
        await building.register(desk.lookout.ledger)
        watches = [Watch(desk), Watch(desk), Watch(desk, parent=PARENT)]

        views = [await watch.next() for watch in watches]

        assert len({id(shown.view) for shown in desk.servicer._views.values()}) == 2
        assert views[0] == views[1]
        for watch in watches:
            await watch.close()


async def test_so_many_desks_are_watched_and_no_more(tmp_path: Path) -> None:
    async with open_desk(tmp_path, watch_count_max=2) as desk:
        watches = [Watch(desk), Watch(desk)]
        for watch in watches:
            await watch.next()
        with pytest.raises(Overloaded):
            await Watch(desk).next()
        await watches.pop().close()
        watches.append(Watch(desk))

        assert (await watches[-1].next()).signing_available
        for watch in watches:
            await watch.close()


@pytest.mark.parametrize("settled", [True, False])
async def test_a_drain_ends_a_watch_in_order(tmp_path: Path, *, settled: bool) -> None:
    async with open_desk(tmp_path) as desk:
        watch = Watch(desk, interval_ms=60_000)
        await watch.next()
        if settled:
            await watch.settle()
        desk.hub.close()

        with pytest.raises(ShuttingDown):
            await watch.next()
        await watch.close()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"interval_ms": -1}, "interval_ms"),
        ({"interval_ms": 60_001}, "interval_ms"),
        ({"taxpayer_count_max": -1}, "taxpayer_count_max"),
        ({"parent": "taxpayers"}, "parent"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(
    tmp_path: Path, request_: dict[str, Any], field: str
) -> None:
    async with open_desk(tmp_path) as desk:
        with pytest.raises(InvalidRequest) as caught:
            await Watch(desk, **request_).next()

        assert caught.value.violations[0].field == field


async def test_nobody_has_no_desk_and_no_history(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        with pytest.raises(TaxpayerNotFound):
            await Watch(desk, parent=PARENT).next()
        with pytest.raises(TaxpayerNotFound):
            await desk.history()


async def test_history_is_of_a_day_unless_asked_and_evenly_spaced(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        ledger = desk.lookout.ledger
        await building.open_shop(ledger, 100)
        await building.issue(ledger, "r-1", "r-2")
        samples = [
            BacklogSample(TAX_NUMBER, int(NOW) - 60 * minute, minute + 1, 7, 9, 5)
            for minute in range(5_000)
        ]
        await ledger.record_samples(samples, now=NOW)

        of_a_day = await desk.history()
        whole = await desk.history(start_time=Timestamp(seconds=int(NOW) - 10 * 86_400))

        assert len(of_a_day.backlog) == 24 * 60 + 1
        assert of_a_day.backlog[-1].sample_time.seconds == int(NOW)
        assert len(whole.backlog) <= 2_000
        steps = {
            later.sample_time.seconds - one.sample_time.seconds
            for one, later in zip(whole.backlog[:-1], whole.backlog[1:], strict=True)
        }
        assert len(steps) == 1
        assert whole.backlog[-1].unuploaded_count == 1
        [burn] = whole.burn
        assert (burn.point, burn.type, burn.taken_count) == (f"{PARENT}/points/0", TYPE, 2)
        assert burn.hour_time.seconds == int(NOW) // HOUR_S * HOUR_S


@pytest.mark.parametrize("ahead_s", [-(10**12), 2 * 86_400])
async def test_a_history_from_no_time_of_the_past_is_refused(tmp_path: Path, ahead_s: int) -> None:
    async with open_desk(tmp_path) as desk:
        await building.register(desk.lookout.ledger)
        with pytest.raises(InvalidRequest) as caught:
            await desk.history(start_time=Timestamp(seconds=int(NOW) + ahead_s))

        assert caught.value.violations[0].field == "start_time"
