"""From requests to outcomes: what single calls, batches, reversals and streams have in common."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway import convert, status
from gateway.deadline import Deadline
from gateway.issue import Issuer
from gateway.job import Issued, StaleTaxpayer, Waiter, in_progress
from gateway.prepare import Prepared, Preparer
from gateway.registry import Registry
from invoice import content
from invoice.errors import (
    BatchTooLarge,
    InProgress,
    InvalidInvoice,
    InvoiceError,
    NumberBlankVoided,
    RequestIdReused,
)
from invoice.lifecycle import InvoiceState
from ledger.port import Ledger
from ledger.records import Entry
from taxcontrol.v1 import invoice_service_pb2 as pb2

MESSAGE_BYTES_MAX = 8 * 1024 * 1024
# After so many lines others have the loop: health must answer during a large batch.
_BREATHER_COUNT = 100
# Name, id, signature, key id, marks: what an answer carries beside the content, rounded up.
ANSWER_BYTES = 1024
_ID_BYTES = 128
# A registration rarely changes twice while one request is under way.
STALE_TRIES = 2

Outcome = Issued | Exception
"""What became of a request."""

Begun = Waiter | Issued | Exception
"""A request in work, or what became of it already."""


class Prepare(Protocol):
    """Looks at one request; with ``reload`` after reading its taxpayer again."""

    def __call__(self, *, reload: bool) -> Awaitable[Prepared]:
        """Answer what it asks for; raise what stands against it whatever was issued before."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to issue, and how to look at it."""

    request_id: str
    prepare: Prepare
    line_count: int = 1


class Breather:
    """Gives the loop to others now and then in a long piece of work."""

    def __init__(self) -> None:
        self._line_count = 0

    async def after(self, line_count: int) -> None:
        """Take a breath if this was much, or there was much before it."""
        self._line_count += line_count
        if self._line_count > _BREATHER_COUNT:
            self._line_count = 0
            await asyncio.sleep(0)


