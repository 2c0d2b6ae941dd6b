"""From each survey to alerts: judged, stored with what is to be delivered, logged, told to whoever watches.

What stands is read from the ledger each time, so that an acknowledgement, a restart or another process
shows. While the ledger cannot be written what has to be said is kept here, logged and delivered from
memory once, and stored with its true times as soon as it can be.

However many taxpayers there are, between a few of them the next calls have their turn, and what is stored
is stored a few at a time: whoever issues waits for neither.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from gateway.alerts.condition import Condition
from gateway.alerts.conditions import by_steps
from gateway.alerts.hysteresis import Hysteresis
from gateway.change_hub import ChangeHub
from gateway.clock import Clock
from gateway.desk.survey import Survey
from gateway.desk.wire import NONE_STANDING, Standing
from gateway.turns import in_turns
from invoice.errors import LedgerUnavailable
from ledger.alert_records import (
    AlertChangeRecord,
    AlertNews,
    AlertPlace,
    AlertRecord,
    AlertThresholdsRecord,
)
from ledger.port import Ledger

log = structlog.get_logger()

# Between two turns of everybody else: a few milliseconds' work.
_TAXPAYERS_A_TURN: Final = 20
_ALERTS_A_TURN: Final = 100
# In one transaction: whoever issues waits for it.
_STORED_AT_ONCE: Final = 100

ALERTS: Final = "alerts"
"""What a watch of alerts listens to in its hub."""


class Deliverer(Protocol):
    """Brings changes to those who are not watching."""

    def targets(self, change: AlertChangeRecord) -> Sequence[str]:
        """Who wants to hear of a change: a delivery is stored for each."""

    def wake(self) -> None:
        """There may be something to deliver."""

    def send_unstored(self, change: AlertChangeRecord) -> None:
        """Deliver a change that cannot be stored: once, if it can be."""


class NoDelivery:
    """Nobody else wants to hear."""

    def targets(self, change: AlertChangeRecord) -> Sequence[str]:
        """See :class:`Deliverer`."""
        del change
        return ()

    def wake(self) -> None:
        """See :class:`Deliverer`."""

    def send_unstored(self, change: AlertChangeRecord) -> None:
        """See :class:`Deliverer`."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What stands: by taxpayer, in all, and by kind and severity."""

    by_taxpayer: Mapping[str, Standing]
    all: Standing
    by_kind: Mapping[str, Mapping[str, int]]


NOTHING_STANDS: Final = Counts({}, NONE_STANDING, {})


