"""From requests to outcomes: what single calls, batches, reversals and streams have in common."""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from gateway import convert, status
from gateway.deadline import Deadline
from gateway.issue import Issuer
from gateway.job import Issued, StaleTaxpayer, Waiter, in_progress
from gateway.lanes import SHORT_LINE_COUNT_MAX, Lanes
from gateway.metrics.measures import Measures, add_one
from gateway.prepare import LINE_COUNT_MAX, Prepared, Preparer
from gateway.registry import Registry
from invoice import content
from invoice.errors import (
    BatchTooLarge,
    DeadlineTooShort,
    InProgress,
    InvalidInvoice,
    InvoiceError,
    NumberBlankVoided,
    RequestIdReused,
)
from invoice.lifecycle import InvoiceState
from ledger.port import Ledger
from ledger.records import Entry, Reservation
from taxcontrol.v1 import error_reason_pb2
from taxcontrol.v1 import invoice_service_pb2 as pb2

MESSAGE_BYTES_MAX = 8 * 1024 * 1024
# After so many lines others have the loop: health must answer during a large batch.
_BREATHER_COUNT = 100
# Name, id, signature, key id, marks: what an answer carries beside the content, rounded up.
ANSWER_BYTES = 1024
# What a line of a request takes in memory beside its text.
LINE_BYTES = 256
_ID_BYTES = 128
# A registration rarely changes twice while one request is under way.
STALE_TRIES = 2

Looked = Reservation | Issued | Exception
"""A request that was looked at: what to ask the issuer for, or what became of it already."""

Outcome = Issued | pb2.Failure
"""What became of one item, a failure as it travels: an exception holds on to all it was made of."""


