"""Deliveries: each receiver gets its messages in order, at least once, until it has them or is given up.

What is to be delivered is in the ledger, written in the transaction that stored the change. A receiver
that fails is tried again after a pause that doubles from 5 s to 10 min, or as long as it asks for. A
message is given up after 72 h, when the receiver answers 410, or when it still does not want it at the
fifth try: later ones do not wait for ever behind it.
"""

import asyncio
import contextlib
import math
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from random import Random, SystemRandom
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.upload.backoff import Backoff
from gateway.upload.waiting import first_of
from gateway.webhooks.config import SEVERITIES, WebhookConfig
from gateway.webhooks.message import Message, of_change, test_message
from gateway.webhooks.sending import WAIT_S_MAX, Outcome, Sender
from invoice.errors import LedgerUnavailable
from ledger.alert_records import AlertChangeRecord, DeliveryRecord
from ledger.port import Ledger

log = structlog.get_logger()

_BACKOFF: Final = Backoff(base_s=5.0, cap_s=600.0)
_GIVE_UP_S: Final = 72 * 3600.0
_UNWANTED_COUNT_MAX: Final = 5
_LEDGER_AWAY_S: Final = 5.0
_UNSTORED_COUNT_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """What waits, the oldest since when (unix seconds, 0 when none does), and how many tries have failed."""

    pending_count: int = 0
    oldest_at: float = 0.0
    failed_count: int = 0


class Hooks:
    """A :class:`gateway.alerts.engine.Deliverer` that delivers by HTTP.

    Raises:
        SecretUnusable, ReceiverUnusable: A file that the configuration names cannot be used.
    """

    def __init__(
        self,
        configs: Sequence[WebhookConfig],
        *,
        ledger: Ledger,
        clock: Clock,
        rng: Random | None = None,
    ) -> None:
        self._hooks = [
            _Hook(
                replace(config, source=config.source or _here()),
                ledger,
                clock,
                rng or SystemRandom(),
            )
            for config in configs
        ]
        self._ledger = ledger
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._unstored: set[asyncio.Task[None]] = set()
        self._waiting = DeliveryState()

    def targets(self, change: AlertChangeRecord) -> Sequence[str]:
        """Who wants to hear of a change. Called inside the ledger's transaction: it only compares."""
        return [hook.name for hook in self._hooks if hook.wants(change)]

    def wake(self) -> None:
        """There may be something to deliver."""
        for hook in self._hooks:
            hook.stirred.set()

    def send_unstored(self, change: AlertChangeRecord) -> None:
        """Deliver a change that cannot be stored: one try, since nobody would remember a second."""
        for hook in self._hooks:
            if hook.wants(change) and len(self._unstored) < _UNSTORED_COUNT_MAX:
                task = asyncio.create_task(hook.send_once(change), name="webhook")
                self._unstored.add(task)
                task.add_done_callback(self._unstored.discard)

    @property
    def state(self) -> DeliveryState:
        """How deliveries stand; what waits is as of the last look."""
        return replace(self._waiting, failed_count=sum(hook.failed_count for hook in self._hooks))

    async def start(self) -> None:
        """Deliver from now on, first what a restart has left. The ledger is started."""
        names = frozenset(hook.name for hook in self._hooks)
        await self._ledger.keep_deliveries(names, now=self._clock.now())
        await self._count()
        self._tasks = [
            asyncio.create_task(hook.deliver_forever(self._count), name=f"webhook {hook.name}")
            for hook in self._hooks
        ]

    async def close(self) -> None:
        """Deliver no more. What was on its way is sent again after the next start."""
        tasks = [*self._tasks, *self._unstored]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for hook in self._hooks:
            await hook.sender.close()

    async def _count(self) -> None:
        with contextlib.suppress(LedgerUnavailable):
            pending_count, oldest_at = await self._ledger.delivery_counts()
            self._waiting = DeliveryState(pending_count, oldest_at)


