"""Finishing what nobody finishes: RESERVED rows of a dead process, or our own after a fault.

Every second, and in small pieces: a slow device then makes slow progress instead of none, and the
heartbeat that tells other gateways we live is never held up for long.
"""

import asyncio
import contextlib

import structlog

from gateway.clock import Clock
from gateway.issue import Issuer
from gateway.statements import Statements
from invoice.errors import LedgerUnavailable
from ledger.port import Ledger

log = structlog.get_logger()

_PAUSE_S = 1.0
# Enough for a commit's fsync to vanish, few enough for the slowest keys (RSA) within a device's wait.
_PIECE_COUNT = 64


class Sweep:
    """Looks for orphans and hands them to the issuer, or to whoever makes statements."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        issuer: Issuer,
        statements: Statements,
        clock: Clock,
        worker: str,
    ) -> None:
        self._ledger = ledger
        self._issuer = issuer
        self._statements = statements
        self._clock = clock
        self._worker = worker
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Sweep now and every second."""
        self._task = asyncio.create_task(self._forever(), name="sweep")

    async def close(self) -> None:
        """Adopt nothing more; what is adopted is finished by whoever has it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _forever(self) -> None:
        while True:
            try:
                while any(await self._piece()):
                    pass
            except LedgerUnavailable as error:
                log.warning("sweep.failed", cause=error.message)
            except Exception:  # a bug ends one sweep, not all
                log.exception("sweep.bug")
            await self._clock.sleep(_PAUSE_S)

    async def _piece(self) -> tuple[bool, bool]:
        """Finish some orphans; True where there are more and the device is willing."""
        now = self._clock.now()
        await self._ledger.beat(self._worker, now)
        return await self._entries(now), await self._stated(now)

    async def _entries(self, now: float) -> bool:
        # What is in work before the look is settled by its own job, perhaps during the look.
        busy = self._issuer.busy()
        orphans = await self._ledger.orphans(
            worker=self._worker, now=now, count_max=_PIECE_COUNT + len(busy)
        )
        left = [entry for entry in orphans if (entry.tenant, entry.request_id) not in busy]
        finished = await self._issuer.finish(left[:_PIECE_COUNT])
        if finished:
            log.info("sweep.finished", count=finished)
        return finished == _PIECE_COUNT

    async def _stated(self, now: float) -> bool:
        busy = self._statements.busy()
        orphans = await self._ledger.orphan_statements(
            worker=self._worker, now=now, count_max=_PIECE_COUNT + len(busy)
        )
        left = [one for one in orphans if (one.tenant, one.request_id) not in busy]
        finished = await self._statements.finish(left[:_PIECE_COUNT])
        if finished:
            log.info("sweep.finished", statement_count=finished)
        return finished == _PIECE_COUNT
