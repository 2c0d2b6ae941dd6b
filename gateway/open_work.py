"""Bringing to its end what the authority was asked for, whoever asked and however often it was cut off.

A wish is stored before the authority is asked, under an id of its own for the authority, so that
asking again finds the same outcome. Only a reason of the authority's own ends it for the worse;
anything else, such as being throttled, puts it off.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

import grpc
import structlog

from authority.port import Throttled
from gateway.clock import Clock
from invoice.errors import AuthorityRefused, AuthorityUnavailable, InvoiceError
from ledger.records import GrantRecord, ReturnRecord

log = structlog.get_logger()

_RESUME_S = 5.0


_W = TypeVar("_W", bound=GrantRecord | ReturnRecord)


class OpenWork(Generic[_W]):
    """One task for each open wish: a retry by its caller and the resumer join the one that runs.

    ``name`` begins its log events; ``find`` answers what is open, ``carry_on`` brings one from
    wherever it stands to its end.
    """

    def __init__(
        self,
        name: str,
        *,
        find: Callable[[], Awaitable[Sequence[_W]]],
        carry_on: Callable[[_W], Coroutine[Any, Any, _W]],
        clock: Clock,
    ) -> None:
        self._name = name
        self._waiting, self._bug, self._resumed = (
            f"{name}.waiting",
            f"{name}.bug",
            f"{name}.resumed",
        )
        self._find = find
        self._carry_on = carry_on
        self._clock = clock
        self._running: dict[tuple[str, str], asyncio.Task[_W]] = {}
        self._resuming: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Resume what is open now and then, for as long as there is anything."""
        self._resuming = asyncio.create_task(self._resume_forever(), name=f"{self._name}.resume")

    async def close(self) -> None:
        """Stop resuming; what is open waits in the ledger for the next start."""
        tasks: list[asyncio.Task[Any]] = [*self._running.values()]
        if self._resuming is not None:
            tasks.append(self._resuming)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def carry(self, wish: _W) -> _W:
        """Bring a wish to its end; raise what ``carry_on`` raises."""
        # Shielded: the caller may hang up, the work must still end.
        return await asyncio.shield(self._carrying(wish))

    def _carrying(self, wish: _W) -> asyncio.Task[_W]:
        place = (wish.tenant, wish.request_id)
        task = self._running.get(place)
        if task is None:
            task = self._running[place] = asyncio.create_task(self._carry_on(wish))
            task.add_done_callback(lambda done: self._ended(wish, done))
        return task

    def _ended(self, wish: _W, done: asyncio.Task[_W]) -> None:
        del self._running[wish.tenant, wish.request_id]
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

    async def _resume_forever(self) -> None:
        while True:
            try:
                await self._resume()
            except InvoiceError as error:
                log.warning(self._waiting, reason=error.reason)
            except Exception:  # a bug ends one round, not all
                log.exception(self._bug)
            await self._clock.sleep(_RESUME_S)

    async def _resume(self) -> None:
        for wish in await self._find():
            if (wish.tenant, wish.request_id) in self._running:
                continue
            log.info(self._resumed, tax_number=wish.tax_number, type=wish.type)
            # Waited for without its failure: one that cannot end must not block the others.
            await asyncio.wait([self._carrying(wish)])


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