class Issuing:
    """Takes requests through their check and the issuer to their outcome."""

    def __init__(
        self, *, issuer: Issuer, preparer: Preparer, ledger: Ledger, registry: Registry
    ) -> None:
        self._issuer = issuer
        self._preparer = preparer
        self._ledger = ledger
        self._registry = registry

    async def all(self, asks: Sequence[Ask], deadline: Deadline) -> list[Outcome]:
        """Issue each; an outcome per request, in order. Nothing is raised for one of them."""
        with self._issuer.admission.admitted(len(asks)):
            prepared = await self._prepare_all(asks)
            begun = [await self.begin(item) for item in prepared]
        waiters = [item for item in begun if not isinstance(item, Issued | Exception)]
        timer = None if deadline.at is None else self._issuer.expire(waiters, deadline.at)
        try:
            return [
                await self._outcome(ask, item, waiters, deadline)
                for ask, item in zip(asks, begun, strict=True)
            ]
        finally:
            if timer is not None:
                timer.cancel()
            for waiter in waiters:  # only when the caller hung up: nobody will look any more
                waiter.cancel()

    async def prepare(self, ask: Ask, *, reload: bool = False) -> Prepared | Exception:
        """Look at one request, without any effect."""
        try:
            return await ask.prepare(reload=reload)
        except Exception as error:  # noqa: BLE001 - one bad item never spoils another
            return error

    async def begin(self, prepared: Prepared | Exception) -> Begun:
        """Hand a checked request to the issuer, or answer it from what is issued already."""
        if isinstance(prepared, Exception):
            return prepared
        try:
            if prepared.reservation is not None:
                return self._issuer.submit(prepared.reservation)
            return await self._replay_or(prepared)
        except Exception as error:  # noqa: BLE001 - as above
            return error

    async def result(self, request_id: str, outcome: Outcome) -> pb2.BatchIssueResult:
        """One item's result on the wire."""
        if isinstance(outcome, Issued):
            try:
                issued = convert.issued(outcome.entry, await self.algorithm(outcome.entry))
            except Exception as error:  # noqa: BLE001 - as above
                return pb2.BatchIssueResult(request_id=request_id, failure=status.failed(error))
            return pb2.BatchIssueResult(
                request_id=request_id, issued=issued, replayed=outcome.replayed
            )
        return pb2.BatchIssueResult(request_id=request_id, failure=status.failed(outcome))

    async def algorithm(self, entry: Entry) -> str:
        """What the entry was signed with."""
        return await self._registry.algorithm(entry.tenant, entry.tax_number, entry.key_id)

    async def _prepare_all(self, asks: Sequence[Ask]) -> list[Prepared | Exception]:
        """Check each request, and let others have the loop in between."""
        prepared = []
        size = 0
        breather = Breather()
        for ask in asks:
            item = await self.prepare(ask)
            prepared.append(item)
            if len(asks) > 1:
                # The answer carries every content and refusal, so it is weighed before a number
                # is taken.
                size += answer_bytes(item)
            await breather.after(1 + ask.line_count)
        check_bytes(size)
        return prepared

    async def _outcome(
        self, ask: Ask, item: Begun, waiters: list[Waiter], deadline: Deadline
    ) -> Outcome:
        if isinstance(item, Issued | Exception):
            return item
        try:
            return await item
        except StaleTaxpayer:
            return await self._again(ask, waiters, deadline)
        except Exception as error:  # noqa: BLE001 - as above
            return error

    async def _again(self, ask: Ask, waiters: list[Waiter], deadline: Deadline) -> Outcome:
        """After ``StaleTaxpayer``: check anew and issue."""
        for _ in range(STALE_TRIES):
            item = await self.begin(await self.prepare(ask, reload=True))
            if isinstance(item, Issued | Exception):
                return item
            waiters.append(item)  # the deadline holds for the new try too
            if deadline.passed():
                return in_progress(ask.request_id)
            try:
                return await item
            except StaleTaxpayer:
                continue
            except Exception as error:  # noqa: BLE001 - as above
                return error
        return keeps_changing()

    async def _replay_or(self, prepared: Prepared) -> Issued:
        """What is issued already is answered even where the same request is refused today."""
        refusal = prepared.refusal
        assert refusal is not None
        entry = await self._ledger.find_request(self._preparer.tenant, prepared.request_id)
        if entry is None:
            raise refusal
        wanted = self._preparer.wanted(prepared)
        if entry.fingerprint == wanted.fingerprint:
            if entry.state is InvoiceState.BLANK_VOIDED:
                raise NumberBlankVoided(entry.request_id, entry.code, entry.number)
            if entry.signature is None:
                raise in_progress(wanted.request_id)
            return Issued(entry, replayed=True)
        if isinstance(refusal, InvalidInvoice):  # rules come before ids in the order of checks
            raise refusal
        fields = content.differences(content.tail_of(entry.content), wanted.tail)
        raise RequestIdReused(wanted.request_id, fields)


def keeps_changing() -> InProgress:
    """The answer when a registration was another one each time it was looked at."""
    return InProgress("the registration keeps changing; retry", retry_s=1.0)


def answer_bytes(prepared: Prepared | Exception) -> int:
    """About what the item will weigh in the answer; what may be replayed weighs as its refusal."""
    refusal: Exception | None = None
    if isinstance(prepared, Exception):
        refusal = prepared
    elif prepared.reservation is not None:
        return len(prepared.reservation.tail) + ANSWER_BYTES
    else:
        refusal = prepared.refusal
    if isinstance(refusal, InvoiceError):
        return status.to_failure(refusal).ByteSize() + _ID_BYTES
    return ANSWER_BYTES


def check_bytes(size: int) -> None:
    """Raise ``BatchTooLarge`` when a batch, or its answer, passes what a message may have."""
    if size > MESSAGE_BYTES_MAX:
        raise BatchTooLarge(
            "the batch is too large in bytes, with its answer; split it",
            size_bytes=size,
            size_bytes_max=MESSAGE_BYTES_MAX,
        )
