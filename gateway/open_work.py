"""Bringing to its end what the authority was asked for, whoever asked and however often it was cut off.

A wish is stored before the authority is asked, under an id of its own for the authority, so that
asking again finds the same outcome. Only a reason of the authority's own ends it for the worse;
anything else, such as being throttled, puts it off.

What is open is resumed a page at a time, round and round, for each authority by itself: however much
cannot end, what stands behind it has its turn.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

import grpc
import structlog

from authority.port import Throttled
from gateway.authorities import office_of
from gateway.clock import Clock
from gateway.job import Key
from invoice.errors import AuthorityRefused, AuthorityUnavailable, InvoiceError
from invoice.types import Office
from ledger.period_records import PeriodRecord
from ledger.records import GrantRecord, ReturnRecord

log = structlog.get_logger()

_RESUME_S = 5.0
_PAGE_COUNT = 100
# One that is not over by then goes on beside the next.
_PATIENCE_S = 1.0
_BEGINNING: Key = ("", "")

_W = TypeVar("_W", bound=GrantRecord | ReturnRecord | PeriodRecord)
_W_co = TypeVar("_W_co", bound=GrantRecord | ReturnRecord | PeriodRecord, covariant=True)


class _Find(Protocol[_W_co]):
    """Reads from the ledger what is open."""

    def __call__(self, *, after: Key, count_max: int) -> Awaitable[Sequence[_W_co]]:
        """As ``Ledger.open_grants``."""


class OpenWork(Generic[_W]):
    """One task for each open wish: a retry by its caller and the resumer join the one that runs.

    ``name`` begins its log events; ``find`` answers what is open, oldest first, ``carry_on`` brings one
    from wherever it stands to its end. What is not ``ready`` is resumed later.
    """

    def __init__(
        self,
        name: str,
        *,
        find: _Find[_W],
        carry_on: Callable[[_W], Coroutine[Any, Any, _W]],
        clock: Clock,
        ready: Callable[[_W], bool] = lambda _: True,
    ) -> None:
        self._ready = ready
        self._name = name
        self._waiting, self._bug, self._resumed = (
            f"{name}.waiting",
            f"{name}.bug",
            f"{name}.resumed",
        )
        self._find = find
        self._carry_on = carry_on
        self._clock = clock
        self._running: dict[Key, asyncio.Task[_W]] = {}
        self._resuming: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Resume what is open now and then, for as long as there is anything."""
        self._resuming = [
            asyncio.create_task(self._resume_forever(office), name=f"{self._name}.resume {office}")
            for office in Office
        ]

    async def close(self) -> None:
        """Stop resuming; what is open waits in the ledger for the next start."""
        tasks: list[asyncio.Task[Any]] = [*self._running.values(), *self._resuming]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def carry(self, wish: _W) -> _W:
        """Bring a wish to its end; raise what ``carry_on`` raises."""
        # Shielded: the caller may hang up, the work must still end.
        return await asyncio.shield(self._carrying(wish))

    def _carrying(self, wish: _W) -> asyncio.Task[_W]:
        key = _key(wish)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._carry_on(wish))
            task.add_done_callback(lambda done: self._ended(wish, done))
        return task

    def _ended(self, wish: _W, done: asyncio.Task[_W]) -> None:
        del self._running[_key(wish)]
        # Looked at here, since the caller that would have seen the failure may have hung up.
        error = None if done.cancelled() else done.exception()
        if error is None or isinstance(error, AuthorityRefused):  # it ended
            return
        if isinstance(error, InvoiceError):
            log.warning(
                self._waiting,
                tax_number=wish.tax_number,
                type=wish.type,
                request_id=wish.request_id,
                reason=error.reason,
                cause=error.message,
            )
        else:
            log.error(self._bug, exc_info=error)

    async def _resume_forever(self, office: Office) -> None:
        after = _BEGINNING
        while True:
            try:
                mine, after = await self._page(office, after)
                for wish in mine:
                    await self._resume(wish)
            except InvoiceError as error:
                log.warning(self._waiting, reason=error.reason)
            except Exception:  # a bug ends one round, not all
                log.exception(self._bug)
            await self._clock.sleep(_RESUME_S)

    async def _page(self, office: Office, after: Key) -> tuple[list[_W], Key]:
        """The next that are open with one authority, and behind which those after them begin."""
        while True:
            page = await self._find(after=after, count_max=_PAGE_COUNT)
            mine = [wish for wish in page if office_of(wish.type) is office]
            after = _key(page[-1]) if len(page) == _PAGE_COUNT else _BEGINNING
            if mine or after == _BEGINNING:
                return mine, after

    async def _resume(self, wish: _W) -> None:
        if _key(wish) in self._running or not self._ready(wish):
            return
        log.info(self._resumed, tax_number=wish.tax_number, type=wish.type)
        # Waited for without its failure, and not for ever: one that cannot end must not block the others.
        patience = asyncio.ensure_future(self._clock.sleep(_PATIENCE_S))
        try:
            await asyncio.wait(
                (self._carrying(wish), patience), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            patience.cancel()


def _key(wish: GrantRecord | ReturnRecord | PeriodRecord) -> Key:
    return wish.tenant, wish.request_id


def final_reason(error: AuthorityRefused) -> str:
    """The authority's own reason; raise ``AuthorityUnavailable`` when it gave none or said later."""
    reason = error.facts.get("authority_reason", "")
    # A bare gRPC code may come from anything on the way, a proxy or an expired certificate.
    if isinstance(error, Throttled) or not reason or reason in grpc.StatusCode.__members__:
        raise put_off(error) from error
    return reason


def put_off(error: AuthorityRefused) -> AuthorityUnavailable:
    """A refusal that says nothing about the wish itself: it stays open and is asked for again."""
    return AuthorityUnavailable(f"put off: {error.message}", retry_s=error.retry_s)
