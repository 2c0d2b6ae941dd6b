"""True readiness, per service: what a service needs is proved each second, not assumed.

Issuing needs a ledger that writes and a signing device; reading and administering need the
ledger. The authority is in no list: issuing goes on while it is away.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any

import structlog
from grpc_health.v1 import health, health_pb2

from gateway.clock import Clock
from gateway.registry import Registry
from hsm.port import Signer
from invoice.errors import InvoiceError
from ledger.port import Ledger

log = structlog.get_logger()

_PROBE_S = 1.0
# A proof that takes longer has failed: callers would wait as long.
_LATE_S = 2.0
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Need(Enum):
    """What a service cannot do without."""

    LEDGER = "ledger"
    LEDGER_AND_DEVICE = "ledger and device"


class _Proof:
    """A proof that may hang. Whoever is late is waited for, not asked again: nothing piles up."""

    def __init__(self, prove: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._prove = prove
        self._running: asyncio.Task[None] | None = None

    async def given(self) -> bool:
        """Whether it succeeded within ``_LATE_S``."""
        if self._running is None:
            self._running = asyncio.create_task(self._prove())
        await asyncio.wait([self._running], timeout=_LATE_S)
        if not self._running.done():
            return False
        ended, self._running = self._running, None
        try:
            ended.result()
        except InvoiceError:
            return False
        return True

    async def end(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])


@dataclass(slots=True)
class Vitals:
    """What was found last: whether the ledger can be written, and whether the device signs."""

    ledger: bool = True
    device: bool = True


class Readiness:
    """Keeps ``servicer`` true. ``""``, the whole server, needs everything."""

    def __init__(
        self,
        *,
        servicer: health.aio.HealthServicer,
        needs: dict[str, Need],
        ledger: Ledger,
        signer: Signer,
        registry: Registry,
        clock: Clock,
        vitals: Vitals,
    ) -> None:
        self._vitals = vitals
        self._servicer = servicer
        self._needs = {"": Need.LEDGER_AND_DEVICE, **needs}
        self._ledger = _Proof(ledger.ping)
        self._device = _Proof(signer.probe)
        self._signer = signer
        self._registry = registry
        self._clock = clock
        self._known: dict[str, bool] = {}
        self._watch: asyncio.Task[None] | None = None

    def known(self) -> dict[str, bool]:
        """What was seen last, by service. From any thread."""
        return dict(self._known)

    async def start(self) -> None:
        """Look once, then every second."""
        await self._look()
        self._watch = asyncio.create_task(self._look_forever(), name="health")

    async def drain(self) -> None:
        """Answer NOT_SERVING for good, so that balancers send nothing more."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await self._ledger.end()
        await self._device.end()
        self._known = dict.fromkeys(self._known, False)
        await self._servicer.enter_graceful_shutdown()

    async def _look_forever(self) -> None:
        while True:
            await self._clock.sleep(_PROBE_S)
            try:
                await self._look()
            except Exception:  # a bug ends one round, not all
                log.exception("health.bug")

    async def _look(self) -> None:
        ledger, signs = await asyncio.gather(self._ledger.given(), self._device.given())
        device = signs and self._some_key_serves()
        self._vitals.ledger, self._vitals.device = ledger, device
        for service, need in self._needs.items():
            ready = ledger and (device or need is Need.LEDGER)
            if self._known.get(service) != ready:
                self._known[service] = ready
                await self._servicer.set(service, _SERVING if ready else _NOT_SERVING)
                log.info("health.changed", service=service, ready=ready)

    def _some_key_serves(self) -> bool:
        """Any key will do: one taxpayer's broken key must not take the others' service away."""
        keys = self._registry.key_ids()
        return not keys or any(self._signer.available(key_id) for key_id in keys)
