"""One taxpayer: stock, budgets, uploads, alerts, and how they came about."""

import asyncio
from collections.abc import Iterable, Mapping
from itertools import groupby, pairwise
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from console import desk, figures, names
from console.failure import CallFailed
from console.names import NoSuchPage
from console.pages import Pages
from taxcontrol.admin.v1.desk_service_pb2 import GetHistoryRequest, GetHistoryResponse
from taxcontrol.admin.v1.desk_service_pb2_grpc import DeskServiceStub
from taxcontrol.admin.v1.device_service_pb2 import ListDevicesRequest, ListDevicesResponse
from taxcontrol.admin.v1.device_service_pb2_grpc import DeviceServiceStub

SPANS_HOURS: Final = (6, 24, 72, 192)
_SPAN_HOURS: Final = 24
_HOUR_S: Final = 3600
# Samples come a minute apart while there is a backlog: after three minutes without, there was none.
_GAP_S: Final = 180


class TaxpayerPages:
    """The page of one taxpayer."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """``GET /taxpayers/{tax_number}``."""
        name = names.taxpayer(request)
        hours = _hours(request)
        taxpayer = desk.find(self._pages.feed.view, name)
        history, devices, failure = GetHistoryResponse(), ListDevicesResponse(), None
        try:
            history, devices = await asyncio.gather(
                self._history(name, hours),
                self._pages.connection.call(
                    DeviceServiceStub(self._pages.connection.channel).ListDevices,
                    ListDevicesRequest(parent=name),
                ),
            )
        except CallFailed as error:
            if taxpayer is None:
                raise
            failure = error.failure  # the page stays, with what was known
        return self._pages.show(
            request,
            "taxpayer.html",
            live=f"/live/{name}",
            name=name,
            tax_number=desk.last_part(name),
            display_name=taxpayer.display_name if taxpayer else desk.last_part(name),
            spans=SPANS_HOURS,
            hours=hours,
            by_hour=_by_hour(history),
            devices=devices.devices,
            failure=failure,
        )

    async def history(self, request: Request) -> Response:
        """``GET /taxpayers/{tax_number}/history.json``: what the charts are drawn from."""
        try:
            history = await self._history(names.taxpayer(request), _hours(request))
        except CallFailed as error:
            failure = error.failure
            return JSONResponse({"reason": failure.reason}, failure.http_status)
        end = int(self._pages.now())
        span = {"start": end - _hours(request) * _HOUR_S, "end": end}
        return JSONResponse({**span, **_series(history)})

    async def _history(self, name: str, hours: int) -> GetHistoryResponse:
        start = Timestamp(seconds=int(self._pages.now()) - hours * _HOUR_S)
        return await self._pages.connection.call(
            DeskServiceStub(self._pages.connection.channel).GetHistory,
            GetHistoryRequest(parent=name, start_time=start),
        )


def _hours(request: Request) -> int:
    given = request.query_params.get("hours", "")
    if not given:
        return _SPAN_HOURS
    if not (given.isascii() and given.isdecimal() and int(given) in SPANS_HOURS):
        raise NoSuchPage
    return int(given)


def _series(history: GetHistoryResponse) -> dict[str, list[Any]]:
    """Columns for the charts, with a gap wherever there was no backlog."""
    times: list[int] = []
    count: list[int | None] = []
    amount: list[float | None] = []
    used: list[float | None] = []
    spacing_s = _spacing_s(history)
    for sample in history.backlog:
        at = sample.sample_time.seconds
        if times and at - times[-1] > spacing_s:
            times.append(times[-1] + 60)
            for column in (count, amount, used):
                column.append(None)
        times.append(at)
        count.append(sample.unuploaded_count)
        amount.append(sample.unuploaded_amount_fen / 100)
        used.append(sample.used_ppm / 10_000)
    taken = _taken_by_hour(history)
    return {
        "times": times,
        "count": count,
        "amount": amount,
        "used": used,
        "hours": list(taken),
        "taken": list(taken.values()),
    }


def _spacing_s(history: GetHistoryResponse) -> int:
    """From what distance on two samples are apart: of a long history only some are sent."""
    times = [sample.sample_time.seconds for sample in history.backlog]
    steps = sorted(later - earlier for earlier, later in pairwise(times))
    usual = steps[len(steps) // 2] if steps else 0
    return max(_GAP_S, 3 * usual)


def _taken_by_hour(history: GetHistoryResponse) -> dict[int, int]:
    """Numbers taken an hour, of all points and types; 0 for an hour between without any."""
    taken: dict[int, int] = {}
    for sample in history.burn:
        hour = sample.hour_time.seconds
        taken[hour] = taken.get(hour, 0) + sample.taken_count
    if not taken:
        return {}
    return {hour: taken.get(hour, 0) for hour in range(min(taken), max(taken) + _HOUR_S, _HOUR_S)}


def _by_hour(history: GetHistoryResponse) -> Iterable[Mapping[str, Any]]:
    """The same as a table, newest hour first: the largest of each hour."""
    taken = _taken_by_hour(history)
    peaks = {}
    for hour, samples in groupby(
        history.backlog, key=lambda one: one.sample_time.seconds // _HOUR_S * _HOUR_S
    ):
        found = list(samples)
        peaks[hour] = (
            max(one.unuploaded_count for one in found),
            max(one.unuploaded_amount_fen for one in found),
            max(one.used_ppm for one in found),
        )
    return [
        {
            "at": f"{figures.civil(hour):%m-%d %H:00}",
            "count": peaks.get(hour, (0, 0, 0))[0],
            "amount_fen": peaks.get(hour, (0, 0, 0))[1],
            "used_ppm": peaks.get(hour, (0, 0, 0))[2],
            "taken": taken.get(hour, 0),
        }
        for hour in sorted(peaks.keys() | taken.keys(), reverse=True)
    ]
