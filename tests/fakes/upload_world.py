"""A gateway's uploads on virtual time: the real uploader, a ledger and an authority in memory."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import cast

from gateway.upload.uploader import Uploader
from invoice.errors import LedgerUnavailable
from ledger.port import Ledger
from tests.fakes.strict_authority import StrictAuthority
from tests.fakes.tax_office import tax_office
from tests.fakes.upload_ledger import Hook, Shelf, UploadLedger, no_hook
from tests.fakes.virtual_time import VirtualClock, virtual_guard

TAXPAYER = "91310000MA1FL0000X"
OTHER = "91310000MA1FL0001X"


class World:
    """What survives a crash, and one process at a time that may crash. Used inside a virtual loop."""

    def __init__(self, authority: StrictAuthority, shelf: Shelf, seed: int = 0) -> None:
        self.authority = authority
        self.shelf = shelf
        self.clock = VirtualClock()
        self.rng = Random(seed)
        self.hook: Hook = no_hook
        self._dead = False
        self._others = asyncio.all_tasks()
        self.uploader = self._process()

    async def start(self) -> None:
        """Start the uploads of a new process."""
        await self.uploader.start()

    async def crash(self) -> None:
        """End the process as a kill does: nothing it has not written is written afterwards."""
        self._dead = True
        tasks = asyncio.all_tasks() - self._others
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._dead = False
        self.uploader = self._process()

    async def restart(self) -> None:
        """Crash and start again."""
        await self.crash()
        await self.start()

    async def stop_and_start(self) -> None:
        """Stop in good order and start again."""
        await self.uploader.stop()
        self.uploader = self._process()
        await self.start()

    async def until(self, condition: Callable[[], bool], limit_s: float = 3600.0) -> float:
        """Let time pass until ``condition`` holds; return how long it took."""
        began_at = self.clock.monotonic()
        while not condition():
            elapsed_s = self.clock.monotonic() - began_at
            assert elapsed_s < limit_s, f"not within {limit_s} s: {self.shelf.backlog}"
            await self.clock.sleep(0.01)
        return self.clock.monotonic() - began_at

    async def until_finished(self, limit_s: float = 3600.0) -> float:
        """Let time pass until every event of everybody has its final word."""
        return await self.until(lambda: not any(self.shelf.backlog.values()), limit_s)

    def _process(self) -> Uploader:
        ledger = UploadLedger(self.shelf, self._pass)
        ledger.start(self.clock.now())
        return Uploader(
            ledger=cast("Ledger", ledger),
            authorities=tax_office(self.authority),
            clock=self.clock,
            rng=self.rng,
            guard=virtual_guard,
        )

    async def _pass(self, point: str) -> None:
        if self._dead:
            raise LedgerUnavailable("the process is dead")
        await self.hook(point)
