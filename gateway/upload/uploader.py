"""Owns the uploads: a stream for every taxpayer that has something to upload, while it has.

One taxpayer's trouble stays its own: a stream that fails is logged and started again after a
while, from the ledger, whatever the failure was.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Final

import structlog

from gateway.authorities import Authorities
from gateway.clock import Clock
from gateway.tracing.port import Tracer
from gateway.upload.backoff import Backoff
from gateway.upload.pacer import Guard, SteadyTime, throttler
from gateway.upload.reach import Reach
from gateway.upload.status import UploadStatus
from gateway.upload.stream import Stream
from gateway.upload.waiting import first_of
from invoice.errors import AuthorityUnavailable, LedgerUnavailable
from invoice.types import Office
from ledger.port import Ledger
from quota.windows import Window

log = structlog.get_logger()

_BEGIN_DISTANCE_S: Final = 0.01
_RESTART: Final = Backoff(base_s=0.2, cap_s=30.0)
# A stream that ran this long before it failed had recovered from its last failure.
_RECOVERED_S: Final = 60.0


def _tell_nobody(_tax_numbers: Iterable[str]) -> None:
    """Hear of verdicts where nobody wants to."""


class Uploader:
    """Uploads what is issued. One process owns a taxpayer's uploads at a time.

    Make it just before the ledger is started, for its time begins with the ledger's (``SteadyTime``).

    ``discover_s`` is how often the ledger is asked who has a backlog: for what an earlier process
    left behind, and for events that become due with nobody waking their stream. ``on_recorded`` hears
    whose verdicts were stored.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        authorities: Authorities,
        clock: Clock,
        rng: Random,
        tenant: str = "default",
        discover_s: float = 5.0,
        guard: Callable[[Window], Guard] = throttler,
        on_recorded: Callable[[Iterable[str]], None] = _tell_nobody,
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer
        self._tenant = tenant
        self._ledger = ledger
        self._authorities = authorities
        self._clock = clock
        self._steady = SteadyTime(clock)
        self._rng = rng
        self._discover_s = discover_s
        self._guard = guard
        self._on_recorded = on_recorded
        self._reaches = {office: Reach(rng, clock) for office in Office}
        self._streams: dict[str, Stream] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._discovery: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Begin to upload. The ledger is started."""
        self._discovery = asyncio.create_task(self._discover(), name="upload.discover")

    async def stop(self, *, grace_s: float = 15.0) -> None:
        """Send nothing new, let the calls under way end within ``grace_s``, stop.

        What is left is in the ledger and is taken up by the next start.
        """
        self._stopping.set()
        for tax_number in self._running:
            self._streams[tax_number].stop()
        tasks = {*self._running.values(), *([self._discovery] if self._discovery else [])}
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def wake(self, tax_number: str) -> None:
        """Note that a taxpayer may have new events. Cheap; called after every settled group."""
        if self._discovery is None or self._stopping.is_set():
            return
        stream = self._streams.get(tax_number)
        if stream is None:
            stream = self._streams[tax_number] = self._new_stream(tax_number)
        stream.wake()
        if tax_number not in self._running:
            self._running[tax_number] = asyncio.create_task(
                self._keep(tax_number, stream), name=f"upload {tax_number}"
            )

    async def reload(self, tax_number: str) -> None:
        """Keep to what an operator has decided since; from its return on.

        Raises:
            LedgerUnavailable: It may be in force later only.
        """
        stream = self._streams.get(tax_number)
        if stream is not None:
            await stream.reload()

    async def status(self, tax_number: str) -> UploadStatus:
        """Where a taxpayer's pace stands.

        Raises:
            TaxpayerNotFound: It is not registered.
            LedgerUnavailable: Its windows cannot be read.
        """
        stream = self._streams.get(tax_number) or self._new_stream(tax_number)
        return await stream.status()

    def glance(self, tax_number: str) -> UploadStatus | None:
        """The same at once, without asking the ledger; None when it was not asked before."""
        stream = self._streams.get(tax_number)
        return None if stream is None else stream.glance()

    def lost_at(self, office: Office) -> float | None:
        """Since when (unix seconds) an authority has not answered; None while it does."""
        return self._reaches[office].lost_at

    def _new_stream(self, tax_number: str) -> Stream:
        return Stream(
            tax_number,
            tenant=self._tenant,
            ledger=self._ledger,
            authorities=self._authorities,
            clock=self._clock,
            steady=self._steady,
            rng=self._rng,
            reaches=self._reaches,
            guard=self._guard,
            on_recorded=self._on_recorded,
            tracer=self._tracer,
        )

    async def _discover(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._wake_all(await self._ledger.backlogged())
            except LedgerUnavailable as error:
                log.warning("upload.interrupted", error=error.message)
            except Exception:
                log.exception("upload.bug")
            await first_of(self._stopping, self._discover_s, self._clock)

    async def _wake_all(self, tax_numbers: Sequence[str]) -> None:
        for tax_number in tax_numbers:
            begins = tax_number not in self._running
            self.wake(tax_number)
            # After a start everybody has a backlog; the authority is not met by all at once.
            if begins:
                await first_of(self._stopping, _BEGIN_DISTANCE_S, self._clock)

    async def _keep(self, tax_number: str, stream: Stream) -> None:
        failure_count = 0
        try:
            while not self._stopping.is_set():
                began_at = self._clock.monotonic()
                if await self._run(tax_number, stream):
                    return
                lasted_s = self._clock.monotonic() - began_at
                failure_count = 1 if lasted_s >= _RECOVERED_S else failure_count + 1
                delay_s = _RESTART.delay_s(failure_count, self._rng)
                await first_of(self._stopping, delay_s, self._clock)
        finally:
            # No await since the stream found nothing left, so no wake can fall in between.
            del self._running[tax_number]

    async def _run(self, tax_number: str, stream: Stream) -> bool:
        """Run the stream to its end; False when it has to be run again."""
        try:
            await stream.run()
        except (AuthorityUnavailable, LedgerUnavailable) as error:
            log.warning("upload.interrupted", tax_number=tax_number, error=error.message)
        except Exception:
            log.exception("upload.bug", tax_number=tax_number)
        else:
            return True
        return False
