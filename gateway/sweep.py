"""Finishing what nobody finishes: RESERVED rows of a dead process, or our own after a fault.

Every second, and in small pieces: a slow device then makes slow progress instead of none, and the
heartbeat that tells other gateways we live is never held up for long. From key to key, a piece of
each in turn: what waits for one that is away keeps nothing else waiting.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog

from gateway.clock import Clock
from gateway.issue import Issuer
from gateway.job import Key
from gateway.registry import Registry
from gateway.statements import Statements
from hsm.port import Signer
from invoice.errors import InvoiceError, LedgerUnavailable
from ledger.port import Ledger
from ledger.records import Entry, SigningPlace, StatementRecord

log = structlog.get_logger()

_PAUSE_S = 1.0
# Enough for a commit's fsync to vanish, few enough for the slowest keys (RSA) within a device's wait.
_PIECE_COUNT = 64
# Keys of one round. A thousand that are away cost some milliseconds.
_PLACE_COUNT_MAX = 1_000
# However much waits for the keys of one round, those of the next have their turn.
_ROUND_S_MAX = 1.0

_T = TypeVar("_T", Entry, StatementRecord)


class _Find(Protocol[_T]):
    """Reads orphans from the ledger."""

    def __call__(
        self, *, worker: str, now: float, count_max: int, place: SigningPlace | None
    ) -> Awaitable[list[_T]]:
        """As ``Ledger.orphans``."""


@dataclass(frozen=True, slots=True)
class _Kind(Generic[_T]):
    """One kind of orphan: how it is found, what of it is in work, and who finishes it."""

    name: str
    find: _Find[_T]
    busy: Callable[[], set[Key]]
    finish: Callable[[Sequence[_T]], Awaitable[int]]

    async def piece(self, places: deque[SigningPlace], worker: str, now: float) -> int:
        """Finish a piece of what waits at the first ``places``; return how many that were.

        A place leaves the queue when it is looked at, and comes to its end when there may be more.
        """
        taken: list[_T] = []
        more: list[SigningPlace] = []
        while places and len(taken) < _PIECE_COUNT:
            place, room = places.popleft(), _PIECE_COUNT - len(taken)
            # What is in work before the look is settled by its own job, perhaps during the look.
            busy = self.busy()
            found = await self.find(worker=worker, now=now, count_max=room + len(busy), place=place)
            left = [one for one in found if (one.tenant, one.request_id) not in busy]
            taken += left[:room]
            if len(left) >= room:
                more.append(place)
        finished = await self.finish(taken) if taken else 0
        if finished:
            log.info("sweep.finished", kind=self.name, count=finished)
            places.extend(more)
        return finished


class Sweep:
    """Looks for orphans and hands them to the issuer, or to whoever makes statements."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        signer: Signer,
        registry: Registry,
        issuer: Issuer,
        statements: Statements,
        clock: Clock,
        worker: str,
    ) -> None:
        self._ledger = ledger
        self._signer = signer
        self._registry = registry
        self._entries = _Kind("invoice", ledger.orphans, issuer.busy, issuer.finish)
        self._stated = _Kind(
            "statement", ledger.orphan_statements, statements.busy, statements.finish
        )
        self._clock = clock
        self._worker = worker
        self._after = ("", "")
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
                while await self._round():
                    pass
            except LedgerUnavailable as error:
                log.warning("sweep.failed", cause=error.message)
            except Exception:  # a bug ends one sweep, not all
                log.exception("sweep.bug")
            await self._clock.sleep(_PAUSE_S)

    async def _round(self) -> bool:
        """Finish what waits for the next keys; True where it was much, so that there may be more."""
        await self._beat()
        willing = await self._willing()
        entries, stated = deque(willing), deque(willing)
        ends_at = self._clock.monotonic() + _ROUND_S_MAX
        finished = 0
        while (entries or stated) and self._clock.monotonic() < ends_at:
            now = await self._beat()
            finished += await self._entries.piece(entries, self._worker, now)
            finished += await self._stated.piece(stated, self._worker, now)
        return finished >= _PIECE_COUNT

    async def _beat(self) -> float:
        now = self._clock.now()
        await self._ledger.beat(self._worker, now)
        return now

    async def _willing(self) -> list[SigningPlace]:
        """The next places where something waits, but for those whose key is away."""
        page = await self._ledger.signing_places(after=self._after, count_max=_PLACE_COUNT_MAX)
        at_the_end = len(page) < _PLACE_COUNT_MAX
        self._after = ("", "") if at_the_end else (page[-1].tax_number, page[-1].machine_number)
        return [place for place in page if await self._signable(place)]

    async def _signable(self, place: SigningPlace) -> bool:
        try:
            key = await self._registry.signing_key(
                place.tenant, place.tax_number, place.machine_number
            )
        except LedgerUnavailable:
            raise
        except InvoiceError as error:
            log.warning(
                "sweep.left",
                tax_number=place.tax_number,
                machine_number=place.machine_number,
                reason=error.reason,
            )
            return False
        return self._signer.available(key.key_id)
