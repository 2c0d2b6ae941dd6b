"""One watch of the gateway for all tabs: the desk and its alerts as they stand, and whether they do.

The two upstream watches are opened once a console, however many browsers look. Each begins anew after
every interruption: the first message is the desk whole, and the alerts that stand are told whole, so
there is nothing to resume. Until then the last that was known stays, marked with since when it is old.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from console.connection import Connection
from console.failure import CallFailed, Failure
from taxcontrol.admin.v1.alert_pb2 import Alert
from taxcontrol.admin.v1.alert_service_pb2 import WatchAlertsRequest, WatchAlertsResponse
from taxcontrol.admin.v1.alert_service_pb2_grpc import AlertServiceStub
from taxcontrol.admin.v1.desk_pb2 import DeskView
from taxcontrol.admin.v1.desk_service_pb2 import WatchDeskRequest
from taxcontrol.admin.v1.desk_service_pb2_grpc import DeskServiceStub

_TAXPAYERS_MAX: Final = 500
_INTERVAL_MS: Final = 1000
# The gateway sends the desk every 15 s at least: after three times of silence it is not there.
_SILENCE_S_MAX: Final = 45.0
_BACKOFF_S: Final = (0.25, 0.5, 1.0, 2.0)
_NEWS_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """An alert that was raised while the console watched. ``serial`` ascends."""

    serial: int
    alert: Alert


class Watch:
    """Whether one upstream watch stands; when not, since when (unix seconds) and why."""

    def __init__(self, now: float) -> None:
        self.away_since: float | None = now
        self.failure: Failure | None = None
        self.answered = False


class Feed:
    """The desk as it stands. ``version`` counts what changed; ``wait`` waits for more."""

    def __init__(self, connection: Connection, *, now: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._now = now
        self._changed = asyncio.Condition()
        self.version = 0
        self.view: DeskView | None = None
        self.alerts: dict[str, Alert] = {}
        self.news: deque[News] = deque(maxlen=_NEWS_MAX)
        self.news_serial = 0
        self.desk_watch = Watch(now())
        self.alert_watch = Watch(now())

    @property
    def away_since(self) -> float | None:
        """Since when the gateway is away; None while both watches stand."""
        since = [
            watch.away_since
            for watch in (self.desk_watch, self.alert_watch)
            if watch.away_since is not None
        ]
        return min(since) if since else None

    @property
    def failure(self) -> Failure | None:
        """Why the gateway is away; None while it is not, or before the first try ended."""
        for watch in (self.desk_watch, self.alert_watch):
            if watch.away_since is not None and watch.failure is not None:
                return watch.failure
        return None

    @property
    def never_answered(self) -> bool:
        """Whether the gateway was never reached since the console started."""
        return not self.desk_watch.answered

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep(self.desk_watch, self._watch_desk))
            tasks.create_task(self._keep(self.alert_watch, self._watch_alerts))

    async def wait(self, seen: int, *, wait_s: float) -> int:
        """Return the version once it is not ``seen`` any more, or after ``wait_s``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s), self._changed:
                await self._changed.wait_for(lambda: self.version != seen)
        return self.version

    async def _keep(self, watch: Watch, once: Callable[[], Awaitable[None]]) -> None:
        tries = 0
        while True:
            try:
                await once()
            except CallFailed as error:
                failure = error.failure
            except TimeoutError:
                failure = Failure(
                    reason="DEADLINE_EXCEEDED",
                    code="DEADLINE_EXCEEDED",
                    message=f"nothing was heard for {_SILENCE_S_MAX:g} s",
                    answered=False,
                )
            tries = 0 if watch.away_since is None else tries + 1
            await self._lost(watch, failure)
            await asyncio.sleep(_BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)])

    async def _watch_desk(self) -> None:
        request = WatchDeskRequest(taxpayer_count_max=_TAXPAYERS_MAX, interval_ms=_INTERVAL_MS)
        stub = DeskServiceStub(self._connection.channel)
        async with aclosing(self._connection.stream(stub.WatchDesk, request)) as messages:
            while True:
                async with asyncio.timeout(_SILENCE_S_MAX):
                    message = await anext(messages)
                self.view = message.view
                await self._stands(self.desk_watch)

    async def _watch_alerts(self) -> None:
        stub = AlertServiceStub(self._connection.channel)
        standing: dict[str, Alert] = {}
        told = False
        request = WatchAlertsRequest()
        async with aclosing(self._connection.stream(stub.WatchAlerts, request)) as messages:
            async for message in messages:
                _apply(standing, message)
                if not told and not message.resume_token:
                    continue  # alerts that stand are still being told
                if message.change == WatchAlertsResponse.CHANGE_RAISED:
                    self.news_serial += 1
                    self.news.append(News(serial=self.news_serial, alert=message.alert))
                told = True
                self.alerts = dict(standing)
                await self._stands(self.alert_watch)

    async def _stands(self, watch: Watch) -> None:
        watch.away_since, watch.failure, watch.answered = None, None, True
        await self._tell()

    async def _lost(self, watch: Watch, failure: Failure) -> None:
        if watch.away_since is None:
            watch.away_since = self._now()
        elif watch.failure == failure:
            return
        watch.failure = failure
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self.version += 1
            self._changed.notify_all()


def _apply(standing: dict[str, Alert], message: WatchAlertsResponse) -> None:
    if not message.HasField("alert"):
        return
    if message.alert.state == Alert.STATE_RESOLVED:
        standing.pop(message.alert.name, None)
    else:
        standing[message.alert.name] = message.alert