class AlertEngine:
    """Judges each survey it is told of."""

    def __init__(
        self, *, ledger: Ledger, hub: ChangeHub, delivery: Deliverer, clock: Clock, tenant: str
    ) -> None:
        self._ledger = ledger
        self._hub = hub
        self._delivery = delivery
        self._clock = clock
        self._tenant = tenant
        self._hysteresis = Hysteresis()
        self._survey: Survey | None = None
        self._stirred = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        # What could not be stored, and what stands by it.
        self._unstored: list[AlertNews] = []
        self._standing: dict[AlertPlace, AlertRecord] = {}
        self._thresholds: Mapping[str, AlertThresholdsRecord] = {}
        self.counts = NOTHING_STANDS

    def hear(self, survey: Survey) -> None:
        """Take note of a survey. Cheap: the work is done elsewhere."""
        self._survey = survey
        self._stirred.set()

    async def start(self) -> None:
        """Judge from now on. The ledger is started: what stood before a restart stands."""
        self._task = asyncio.create_task(self._forever(), name="alerts")

    async def close(self) -> None:
        """Judge no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def judge(self, survey: Survey) -> None:
        """Bring the alerts up to date with a survey."""
        await self._read()
        found: dict[AlertPlace, Condition] = {}
        async for some in in_turns(by_steps(survey, self._thresholds), _TAXPAYERS_A_TURN):
            found.update((one.place, one) for one in some)
        steps = self._hysteresis.by_steps(self._standing, found, survey.at)
        news = [said async for said in in_turns(steps, _ALERTS_A_TURN) if said is not None]
        if news or self._unstored:
            await self._store(news)
        await self._count()

    def refresh(self) -> None:
        """Look again at what stands: somebody has acknowledged something. Cheap, as :meth:`hear`."""
        self._stirred.set()
        self._hub.stir((ALERTS,))
        self._delivery.wake()

    async def _forever(self) -> None:
        """The only one that changes what stands: a judgement pauses, and is never in two places."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            survey, self._survey = self._survey, None
            try:
                if survey is None:
                    await self._read()
                    await self._count()
                else:
                    await self.judge(survey)
            except Exception:  # a bug ends one round, not all
                log.exception("alert.bug")

    async def _read(self) -> None:
        """What stands, and from where on people want to hear; as it was when it cannot be read."""
        if self._unstored:
            return  # what stands is what is remembered until it is stored
        try:
            standing = await self._ledger.standing_alerts(self._tenant)
            self._thresholds = await self._ledger.all_alert_thresholds()
        except LedgerUnavailable as error:
            log.warning("alert.waiting", cause=error.message)
            return
        turns = in_turns(standing, _ALERTS_A_TURN)
        self._standing = {alert.place: alert async for alert in turns}

    async def _store(self, news: Sequence[AlertNews]) -> None:
        waiting = [*self._unstored, *news]
        # What was kept in memory has been told before.
        told_count = len(self._unstored)
        told = {(one.what, one.place, one.at) for one in self._unstored}
        for begin in range(0, len(waiting), _STORED_AT_ONCE):
            try:
                stored = await self._ledger.store_alerts(
                    self._tenant,
                    waiting[begin : begin + _STORED_AT_ONCE],
                    targets=self._delivery.targets,
                )
            except LedgerUnavailable as error:
                log.warning("alert.unstored", count=len(waiting) - begin, cause=error.message)
                unsaid = waiting[max(begin, told_count) :]
                async for one in in_turns(unsaid, _ALERTS_A_TURN):
                    self._remember(one)
                self._unstored = waiting[begin:]
                break
            for change in stored:
                self._stand(change.alert)
                if (change.what, change.alert.place, change.at) not in told:
                    _tell(change)
        else:
            self._unstored = []
            await self._read()
        self._hub.stir((ALERTS,))
        self._delivery.wake()

    def _stand(self, alert: AlertRecord) -> None:
        """Let it stand, or end, as it does in the ledger or will."""
        if alert.state == "RESOLVED":
            self._standing.pop(alert.place, None)
        else:
            self._standing[alert.place] = alert

    def _remember(self, news: AlertNews) -> None:
        """Let it stand, or end, in memory; say it, since nobody else can."""
        before = self._standing.get(news.place)
        alert = AlertRecord(
            alert_id=0 if before is None else before.alert_id,
            tenant=self._tenant,
            place=news.place,
            state="RESOLVED" if news.what == "RESOLVED" else _state(before),
            severity=news.severity,
            message=news.message,
            message_zh=news.message_zh,
            facts=news.facts,
            limit_at=news.limit_at,
            drained_at=news.drained_at,
            raised_at=news.raised_at,
            updated_at=news.at,
            resolved_at=news.at if news.what == "RESOLVED" else None,
        )
        self._stand(alert)
        change = AlertChangeRecord(change_number=0, what=news.what, at=news.at, alert=alert)
        _tell(change)
        self._delivery.send_unstored(change)

    async def _count(self) -> None:
        by_taxpayer: defaultdict[str, list[AlertRecord]] = defaultdict(list)
        by_kind: defaultdict[str, Counter[str]] = defaultdict(Counter)
        severities: Counter[str] = Counter()
        acknowledged_count = 0
        async for alert in in_turns(list(self._standing.values()), _ALERTS_A_TURN):
            by_taxpayer[alert.place.tax_number].append(alert)
            by_kind[alert.place.kind][alert.severity] += 1
            severities[alert.severity] += 1
            acknowledged_count += alert.state == "ACKNOWLEDGED"
        counted = in_turns(by_taxpayer.items(), _ALERTS_A_TURN)
        self.counts = Counts(
            {tax_number: _counted(found) async for tax_number, found in counted},
            Standing(severities, acknowledged_count),
            by_kind,
        )


def _state(before: AlertRecord | None) -> str:
    return "RAISED" if before is None else before.state


def _counted(alerts: Sequence[AlertRecord]) -> Standing:
    return Standing(
        Counter(alert.severity for alert in alerts),
        sum(alert.state == "ACKNOWLEDGED" for alert in alerts),
    )


def _tell(change: AlertChangeRecord) -> None:
    """One line in the log for each change, as loud as it is bad."""
    alert = change.alert
    say = log.info
    if change.what in ("RAISED", "UPDATED"):
        say = log.warning if alert.severity == "WARNING" else log.error
    say(
        f"alert.{change.what.lower()}",
        alert_id=alert.alert_id,
        kind=alert.place.kind,
        severity=alert.severity,
        tax_number=alert.place.tax_number,
        machine_number=alert.place.machine_number,
        point=alert.place.point,
        type=alert.place.type,
        message=alert.message,
    )
