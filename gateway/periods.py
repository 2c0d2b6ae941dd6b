"""Summarising months (抄报, 清卡): decided in the ledger, signed in the device, taken by the authority.

Each step is stored before the next is taken, and the authority is asked under an id of the summary's own:
so the same code serves the first try, a retry by an operator, and the resumption after a crash. The month
stays CLOSING until the authority has it, whatever it says meanwhile.

From the 1st on every device is summarised by itself as soon as it may, in the order of its months. No month
is closed before the authority has told the time.
"""

import asyncio
import math
import uuid
from collections.abc import Collection, Iterable
from typing import Final

import structlog

from authority.port import PeriodSummary, Throttled
from gateway import requests
from gateway.authorities import Authorities, office_of
from gateway.clock import Clock
from gateway.open_work import OpenWork, put_off
from gateway.registry import Registry
from hsm.port import Signer
from hsm.verify import verify
from invoice import content
from invoice.errors import (
    AuthorityRefused,
    AuthorityUnavailable,
    HsmUnavailable,
    InvoiceError,
    PeriodNotClosable,
)
from invoice.identifiers import device_name
from invoice.types import Office
from ledger.period_records import DeviceName, PeriodRecord
from ledger.port import Ledger
from ledger.records import Act, Binding
from quota.period import period_of
from taxcontrol.admin.v1.device_service_pb2 import SummarisePeriodRequest

log = structlog.get_logger()

ACTION: Final = "summarise_period"
ACTOR: Final = "gateway"
# How often it is looked whether a month has become closable.
_LOOK_S: Final = 5.0
# Devices of one look, and how many of them at once: thousands close over some minutes.
_PAGE_COUNT: Final = 200
_AT_ONCE_COUNT: Final = 4
# What the authority refuses it is asked again this much later: only somebody's act can change it.
_REFUSED_S: Final = 60.0


