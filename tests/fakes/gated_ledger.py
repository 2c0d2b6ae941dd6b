"""A real ledger behind a gate: commits can be held, or fail before or after they took effect.

    from tests.fakes.gated_ledger import GatedLedger

    ledger = GatedLedger(real)
    ledger.hold("before")           # the next commits hang before they reach the ledger
    ledger.hold("after")            # … or after they took effect, before anybody hears of it
    await ledger.held.wait()        # a commit hangs
    ledger.release()
    ledger.fail_next("before")      # failed, not persisted
    ledger.fail_next("after")       # failed, but persisted: the lost answer

Voids pass the same gate: to decide one counts as a reserve, to settle it as a settle.
Everything else goes straight to the real one.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Literal, TypeVar

from invoice.errors import LedgerUnavailable
from ledger.port import Ledger
from ledger.records import GroupResult, Reservation, Settlement, StatementRecord

When = Literal["before", "after"]
T = TypeVar("T")


class GatedLedger:
    """Implements ``ledger.port.Ledger`` by the real one; see the module for the switches."""

    def __init__(self, real: Ledger) -> None:
        self._real = real
        self._holding: When | None = None
        self._only_settles = False
        self._failures: list[tuple[When, bool]] = []
        self._open = asyncio.Event()
        self._open.set()
        self.held = asyncio.Event()
        self.groups: list[tuple[int, int]] = []

    def hold(self, when: When, *, settles: bool = False) -> None:
        """Let commits hang from now on; with ``settles`` only those that settle something."""
        self._holding, self._only_settles = when, settles
        self.held.clear()
        self._open.clear()

    def release(self) -> None:
        """Let them go on."""
        self._holding = None
        self._open.set()

    def fail_next(self, when: When, *, settles: bool = False) -> None:
        """Let one more commit fail; with ``settles`` one that settles something."""
        self._failures.append((when, settles))

    async def commit(
        self,
        settlements: Sequence[Settlement],
        reservations: Sequence[Reservation],
        *,
        worker: str,
        now: float,
        clock_trusted: bool = True,
    ) -> GroupResult:
        """Commit through the gate."""
        self.groups.append((len(settlements), len(reservations)))
        return await self._gated(
            self._real.commit(
                settlements, reservations, worker=worker, now=now, clock_trusted=clock_trusted
            ),
            settles=bool(settlements),
        )

    async def reserve_void(self, **asked: Any) -> tuple[StatementRecord, bool]:
        """Decide through the gate."""
        return await self._gated(self._real.reserve_void(**asked), settles=False)

    async def reserve_blank_void(self, **asked: Any) -> tuple[StatementRecord, bool]:
        """Decide through the gate."""
        return await self._gated(self._real.reserve_blank_void(**asked), settles=False)

    async def settle_statement(self, record: StatementRecord, **signed: Any) -> StatementRecord:
        """Settle through the gate."""
        return await self._gated(self._real.settle_statement(record, **signed), settles=True)

    def __getattr__(self, name: str) -> Any:
        """Forward whatever is not gated."""
        return getattr(self._real, name)

    async def _gated(self, work: Coroutine[Any, Any, T], *, settles: bool) -> T:
        failing = self._failing(settles=settles)
        try:
            await self._pass("before", settles=settles)
            if failing == "before":
                raise LedgerUnavailable("planted: failed, not persisted")
            result = await work
        finally:
            work.close()  # as if it had never begun, where it has not
        await self._pass("after", settles=settles)
        if failing == "after":
            raise LedgerUnavailable("planted: failed, but persisted")
        return result

    def _failing(self, *, settles: bool) -> When | None:
        for planted in self._failures:
            if settles or not planted[1]:
                self._failures.remove(planted)
                return planted[0]
        return None

    async def _pass(self, when: When, *, settles: bool) -> None:
        if self._holding == when and (settles or not self._only_settles):
            self.held.set()
            await self._open.wait()