class _Hook:
    """One receiver."""

    def __init__(self, config: WebhookConfig, ledger: Ledger, clock: Clock, rng: Random) -> None:
        self.name = config.name
        self.sender = Sender(config)
        self.stirred = asyncio.Event()
        self.failed_count = 0
        self._config = config
        self._ledger = ledger
        self._clock = clock
        self._rng = rng
        self._grade = SEVERITIES.index(config.severity)
        # Had by the receiver, or given up, and not noted yet: it is noted, not sent again.
        self._ended: dict[int, tuple[bool, str]] = {}

    def wants(self, change: AlertChangeRecord) -> bool:
        """Whether it is to hear of a change."""
        alert, config = change.alert, self._config
        if config.kinds and alert.place.kind not in config.kinds:
            return False
        if config.taxpayers and alert.place.tax_number not in ("", *config.taxpayers):
            return False
        # Once over it may be mild: whoever heard that it began hears that it is over.
        return change.what == "RESOLVED" or SEVERITIES.index(alert.severity) >= self._grade

    async def send_once(self, change: AlertChangeRecord) -> None:
        """One try for what the ledger does not know."""
        outcome = await self._try(of_change(change, self._config.source))
        if outcome.error:
            log.error("webhook.unstored_lost", webhook=self.name, cause=outcome.error)

    async def deliver_forever(self, count: Callable[[], Awaitable[None]]) -> None:
        """Hand over one after the other."""
        while True:
            self.stirred.clear()
            try:
                pause_s = await self._deliver_next()
            except LedgerUnavailable as error:
                log.warning("webhook.waiting", webhook=self.name, cause=error.message)
                pause_s = _LEDGER_AWAY_S
            except Exception:  # a bug ends one try, not all
                log.exception("webhook.bug", webhook=self.name)
                pause_s = _BACKOFF.cap_s
            await count()
            await first_of(self.stirred, pause_s, self._clock)

    async def _deliver_next(self) -> float:
        """Hand over what is next; the answer is how long to wait if nothing stirs."""
        delivery = await self._ledger.next_delivery(self.name)
        if delivery is None:
            return math.inf
        wait_s = delivery.next_at - self._clock.now()
        # A pause never outlasts the longest one: the clock may have been set back.
        if 0 < wait_s <= WAIT_S_MAX:
            return wait_s
        if delivery.delivery_id not in self._ended:
            outcome = await self._try(of_change(delivery.change, self._config.source))
            if not self._is_over(delivery, outcome):
                return await self._postpone(delivery, outcome)
            self._ended[delivery.delivery_id] = (not outcome.error, outcome.error)
        delivered, error = self._ended[delivery.delivery_id]
        await self._ledger.end_delivery(
            delivery.delivery_id, delivered=delivered, error=error, now=self._clock.now()
        )
        del self._ended[delivery.delivery_id]
        return 0.0

    def _is_over(self, delivery: DeliveryRecord, outcome: Outcome) -> bool:
        if not outcome.error:
            log.info("webhook.delivered", webhook=self.name, change=delivery.change.change_number)
            return True
        given_up = (
            outcome.gone
            or (outcome.unwanted and delivery.attempt_count + 1 >= _UNWANTED_COUNT_MAX)
            or self._clock.now() - delivery.created_at >= _GIVE_UP_S
        )
        say = log.error if given_up else log.warning
        say(
            "webhook.given_up" if given_up else "webhook.failed",
            webhook=self.name,
            change=delivery.change.change_number,
            attempt=delivery.attempt_count + 1,
            cause=outcome.error,
        )
        return given_up

    async def _postpone(self, delivery: DeliveryRecord, outcome: Outcome) -> float:
        delay_s = _BACKOFF.base_s / 2 + _BACKOFF.delay_s(delivery.attempt_count + 1, self._rng)
        if outcome.wait_s is not None:
            delay_s = max(delay_s, outcome.wait_s)
        await self._ledger.postpone_delivery(
            delivery.delivery_id, next_at=self._clock.now() + delay_s, error=outcome.error
        )
        return delay_s

    async def _try(self, message: Message) -> Outcome:
        outcome = await self.sender.send(message, self._clock.now())
        if outcome.error:
            self.failed_count += 1
        return outcome


async def try_webhooks(configs: Sequence[WebhookConfig], now: float) -> dict[str, str]:
    """Send each receiver a test message, once; the answer is what was wrong by name, "" for nothing.

    Raises:
        SecretUnusable, ReceiverUnusable: A file that the configuration names cannot be used.
    """
    found = {}
    for config in configs:
        sender = Sender(config)
        outcome = await sender.send(test_message(config.source or _here(), now), now)
        await sender.close()
        found[config.name] = outcome.error
    return found


def _here() -> str:
    return f"//{socket.gethostname()}/taxcontrol"
