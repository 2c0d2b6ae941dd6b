"""The servicer of ``DeskService``: the desk as a stream, and how it came about."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final, NamedTuple

import grpc

from gateway import convert, requests
from gateway.alerts.engine import AlertEngine, Counts
from gateway.change_hub import ChangeHub
from gateway.clock import Clock
from gateway.desk import wire
from gateway.desk.opening import DESK
from gateway.desk.survey import Survey
from gateway.desk.surveyor import Surveyor
from gateway.registry import Registry
from gateway.upload.waiting import first_of
from invoice.errors import InvalidRequest
from invoice.identifiers import parse_taxpayer_name, point_name
from ledger.port import Ledger
from ledger.survey_records import BacklogSample
from stock.forecast import HOUR_S
from taxcontrol.admin.v1 import desk_pb2, desk_service_pb2_grpc
from taxcontrol.admin.v1 import desk_service_pb2 as pb2

Context = grpc.aio.ServicerContext[Any, Any]
_SILENCE_S: Final = 15.0
_INTERVAL_MS_DEFAULT: Final = 1000
_INTERVAL_MS_MIN: Final = 200
_INTERVAL_MS_MAX: Final = 60_000
_SAMPLE_COUNT_MAX: Final = 2000
# With the longest names below the 4 MiB that a client of gRPC takes by default.
_BURN_COUNT_MAX: Final = 40_000
_DAY_S: Final = 86_400
_TAXPAYERS_A_TURN: Final = 20


class DeskServicer(desk_service_pb2_grpc.DeskServiceServicer):
    """Shows the desk."""

    def __init__(
        self,
        *,
        surveyor: Surveyor,
        hub: ChangeHub,
        alerts: AlertEngine,
        ledger: Ledger,
        registry: Registry,
        clock: Clock,
        tenant: str,
    ) -> None:
        self._surveyor = surveyor
        self._hub = hub
        self._alerts = alerts
        self._ledger = ledger
        self._registry = registry
        self._clock = clock
        self._tenant = tenant
        self._making = asyncio.Lock()
        self._views: dict[tuple[str, int], _Shown] = {}
        # What they were made of.
        self._survey: Survey | None = None
        self._counts: Counts | None = None

    async def WatchDesk(
        self, request: pb2.WatchDeskRequest, context: Context
    ) -> AsyncGenerator[pb2.WatchDeskResponse, None]:
        """Stream views, each another than the one before."""
        del context
        tax_number = await self._only(request.parent)
        count_max = requests.page_size(
            request.taxpayer_count_max, default=50, most=500, field="taxpayer_count_max"
        )
        interval_s = _interval_s(request.interval_ms)
        with self._hub.listening(DESK) as listener:
            if tax_number and tax_number not in (await self._surveyor.current()).taxpayers:
                await self._surveyor.look()  # registered since the last look
            self._surveyor.wake()
            told, told_at = b"", 0.0
            while True:
                self._hub.check()
                listener.stirred.clear()  # before looking: what comes meanwhile is seen next time
                shown = await self._shown(tax_number, count_max)
                now = self._clock.monotonic()
                if shown.news != told or now - told_at >= _SILENCE_S:
                    yield pb2.WatchDeskResponse(view=shown.view)
                    told, told_at = shown.news, now
                    # A view as often as the caller wants them; the hub's end is heard all the same.
                    await first_of(listener.closed, interval_s, self._clock)
                silent_s = self._clock.monotonic() - told_at
                await first_of(listener.stirred, _SILENCE_S - silent_s, self._clock)

    async def GetHistory(
        self, request: pb2.GetHistoryRequest, context: Context
    ) -> pb2.GetHistoryResponse:
        """Answer how a backlog came about."""
        del context
        tax_number = parse_taxpayer_name(request.parent, field="parent")
        await self._registry.record(self._tenant, tax_number)
        start = _start(request, self._clock.now())
        backlog = await self._ledger.backlog_history(self._tenant, tax_number, start=start)
        burn = await self._ledger.burn_history(
            self._tenant, tax_number, start=start, count_max=_BURN_COUNT_MAX
        )
        return pb2.GetHistoryResponse(
            backlog=map(_backlog, _spaced(backlog)),
            burn=[
                pb2.BurnSample(
                    hour_time=convert.timestamp(one.hour * HOUR_S),
                    point=point_name(tax_number, one.point),
                    type=one.type,
                    taken_count=one.taken_count,
                )
                for one in burn
            ],
        )

    async def _only(self, parent: str) -> str:
        """The taxpayer that is asked for; ``""`` for all."""
        if not parent:
            return ""
        tax_number = parse_taxpayer_name(parent, field="parent")
        await self._registry.record(self._tenant, tax_number)
        return tax_number

    async def _shown(self, tax_number: str, count_max: int) -> "_Shown":
        """The view of the latest survey; made once for all who ask for the same."""
        survey = await self._surveyor.current()
        async with self._making:
            alerts = self._alerts.counts
            if self._survey is not survey or self._counts is not alerts:
                self._views.clear()
                self._survey, self._counts = survey, alerts
            asked = tax_number, count_max
            if asked not in self._views:
                self._views[asked] = await self._make(survey, alerts, *asked)
            return self._views[asked]

    async def _make(
        self, survey: Survey, alerts: Counts, tax_number: str, count_max: int
    ) -> "_Shown":
        # They come with the nearest to trouble first.
        lines = [
            line
            for line in survey.taxpayers.values()
            if line.tenant == self._tenant and tax_number in ("", line.tax_number)
        ]
        view = wire.frame(survey, alerts.all)
        made = wire.taxpayers(lines[:count_max], alerts.by_taxpayer, survey.at)
        for at, taxpayer in enumerate(made):
            if at % _TAXPAYERS_A_TURN == 0:  # so that no call waits for a long desk
                await asyncio.sleep(0)
            view.taxpayers.append(taxpayer)
        view.left_out_count = len(lines) - len(view.taxpayers)
        return _Shown(view, _news(view))


class _Shown(NamedTuple):
    """A view, and what of it is news."""

    view: desk_pb2.DeskView
    news: bytes


def _news(view: desk_pb2.DeskView) -> bytes:
    """What has to differ for a view to be worth telling: all of it but its time."""
    bare = desk_pb2.DeskView()
    bare.CopyFrom(view)
    bare.ClearField("view_time")
    return bare.SerializeToString(deterministic=True)


def _interval_s(asked_ms: int) -> float:
    if not 0 <= asked_ms <= _INTERVAL_MS_MAX:
        raise InvalidRequest("interval_ms", "FIELD_RANGE", f"must be 0 to {_INTERVAL_MS_MAX}")
    return max(_INTERVAL_MS_MIN, asked_ms or _INTERVAL_MS_DEFAULT) / 1000


def _start(request: pb2.GetHistoryRequest, now: float) -> int:
    if not request.HasField("start_time"):
        return int(now) - _DAY_S
    seconds = request.start_time.seconds
    if not 0 <= seconds <= int(now) + _DAY_S:
        raise InvalidRequest("start_time", "FIELD_RANGE", "not a time of the past")
    return seconds


def _spaced(samples: Sequence[BacklogSample]) -> Sequence[BacklogSample]:
    """As many as an answer may have, evenly spaced, the last one always among them."""
    step = -(-len(samples) // _SAMPLE_COUNT_MAX)
    return samples if step <= 1 else samples[::-step][::-1]


def _backlog(sample: BacklogSample) -> pb2.BacklogSample:
    return pb2.BacklogSample(
        sample_time=convert.timestamp(sample.at),
        unuploaded_count=sample.unuploaded_count,
        unuploaded_amount_fen=sample.unuploaded_amount_fen,
        oldest_age_s=sample.oldest_age_s,
        used_ppm=sample.used_ppm,
    )