class Prepare(Protocol):
    """Looks at one request; with ``reload`` after reading its taxpayer again."""

    def __call__(self, *, reload: bool) -> Awaitable[Prepared]:
        """Answer what it asks for; raise what stands against it whatever was issued before."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to issue, and how to look at it. ``line_count`` is 1 where only that can tell.

    ``bulk`` gives way to others where there is not enough for all.
    """

    request_id: str
    prepare: Prepare
    line_count: int = 1
    bulk: bool = False

    @property
    def checked_line_count(self) -> int:
        """The lines that will be looked at: none of more than any invoice may have."""
        return 0 if self.line_count > LINE_COUNT_MAX else self.line_count


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
        self,
        *,
        issuer: Issuer,
        preparer: Preparer,
        ledger: Ledger,
        registry: Registry,
        measures: Measures | None = None,
    ) -> None:
        self._refused = (measures or Measures()).refused
        self._issuer = issuer
        self._preparer = preparer
        self._ledger = ledger
        self._registry = registry
        self._lanes = Lanes()

    async def one(self, ask: Ask, deadline: Deadline) -> Issued:
        """Issue one, or raise why not."""
        try:
            return await self._one(ask, deadline)
        except InvoiceError as error:
            add_one(self._refused, error.reason)
            raise

    async def _one(self, ask: Ask, deadline: Deadline) -> Issued:
        with self._issuer.admission.admitted(1, ask.checked_line_count, bulk=ask.bulk):
            begun = self.begin(await self.look(ask, deadline, self._lanes))
        if isinstance(begun, Issued):
            return begun
        if isinstance(begun, Exception):
            try:
                raise begun
            finally:
                # Its traceback holds this frame: neither should wait for the garbage collector.
                del begun
        waiters = [begun]
        with self._waiting(waiters, deadline):
            return await self._outcome(ask, begun, waiters, deadline)

    async def all(self, asks: Sequence[Ask], deadline: Deadline) -> list[Outcome]:
        """Issue each; an outcome per request, in order. Nothing is raised for one of them.

        Raises:
            Overloaded: There is no room for all of them.
            BatchTooLarge: Their answer would be too large.
            DeadlineTooShort: The deadline came before all were checked.
        """
        line_count = sum(ask.checked_line_count for ask in asks)
        # A batch is one call: as long as somebody may wait for a part of it, it is not bulk.
        bulk = all(ask.bulk for ask in asks)
        with self._issuer.admission.admitted(len(asks), line_count, bulk=bulk):
            begun = [self._begun(item) for item in await self._look_at_all(asks, deadline)]
        waiters = [item for item in begun if not isinstance(item, Issued | pb2.Failure)]
        with self._waiting(waiters, deadline):
            return [
                item
                if isinstance(item, Issued | pb2.Failure)
                else await self._item_outcome(ask, item, waiters, deadline)
                for ask, item in zip(asks, begun, strict=True)
            ]

    async def look(
        self, ask: Ask, deadline: Deadline, lanes: Lanes, *, reload: bool = False
    ) -> Looked:
        """Look at one request, without any effect; ``DeadlineTooShort`` when its lane is too slow."""
        line_count = ask.checked_line_count
        if line_count <= SHORT_LINE_COUNT_MAX:
            return await self._look(ask, reload=reload)
        try:
            async with asyncio.timeout_at(deadline.at), lanes.lane(line_count):
                return await self._look(ask, reload=reload)
        except TimeoutError:
            return DeadlineTooShort("the deadline leaves no time for so many lines")

    def begin(self, looked: Looked) -> Waiter | Issued | Exception:
        """Hand a checked request to the issuer, unless its outcome is known."""
        if not isinstance(looked, Reservation):
            return looked
        try:
            return self._issuer.submit(looked)
        except Exception as error:  # noqa: BLE001 - one bad item never spoils another
            return error

    async def result(self, request_id: str, outcome: Outcome) -> pb2.BatchIssueResult:
        """One item's result on the wire."""
        if not isinstance(outcome, Issued):
            name = error_reason_pb2.ErrorReason.Name(outcome.reason)
            add_one(self._refused, name.removeprefix("ERROR_REASON_"))
            return pb2.BatchIssueResult(request_id=request_id, failure=outcome)
        try:
            issued = convert.issued(outcome.entry, await self.algorithm(outcome.entry))
        except Exception as error:  # noqa: BLE001 - as above
            return pb2.BatchIssueResult(request_id=request_id, failure=status.failed(error))
        return pb2.BatchIssueResult(request_id=request_id, issued=issued, replayed=outcome.replayed)

    async def algorithm(self, entry: Entry) -> str:
        """What the entry was signed with."""
        return await self._registry.algorithm(entry.tenant, entry.tax_number, entry.key_id)

    async def _look(self, ask: Ask, *, reload: bool) -> Looked:
        try:
            prepared = await ask.prepare(reload=reload)
            return prepared.reservation or await self._replay_or(prepared)
        except Exception as error:  # noqa: BLE001 - as above
            return error

    async def _look_at_all(
        self, asks: Sequence[Ask], deadline: Deadline
    ) -> list[Reservation | Outcome]:
        """Check each request, and let others have the loop in between."""
        seen: list[Reservation | Outcome] = []
        size = 0
        breather = Breather()
        for ask in asks:
            looked = await self.look(ask, deadline, self._lanes)
            if isinstance(looked, DeadlineTooShort):  # nothing has begun
                raise looked
            seen.append(status.failed(looked) if isinstance(looked, Exception) else looked)
            # The answer carries every content and refusal, so it is weighed before a number is
            # taken.
            size += _answer_bytes(seen[-1])
            await breather.after(1 + ask.line_count)
        if len(asks) > 1:
            check_bytes(size)
        return seen

    def _begun(self, seen: Reservation | Outcome) -> Waiter | Outcome:
        if isinstance(seen, pb2.Failure):
            return seen
        begun = self.begin(seen)
        return status.failed(begun) if isinstance(begun, Exception) else begun

    @contextmanager
    def _waiting(self, waiters: list[Waiter], deadline: Deadline) -> Iterator[None]:
        """At the deadline those still waiting are told; in the end none is left behind."""
        timer = None if deadline.at is None else self._issuer.expire(waiters, deadline.at)
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
            for waiter in waiters:  # only when the caller hung up: nobody will look any more
                waiter.cancel()

    async def _item_outcome(
        self, ask: Ask, waiter: Waiter, waiters: list[Waiter], deadline: Deadline
    ) -> Outcome:
        try:
            return await self._outcome(ask, waiter, waiters, deadline)
        except Exception as error:  # noqa: BLE001 - as above
            return status.failed(error)

    async def _outcome(
        self, ask: Ask, waiter: Waiter, waiters: list[Waiter], deadline: Deadline
    ) -> Issued:
        try:
            return await waiter
        except StaleTaxpayer:
            return await self._again(ask, waiters, deadline)

    async def _again(self, ask: Ask, waiters: list[Waiter], deadline: Deadline) -> Issued:
        """After ``StaleTaxpayer``: check anew and issue."""
        for _ in range(STALE_TRIES):
            begun = self.begin(await self.look(ask, deadline, self._lanes, reload=True))
            if isinstance(begun, Issued):
                return begun
            if isinstance(begun, Exception):
                raise begun
            waiters.append(begun)  # the deadline holds for the new try too
            if deadline.passed():
                raise in_progress(ask.request_id)
            try:
                return await begun
            except StaleTaxpayer:
                continue
        raise keeps_changing()

    async def _replay_or(self, prepared: Prepared) -> Issued | Exception:
        """What is issued already is answered even where the same request is refused today."""
        refusal = prepared.refusal
        assert refusal is not None
        entry = await self._ledger.find_request(self._preparer.tenant, prepared.request_id)
        if entry is None:
            return refusal
        wanted = self._preparer.wanted(prepared)
        if entry.fingerprint == wanted.fingerprint:
            if entry.state is InvoiceState.BLANK_VOIDED:
                return NumberBlankVoided(entry.request_id, entry.code, entry.number)
            if entry.signature is None:
                return in_progress(wanted.request_id)
            return Issued(entry, replayed=True)
        if isinstance(refusal, InvalidInvoice):  # rules come before ids in the order of checks
            return refusal
        fields = content.differences(content.tail_of(entry.content), wanted.tail)
        return RequestIdReused(wanted.request_id, fields)


def keeps_changing() -> InProgress:
    """The answer when a registration was another one each time it was looked at."""
    return InProgress("the registration keeps changing; retry", retry_s=1.0)


def _answer_bytes(seen: Reservation | Outcome) -> int:
    """About what the item will weigh in the answer."""
    if isinstance(seen, Reservation):
        return len(seen.tail) + ANSWER_BYTES
    if isinstance(seen, Issued):
        return len(seen.entry.content) + ANSWER_BYTES
    return seen.ByteSize() + _ID_BYTES


def check_bytes(size: int) -> None:
    """Raise ``BatchTooLarge`` when a batch, or its answer, passes what a message may have."""
    if size > MESSAGE_BYTES_MAX:
        raise BatchTooLarge(
            "the batch is too large in bytes, with its answer; split it",
            size_bytes=size,
            size_bytes_max=MESSAGE_BYTES_MAX,
        )
