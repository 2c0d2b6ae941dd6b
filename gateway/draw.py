"""Drawing numbers from the authority in two phases, so that no granted number is ever forgotten.

The wish is stored first, under an id of its own for the authority. Whatever is lost afterwards,
asking again under that id finds the same grant: so the same code serves the first try, a retry by
the caller, and the resumption after a crash.

A draw ends only by a reason of the authority's own, and never while the authority holds a grant
for it. Anything else, such as being throttled, puts it off.
"""

import uuid
from dataclasses import replace

import structlog

from authority.port import Grant
from gateway.authorities import Authorities
from gateway.clock import Clock
from gateway.open_work import OpenWork, final_reason, put_off
from invoice.errors import AuthorityRefused
from ledger.errors import GrantOverlaps
from ledger.port import Ledger
from ledger.records import Act, Binding, GrantRecord

log = structlog.get_logger()

_GRANT_UNKNOWN = "GRANT_UNKNOWN"


class Drawer:
    """Draws stock, and resumes draws that were cut off."""

    def __init__(self, *, ledger: Ledger, authorities: Authorities, clock: Clock) -> None:
        self._ledger = ledger
        self._authorities = authorities
        self._clock = clock
        self._open = OpenWork("draw", find=ledger.open_grants, carry_on=self._carry_on, clock=clock)

    async def start(self) -> None:
        """Resume open draws now and then, for as long as there are any."""
        await self._open.start()

    async def close(self) -> None:
        """Stop resuming; an open draw waits in the ledger for the next start."""
        await self._open.close()

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
        return await self._open.carry(stored), replayed

    async def _carry_on(self, grant: GrantRecord) -> GrantRecord:
        """Bring a grant to its end, from wherever it stands."""
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
            return await self._refuse(grant, final_reason(error))
        try:
            return await self._ledger.store_grant(_record(grant, granted))
        except GrantOverlaps as error:
            overlap = str(error)
        # Nothing can be issued of it, and asking again would bring the same numbers.
        log.error("draw.overlaps", tax_number=grant.tax_number, type=grant.type, overlap=overlap)
        return await self._refuse(grant, "GRANT_OVERLAPS")

    async def _granted(self, grant: GrantRecord) -> Grant:
        """What the authority grants; a refusal is believed once it has no grant for us."""
        authority = self._authorities.of_type(grant.type)
        try:
            return await authority.grant_stock(
                request_id=grant.authority_request_id,
                tax_number=grant.tax_number,
                type=grant.type,
                count=grant.count,
            )
        except AuthorityRefused as error:
            final_reason(error)
            # An earlier try may have been granted and its answer lost.
            try:
                found = await authority.get_grant(grant.authority_request_id)
            except AuthorityRefused as unanswered:
                raise put_off(unanswered) from unanswered
            if found is None:
                raise
            return found

    async def _confirm(self, grant: GrantRecord) -> GrantRecord:
        """Phase two: from GRANTED to CONFIRMED, its numbers in the pool."""
        try:
            await self._authorities.of_type(grant.type).confirm_grant(grant.grant_id)
        except AuthorityRefused as error:
            reason = final_reason(error)
            if reason != _GRANT_UNKNOWN:
                raise put_off(error) from error
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
        issue_deadline=granted.issue_deadline,
    )
