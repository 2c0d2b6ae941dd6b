"""Drawing numbers from the authority in two phases, so that no granted number is ever forgotten.

The wish is stored first, under an id of its own for the authority. Whatever is lost afterwards,
asking again under that id finds the same grant: so the same code serves the first try, a retry by
the caller, and the resumption after a crash.

A draw ends only by a reason of the authority's own, and never while the authority holds a grant
for it. Anything else, such as being throttled, puts it off.
"""

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import grpc
import structlog

from authority.port import Authority, Grant, Throttled
from gateway.clock import Clock
from invoice.errors import AuthorityRefused, AuthorityUnavailable, InvoiceError
from ledger.errors import GrantOverlaps
from ledger.port import Ledger
from ledger.records import Act, Binding, GrantRecord

log = structlog.get_logger()

_RESUME_S = 5.0
_GRANT_UNKNOWN = "GRANT_UNKNOWN"


class Drawer:
    """Draws stock, and resumes draws that were cut off."""

    def __init__(self, *, ledger: Ledger, authority: Authority, clock: Clock) -> None:
        self._ledger = ledger
        self._authority = authority
        self._clock = clock
        # One task per open draw: a retry and the resumer join the one that runs.
        self._running: dict[tuple[str, str], asyncio.Task[GrantRecord]] = {}
        self._resuming: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Resume open draws now and then, for as long as there are any."""
        self._resuming = asyncio.create_task(self._resume_forever(), name="draw.resume")

    async def close(self) -> None:
        """Stop resuming; an open draw waits in the ledger for the next start."""
        tasks: list[asyncio.Task[Any]] = [*self._running.values()]
        if self._resuming is not None:
            tasks.append(self._resuming)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def draw(
        self,
        *,
        tax_number: str,
        type: str,
        count: int,
        binding: Binding,
        act: Act,
        dry_run: bool,
    ) -> tuple[GrantRecord, bool]:
        """Draw ``count`` numbers; return the grant and whether an earlier call asked for it.

        Raises:
            AuthorityRefused: For good; also on every replay. GRANT_OVERLAPS when the authority
                granted numbers that another grant holds.
            AuthorityUnavailable: Effect unknown; the draw goes on by itself.
        """
        wish = GrantRecord(
            tenant=binding.tenant,
            request_id=binding.request_id,
            authority_request_id=str(uuid.uuid4()),
            tax_number=tax_number,
            type=type,
            count=count,
            state="REQUESTED",
            requested_at=act.at,
        )
        stored, replayed = await self._ledger.request_grant(wish, binding, act, dry_run=dry_run)
        if dry_run:
            return stored, replayed
        # Shielded: the caller may hang up, the draw must still end.
        return await asyncio.shield(self._carrying(stored)), replayed

    def _carrying(self, grant: GrantRecord) -> asyncio.Task[GrantRecord]:
        """The task that brings a grant to its end, from wherever it stands."""
        place = (grant.tenant, grant.request_id)
        task = self._running.get(place)
        if task is None:
            task = self._running[place] = asyncio.create_task(self._carry_on(grant))
            task.add_done_callback(lambda done: self._ended(grant, done))
        return task

    def _ended(self, grant: GrantRecord, done: asyncio.Task[GrantRecord]) -> None:
        del self._running[grant.tenant, grant.request_id]
        # Looked at here, since the caller that would have seen the failure may have hung up.
        error = None if done.cancelled() else done.exception()
        if error is None or isinstance(error, AuthorityRefused):  # it ended
            return
        if isinstance(error, InvoiceError):
            log.warning(
                "draw.waiting",
                tax_number=grant.tax_number,
                type=grant.type,
                request_id=grant.request_id,
                reason=error.reason,
                cause=error.message,
            )
        else:
            log.error("draw.bug", exc_info=error)

    async def _carry_on(self, grant: GrantRecord) -> GrantRecord:
        if grant.state == "REQUESTED":
            grant = await self._ask(grant)
        if grant.state == "GRANTED":
            grant = await self._confirm(grant)
        if grant.state == "REFUSED":
            raise AuthorityRefused(
                f"the authority refused the draw: {grant.refusal}", authority_reason=grant.refusal
            )
        return grant

    async def _ask(self, grant: GrantRecord) -> GrantRecord:
        """Phase one: from REQUESTED to what the authority granted, or to its refusal."""
        try:
            granted = await self._granted(grant)
        except AuthorityRefused as error:
            return await self._refuse(grant, _final_reason(error))
        try:
            return await self._ledger.store_grant(_record(grant, granted))
        except GrantOverlaps as error:
            overlap = str(error)
        # Nothing can be issued of it, and asking again would bring the same numbers.
        log.error("draw.overlaps", tax_number=grant.tax_number, type=grant.type, overlap=overlap)
        return await self._refuse(grant, "GRANT_OVERLAPS")

    async def _granted(self, grant: GrantRecord) -> Grant:
        """What the authority grants; a refusal is believed once it has no grant for us."""
        try:
            return await self._authority.grant_stock(
                request_id=grant.authority_request_id,
                tax_number=grant.tax_number,
                type=grant.type,
                count=grant.count,
            )
        except AuthorityRefused as error:
            _final_reason(error)
            # An earlier try may have been granted and its answer lost.
            try:
                found = await self._authority.get_grant(grant.authority_request_id)
            except AuthorityRefused as unanswered:
                raise _put_off(unanswered) from unanswered
            if found is None:
                raise
            return found

    async def _confirm(self, grant: GrantRecord) -> GrantRecord:
        """Phase two: from GRANTED to CONFIRMED, its numbers in the pool."""
        try:
            await self._authority.confirm_grant(grant.grant_id)
        except AuthorityRefused as error:
            reason = _final_reason(error)
            if reason != _GRANT_UNKNOWN:
                raise _put_off(error) from error
            # The authority says that these numbers are not ours; none of them was used.
            return await self._refuse(grant, reason)
        confirmed = await self._ledger.confirm_grant(
            grant.tenant, grant.request_id, self._clock.now()
        )
        log.info("draw.confirmed", tax_number=grant.tax_number, type=grant.type, count=grant.count)
        return confirmed

    async def _refuse(self, grant: GrantRecord, refusal: str) -> GrantRecord:
        log.warning("draw.refused", tax_number=grant.tax_number, type=grant.type, refusal=refusal)
        return await self._ledger.refuse_grant(grant.tenant, grant.request_id, refusal)

    async def _resume_forever(self) -> None:
        while True:
            try:
                await self._resume()
            except InvoiceError as error:
                log.warning("draw.waiting", reason=error.reason)
            except Exception:  # a bug ends one round, not all
                log.exception("draw.bug")
            await self._clock.sleep(_RESUME_S)

    async def _resume(self) -> None:
        for grant in await self._ledger.open_grants():
            if (grant.tenant, grant.request_id) in self._running:
                continue
            log.info("draw.resumed", tax_number=grant.tax_number, type=grant.type)
            # Waited for without its failure: one grant that cannot end must not block the others.
            await asyncio.wait([self._carrying(grant)])


def _final_reason(error: AuthorityRefused) -> str:
    """The authority's own reason; raise ``AuthorityUnavailable`` when it gave none or said later."""
    reason = error.facts.get("authority_reason", "")
    # A bare gRPC code may come from anything on the way, a proxy or an expired certificate.
    if isinstance(error, Throttled) or not reason or reason in grpc.StatusCode.__members__:
        raise _put_off(error) from error
    return reason


def _put_off(error: AuthorityRefused) -> AuthorityUnavailable:
    return AuthorityUnavailable(f"put off: {error.message}", retry_s=error.retry_s)


def _record(wish: GrantRecord, granted: Grant) -> GrantRecord:
    return replace(
        wish,
        state="GRANTED",
        grant_id=granted.grant_id,
        code=granted.code,
        prefix=granted.prefix,
        width=granted.width,
        first=granted.first,
        count=granted.count,
    )