class Summariser:
    """Summarises months, by itself and for operators, and resumes what was cut off."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        registry: Registry,
        signer: Signer,
        authorities: Authorities,
        clock: Clock,
        worker: str,
        tenant: str,
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._signer = signer
        self._authorities = authorities
        self._clock = clock
        self._worker = worker
        self._tenant = tenant
        self._refused_at: dict[str, float] = {}
        self._after = ("", "")
        self._task: asyncio.Task[None] | None = None
        self._open = OpenWork(
            "period",
            find=ledger.open_periods,
            carry_on=self._carry_on,
            clock=clock,
            ready=self._ready,
        )

    async def start(self) -> None:
        """Resume what is open, and close what is due, now and then."""
        await self._open.start()
        self._task = asyncio.create_task(self._close_forever(), name="period.close")

    async def close(self) -> None:
        """Stop; a month that is CLOSING waits in the ledger for the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._open.close()

    async def summarise(
        self, name: DeviceName, period: str, *, binding: Binding, act: Act, dry_run: bool
    ) -> tuple[PeriodRecord, bool]:
        """Summarise a month; return it and whether an earlier call with this id did.

        Raises:
            PeriodNotClosable, DeviceNotFound, TaxpayerNotFound, RequestIdReused: Effect none.
            AuthorityRefused, AuthorityUnavailable, HsmUnavailable, LedgerUnavailable: It goes on by itself.
        """
        record = await self._registry.record(self._tenant, name.tax_number)
        untold = await self._ask_time(record.taxpayer.grants)
        try:
            stored, replayed = await self._ledger.close_period(
                name,
                period,
                authority_request_id=str(uuid.uuid4()),
                worker=self._worker,
                # What is closed already is answered without the time.
                told_at=-math.inf if untold else self._told_at(record.taxpayer.grants),
                binding=binding,
                act=act,
                dry_run=dry_run,
            )
        except PeriodNotClosable:
            if untold is not None:
                raise untold from None
            raise
        if dry_run:
            return stored, replayed
        return await self._open.carry(stored), replayed

    # --- one month ----------------------------------------------------------------------

    async def _carry_on(self, record: PeriodRecord) -> PeriodRecord:
        """Bring a month to its end, from wherever it stands."""
        if record.state == "SUMMARISED":
            return record
        if record.signature is None:
            record = await self._sign(record)
        return await self._hand_in(record)

    async def _sign(self, record: PeriodRecord) -> PeriodRecord:
        key = await self._registry.signing_key(
            record.tenant, record.tax_number, record.machine_number
        )
        digest = content.digest(content.PERIOD_TAG, record.content)
        (signature,) = await self._signer.sign(key, [digest])
        if not verify(key.public_key, key.algorithm, digest, signature):
            raise HsmUnavailable("the device returned a wrong signature", retry_s=1.0)
        return await self._ledger.sign_period(record, signature=signature, key_id=key.key_id)

    async def _hand_in(self, record: PeriodRecord) -> PeriodRecord:
        assert record.signature is not None, "signed before"
        facts = {
            "tax_number": record.tax_number,
            "machine_number": record.machine_number,
            "period": record.period,
        }
        try:
            serial = await self._authorities.of_type(record.type).summarise_period(
                PeriodSummary(
                    request_id=record.authority_request_id,
                    tax_number=record.tax_number,
                    machine_number=record.machine_number,
                    period=record.period,
                    content=record.content,
                    signature=record.signature,
                    certificate=record.certificate,
                )
            )
        except Throttled as error:
            raise put_off(error) from error
        except AuthorityRefused as error:
            self._refused_at[record.authority_request_id] = self._clock.monotonic()
            log.warning("period.refused", **facts, **error.facts)
            raise
        self._refused_at.pop(record.authority_request_id, None)
        summarised = await self._ledger.summarise_period(
            record, summary_serial=serial, now=self._clock.now()
        )
        log.info("period.summarised", **facts, summary_serial=serial)
        return summarised

    def _ready(self, record: PeriodRecord) -> bool:
        refused_at = self._refused_at.get(record.authority_request_id)
        return refused_at is None or self._clock.monotonic() - refused_at >= _REFUSED_S

    async def _ask_time(self, type_codes: Collection[str]) -> AuthorityUnavailable | None:
        """Have the authority tell the time unless it has; return why it does not.

        A month that is closed too early is shut until it is over, so this machine's clock alone is
        no reason to: after a start it may be anything.
        """
        if self._authorities.clock_trusted(type_codes):
            return None
        try:
            # Every answer has the time. There is no such grant, so nothing else is asked.
            await self._authorities.of_types(type_codes).get_grant(str(uuid.uuid4()))
        except AuthorityUnavailable as error:
            return error
        except AuthorityRefused as error:
            refused = put_off(error)
        else:
            refused = AuthorityUnavailable("the authority has not told the time", retry_s=1.0)
        return None if self._authorities.clock_trusted(type_codes) else refused

    def _told_at(self, type_codes: Iterable[str]) -> float:
        """Return the time by the slower of this machine's clock and the authority's."""
        now = self._clock.now()
        return now - max(0.0, self._authorities.skew_s(type_codes))

    # --- by itself ----------------------------------------------------------------------

    async def _close_forever(self) -> None:
        while True:
            try:
                await self._look()
            except InvoiceError as error:
                log.warning("period.waiting", reason=error.reason)
            except Exception:  # a bug ends one look, not all
                log.exception("period.bug")
            await self._clock.sleep(_LOOK_S)

    async def _look(self) -> None:
        """Close what may be closed of the next devices that have a month behind them."""
        due = await self._ledger.due_periods(
            self._tenant,
            period=period_of(self._clock.now()),
            after=self._after,
            count_max=_PAGE_COUNT,
        )
        self._after = due[-1][0] if len(due) == _PAGE_COUNT else ("", "")
        due = await self._timed(due)
        at_once = asyncio.Semaphore(_AT_ONCE_COUNT)

        async def one(name: DeviceName, period: str) -> None:
            async with at_once:
                await self._close_due(name, period)

        await asyncio.gather(*(one(name, period) for name, period in due))

    async def _timed(self, due: list[tuple[DeviceName, str]]) -> list[tuple[DeviceName, str]]:
        """Those whose authority has told the time. One that is away is asked once a look, not by each."""
        away: dict[Office, AuthorityUnavailable | None] = {}
        timed = []
        for name, period in due:
            record = await self._registry.record(self._tenant, name.tax_number)
            type_codes = record.taxpayer.grants
            office = office_of(min(type_codes, default=""))
            if office not in away:
                away[office] = untold = await self._ask_time(type_codes)
                if untold is not None:
                    log.warning("period.waiting", office=office, reason=untold.reason)
            if away[office] is None:
                timed.append((name, period))
        return timed

    async def _close_due(self, name: DeviceName, period: str) -> None:
        """Close a month if it may be closed; what is in its way is no news."""
        try:
            record = await self._registry.record(self._tenant, name.tax_number)
            told_at = self._told_at(record.taxpayer.grants)
            if not await self._ledger.period_closable(name, period, told_at=told_at):
                return
            binding, act = self._own(name, period)
            await self.summarise(name, period, binding=binding, act=act, dry_run=False)
        except PeriodNotClosable:
            return  # something has come in between
        except AuthorityRefused:
            return  # on record already, and asked again
        except InvoiceError as error:
            log.warning("period.waiting", **name._asdict(), period=period, reason=error.reason)

    def _own(self, name: DeviceName, period: str) -> tuple[Binding, Act]:
        # A fresh one: callers choose theirs from the same space, and one that can be foretold may be
        # taken. That a month is closed once does not hang on it.
        request_id = f"period-{uuid.uuid4()}"
        request = SummarisePeriodRequest(
            request_id=request_id, name=device_name(*name), period=period
        )
        act = Act(actor=ACTOR, reason="", at=self._clock.now())
        return requests.binding(self._tenant, ACTION, request, request_id), act
