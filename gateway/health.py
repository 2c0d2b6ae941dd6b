"""True readiness, per service: what a service needs is asked, not assumed.

Issuing needs a ledger that writes and a signing device; reading and administering need the
ledger. The authority is in no list: issuing goes on while it is away.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from enum import Enum

import structlog
from grpc_health.v1 import health, health_pb2

from gateway.clock import Clock
from gateway.registry import Registry
from hsm.port import Signer
from invoice.errors import InvoiceError
from ledger.port import Ledger

log = structlog.get_logger()

_PROBE_S = 1.0
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Need(Enum):
    """What a service cannot do without."""

    LEDGER = "ledger"
    LEDGER_AND_DEVICE = "ledger and device"


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
    ) -> None:
        self._servicer = servicer
        self._needs = {"": Need.LEDGER_AND_DEVICE, **needs}
        self._ledger = ledger
        self._signer = signer
        self._registry = registry
        self._clock = clock
        self._known: dict[str, bool] = {}
        self._watch: asyncio.Task[None] | None = None

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
        await self._servicer.enter_graceful_shutdown()

    async def _look_forever(self) -> None:
        while True:
            await self._clock.sleep(_PROBE_S)
            try:
                await self._look()
            except Exception:  # a bug ends one round, not all
                log.exception("health.bug")

    async def _look(self) -> None:
        ledger = await self._ledger_writes()
        device = self._device_signs(self._registry.key_ids())
        for service, need in self._needs.items():
            ready = ledger and (device or need is Need.LEDGER)
            if self._known.get(service) != ready:
                self._known[service] = ready
                await self._servicer.set(service, _SERVING if ready else _NOT_SERVING)
                log.info("health.changed", service=service, ready=ready)

    async def _ledger_writes(self) -> bool:
        try:
            await self._ledger.ping()
        except InvoiceError:
            return False
        return True

    def _device_signs(self, key_ids: Iterable[str]) -> bool:
        """Any key will do: one taxpayer's broken key must not take the others' service away."""
        keys = list(key_ids)
        return not keys or any(self._signer.available(key_id) for key_id in keys)
