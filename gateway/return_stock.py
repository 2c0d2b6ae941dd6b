"""Returning numbers to the authority (退回), so that none is issued that the authority has taken back.

They are set aside in the ledger before the authority is asked, and stay there until it answers:
asked again under the same id, it answers the same. Only a reason of its own makes them available
again.
"""

import uuid

import structlog

from gateway.authorities import Authorities
from gateway.clock import Clock
from gateway.open_work import OpenWork, final_reason, put_off
from invoice.errors import AuthorityRefused
from ledger.port import Ledger
from ledger.records import Act, Binding, ReturnRecord

log = structlog.get_logger()

# Said before the authority looks whether it has taken the numbers back already.
_TAXPAYER_UNKNOWN = "TAXPAYER_UNKNOWN"
# The authority has some of them back under another id: our books are older than its record, most
# likely restored from a backup taken before the same return.
_ALREADY_RETURNED = "ALREADY_RETURNED"


class Returner:
    """Returns stock, and resumes returns that were cut off."""

    def __init__(self, *, ledger: Ledger, authorities: Authorities, clock: Clock) -> None:
        self._ledger = ledger
        self._authorities = authorities
        self._clock = clock
        self._open = OpenWork(
            "return", find=ledger.open_returns, carry_on=self._carry_on, clock=clock
        )

    async def start(self) -> None:
        """Resume open returns now and then, for as long as there are any."""
        await self._open.start()

    async def close(self) -> None:
        """Stop resuming; an open return waits in the ledger for the next start."""
        await self._open.close()

    async def give_back(
        self,
        *,
        tax_number: str,
        segment_id: int,
        count: int,
        binding: Binding,
        act: Act,
        dry_run: bool,
    ) -> tuple[ReturnRecord, bool]:
        """Return a segment's highest numbers; the second value is whether an earlier call asked.

        Raises:
            AuthorityRefused: For good, also on every replay: the numbers are available again.
            AuthorityUnavailable: Effect unknown; the return goes on by itself.
        """
        stored, replayed = await self._ledger.request_return(
            tax_number=tax_number,
            segment_id=segment_id,
            count=count,
            authority_request_id=str(uuid.uuid4()),
            binding=binding,
            act=act,
            dry_run=dry_run,
        )
        if dry_run and stored.state != "REFUSED":
            return stored, replayed
        return await self._open.carry(stored), replayed

    async def _carry_on(self, wish: ReturnRecord) -> ReturnRecord:
        """Bring a return to its end, from wherever it stands."""
        if wish.state == "REQUESTED":
            wish = await self._ask(wish)
        if wish.state == "REFUSED":
            raise AuthorityRefused(
                f"the authority refused the return: {wish.refusal}", authority_reason=wish.refusal
            )
        return wish

    async def _ask(self, wish: ReturnRecord) -> ReturnRecord:
        """From REQUESTED to RETURNED, or to the authority's refusal."""
        numbers = wish.segment
        assert numbers is not None, "set aside with the wish"
        facts = {"tax_number": wish.tax_number, "type": wish.type, "count": wish.count}
        try:
            answer = await self._authorities.of_type(wish.type).return_stock(
                request_id=wish.authority_request_id,
                tax_number=wish.tax_number,
                type=wish.type,
                code=numbers.code,
                prefix=numbers.prefix,
                width=numbers.width,
                first=numbers.first,
                count=numbers.count,
            )
        except AuthorityRefused as error:
            refusal = final_reason(error)
            if refusal == _TAXPAYER_UNKNOWN:
                raise put_off(error) from error
            if refusal == _ALREADY_RETURNED:
                return await self._had_already(wish)
            log.warning("return.refused", refusal=refusal, **facts)
            return await self._ledger.refuse_return(
                wish.tenant, wish.request_id, refusal, now=self._clock.now()
            )
        returned = await self._ledger.store_return(
            wish.tenant, wish.request_id, answer.return_serial, now=self._clock.now()
        )
        log.info("return.done", return_serial=answer.return_serial, **facts)
        return returned

    async def _had_already(self, wish: ReturnRecord) -> ReturnRecord:
        """Count the numbers as returned: an invoice on one that was could only be refused."""
        log.error(
            "return.had_already",
            tax_number=wish.tax_number,
            type=wish.type,
            count=wish.count,
            request_id=wish.request_id,
        )
        return await self._ledger.store_return(
            wish.tenant, wish.request_id, "", now=self._clock.now()
        )
