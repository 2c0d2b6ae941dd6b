"""The servicer of ``InvoiceService``: requests to reservations, outcomes to answers."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from gateway import convert, status
from gateway.authority_time import AuthorityTime
from gateway.issue import Issuer
from gateway.job import Issued, StaleTaxpayer, Waiter, in_progress
from gateway.registry import Registry, Seat
from hsm.port import Signer
from invoice import content, rules
from invoice.document import Draft, Kind
from invoice.errors import (
    BatchTooLarge,
    DeadlineTooShort,
    HsmUnavailable,
    InProgress,
    InvalidInvoice,
    InvalidRequest,
    InvoiceError,
    InvoiceNotFound,
    NotServed,
    RequestIdReused,
    Violation,
)
from invoice.identifiers import check_request_id, parse_invoice_name, parse_point_name
from invoice.lifecycle import InvoiceState
from invoice.types import TYPES
from ledger.port import Ledger
from ledger.records import Entry, Reservation
from taxcontrol.v1 import invoice_service_pb2 as pb2
from taxcontrol.v1 import invoice_service_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]

BATCH_COUNT_MAX = 500
MESSAGE_BYTES_MAX = 8 * 1024 * 1024
# What no invoice and no batch has more of; checked before any of them is looked at.
LINE_COUNT_MAX = max(row.line_count_max for row in TYPES.values())
BATCH_LINE_COUNT_MAX = 100_000
# The answer must leave before the caller's deadline, or it cannot be told apart from a loss; and
# each result of a batch takes some time to build.
DEADLINE_MARGIN_S = 0.02
_ITEM_MARGIN_S = 0.0003
# After so many lines, or results, others have the loop: health must answer during a large batch.
_BREATHER_COUNT = 100
_ID_BYTES = 128
# Name, id, signature, key id, marks: what an answer carries beside the content, rounded up.
_ANSWER_BYTES = 1024
# A registration rarely changes twice while one request is under way.
_STALE_TRIES = 3


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A request that was looked at: what it asks for and where.

    ``reservation`` is what the issuer gets; None when ``refusal`` says why it gets nothing today.
    """

    request_id: str
    draft: Draft
    seat: Seat
    reservation: Reservation | None = None
    refusal: InvoiceError | None = None


@dataclass(frozen=True, slots=True)
class _Deadline:
    """When callers must have their answer, on the loop's clock; None for never."""

    at: float | None

    def passed(self) -> bool:
        return self.at is not None and asyncio.get_running_loop().time() >= self.at


class InvoiceServicer(invoice_service_pb2_grpc.InvoiceServiceServicer):
    """Issues invoices and answers for them."""

    def __init__(
        self,
        *,
        issuer: Issuer,
        ledger: Ledger,
        registry: Registry,
        signer: Signer,
        authority_time: AuthorityTime,
        tenant: str,
    ) -> None:
        self._issuer = issuer
        self._ledger = ledger
        self._registry = registry
        self._signer = signer
        self._authority_time = authority_time
        self._tenant = tenant

    async def IssueInvoice(
        self, request: pb2.IssueInvoiceRequest, context: Context
    ) -> pb2.IssueInvoiceResponse:
        """Number, sign and record one invoice."""
        deadline = _deadline(context, count=1)
        (outcome,) = await self._issue([request], deadline)
        if isinstance(outcome, Exception):
            raise outcome
        return pb2.IssueInvoiceResponse(
            issued=convert.issued(outcome.entry, await self._algorithm(outcome.entry)),
            replayed=outcome.replayed,
        )

    async def BatchIssueInvoices(
        self, request: pb2.BatchIssueInvoicesRequest, context: Context
    ) -> pb2.BatchIssueInvoicesResponse:
        """Issue many, each on its own."""
        count = len(request.requests)
        if not count:
            raise InvalidRequest("requests", "FIELD_REQUIRED", "a batch has at least one item")
        if count > BATCH_COUNT_MAX:
            raise BatchTooLarge(
                f"{count} items in one batch", count=count, count_max=BATCH_COUNT_MAX
            )
        deadline = _deadline(context, count=count)
        _check_bytes(request.ByteSize())
        _check_lines(request.requests)
        outcomes = await self._issue(request.requests, deadline)
        response = pb2.BatchIssueInvoicesResponse()
        for at, (item, outcome) in enumerate(zip(request.requests, outcomes, strict=True)):
            response.results.append(await self._result(item, outcome))
            if at % _BREATHER_COUNT == 0:
                await asyncio.sleep(0)
        return response

    async def GetInvoice(
        self, request: pb2.GetInvoiceRequest, context: Context
    ) -> pb2.GetInvoiceResponse:
        """Answer one invoice by name or request id."""
        del context
        match request.WhichOneof("key"):
            case "name":
                name = parse_invoice_name(request.name)
                record = await self._ledger.find_invoice(
                    self._tenant, name.taxpayer, name.code, name.number
                )
            case "request_id":
                check_request_id(request.request_id)
                entry = await self._ledger.find_request(self._tenant, request.request_id)
                record = None if entry is None else await self._ledger.invoice_of(entry)
            case _:
                raise InvalidRequest("key", "FIELD_REQUIRED", "name or request_id")
        if record is None:
            raise _not_found(request)
        if record.entry.state is InvoiceState.RESERVED:
            raise in_progress(record.entry.request_id)
        return pb2.GetInvoiceResponse(invoice=convert.invoice(record))

    # --- issuing ------------------------------------------------------------------------

    async def _issue(
        self, requests: Sequence[pb2.IssueInvoiceRequest], deadline: _Deadline
    ) -> list[Issued | Exception]:
        """Issue each; an outcome or a failure per item, in order. Nothing is raised for an item."""
        with self._issuer.admitted(len(requests)):
            prepared = await self._prepare_all(requests)
            if len(requests) > 1:
                # The answer carries every content and refusal, so it is weighed before a number
                # is taken.
                _check_bytes(sum(map(_answer_bytes, prepared)))
            started = [await self._begin(item) for item in prepared]
        waiters = [item for item in started if not isinstance(item, Issued | Exception)]
        timer = None if deadline.at is None else self._issuer.expire(waiters, deadline.at)
        try:
            return [
                await self._outcome(request, item, waiters, deadline)
                for request, item in zip(requests, started, strict=True)
            ]
        finally:
            if timer is not None:
                timer.cancel()
            for waiter in waiters:  # only when the caller hung up: nobody will look any more
                waiter.cancel()

    async def _prepare_all(
        self, requests: Sequence[pb2.IssueInvoiceRequest]
    ) -> list[_Prepared | Exception]:
        """Check each request, and let others have the loop in between."""
        prepared = []
        line_count = 0
        for request in requests:
            prepared.append(await self._prepare(request, reload=False))
            line_count += 1 + len(request.lines)
            if line_count > _BREATHER_COUNT:
                line_count = 0
                await asyncio.sleep(0)
        return prepared

    async def _prepare(
        self, request: pb2.IssueInvoiceRequest, *, reload: bool
    ) -> _Prepared | Exception:
        """Check one request without any effect."""
        try:
            check_request_id(request.request_id)
            place = parse_point_name(request.point)
            if len(request.lines) > LINE_COUNT_MAX:  # not worth reading any further
                return InvalidInvoice([_too_many_lines(len(request.lines))])
            if reload:
                await self._registry.reload(self._tenant, place.taxpayer)
            seat = await self._registry.seat(self._tenant, place.taxpayer, place.point)
            draft, unknown = convert.draft(request)
            if (refusal := _broken(draft, unknown, seat) or self._closed(seat)) is not None:
                return _Prepared(request.request_id, draft, seat, refusal=refusal)
            reservation = self._reservation(request.request_id, draft, seat)
            return _Prepared(request.request_id, draft, seat, reservation)
        except Exception as error:  # noqa: BLE001 - one bad item never spoils another
            return error

    async def _begin(self, prepared: _Prepared | Exception) -> Waiter | Issued | Exception:
        """Hand a checked request to the issuer, or answer it from what is issued already."""
        if isinstance(prepared, Exception):
            return prepared
        try:
            if prepared.reservation is not None:
                return self._issuer.submit(prepared.reservation)
            return await self._replay_or(prepared)
        except InvoiceError as error:
            return error

    async def _outcome(
        self,
        request: pb2.IssueInvoiceRequest,
        item: Waiter | Issued | Exception,
        waiters: list[Waiter],
        deadline: _Deadline,
    ) -> Issued | Exception:
        for _ in range(_STALE_TRIES):
            if isinstance(item, Issued | Exception):
                return item
            try:
                return await item
            except StaleTaxpayer:
                item = await self._begin(await self._prepare(request, reload=True))
                if not isinstance(item, Issued | Exception):
                    waiters.append(item)  # the deadline holds for the new try too
                    if deadline.passed():
                        return in_progress(request.request_id)
            except Exception as error:  # noqa: BLE001 - as above
                return error
        return InProgress("the registration keeps changing; retry", retry_s=1.0)

    def _closed(self, seat: Seat) -> InvoiceError | None:
        """Why no number may be taken right now, whatever the request."""
        if not self._signer.available(seat.key.key_id):
            return HsmUnavailable("the signing device is away; no number was taken", retry_s=1.0)
        try:
            self._authority_time.check()
        except InvoiceError as error:
            return error
        return None

    async def _replay_or(self, prepared: _Prepared) -> Issued:
        """What is issued already is answered even where the same request is refused today."""
        refusal = prepared.refusal
        assert refusal is not None
        entry = await self._ledger.find_request(self._tenant, prepared.request_id)
        if entry is None:
            raise refusal
        reservation = self._reservation(prepared.request_id, prepared.draft, prepared.seat)
        if entry.fingerprint == reservation.fingerprint:
            if entry.signature is None:
                raise in_progress(reservation.request_id)
            return Issued(entry, replayed=True)
        if isinstance(refusal, InvalidInvoice):  # rules come before ids in the order of checks
            raise refusal
        fields = content.differences(content.tail_of(entry.content), reservation.tail)
        raise RequestIdReused(reservation.request_id, fields)

    def _reservation(self, request_id: str, draft: Draft, seat: Seat) -> Reservation:
        taxpayer = seat.record.taxpayer
        tail = content.tail(draft, taxpayer=taxpayer.tax_number, point=seat.point)
        return Reservation(
            tenant=self._tenant,
            request_id=request_id,
            fingerprint=content.fingerprint(tail),
            tax_number=taxpayer.tax_number,
            taxpayer_version=taxpayer.version,
            point=seat.point,
            type=draft.type,
            kind=draft.kind,
            net_fen=draft.net_fen,
            tax_fen=draft.tax_fen,
            tail=tail,
        )

    # --- answers ------------------------------------------------------------------------

    async def _result(
        self, request: pb2.IssueInvoiceRequest, outcome: Issued | Exception
    ) -> pb2.BatchIssueResult:
        if isinstance(outcome, Issued):
            return pb2.BatchIssueResult(
                request_id=request.request_id,
                issued=convert.issued(outcome.entry, await self._algorithm(outcome.entry)),
                replayed=outcome.replayed,
            )
        return pb2.BatchIssueResult(request_id=request.request_id, failure=status.failed(outcome))

    async def _algorithm(self, entry: Entry) -> str:
        return await self._registry.algorithm(entry.tenant, entry.tax_number, entry.key_id)


def _broken(draft: Draft, unknown: list[Violation], seat: Seat) -> InvoiceError | None:
    """What is wrong with the draft itself, every violation named."""
    violations = (*unknown, *rules.violations(draft, seat.record.taxpayer))
    if violations:
        return InvalidInvoice(violations)
    if draft.kind is Kind.RED:
        return NotServed("red invoices are not served yet", kind=draft.kind)
    return None


def _too_many_lines(count: int) -> Violation:
    return Violation(
        "lines", "LINE_COUNT", f"{count} lines; no type has more than {LINE_COUNT_MAX}"
    )


def _answer_bytes(prepared: _Prepared | Exception) -> int:
    """About what the item will weigh in the answer; what may be replayed weighs as its refusal."""
    refusal: Exception | None = None
    if isinstance(prepared, Exception):
        refusal = prepared
    elif prepared.reservation is not None:
        return len(prepared.reservation.tail) + _ANSWER_BYTES
    else:
        refusal = prepared.refusal
    if isinstance(refusal, InvoiceError):
        return status.to_failure(refusal).ByteSize() + _ID_BYTES
    return _ANSWER_BYTES


def _check_lines(requests: Sequence[pb2.IssueInvoiceRequest]) -> None:
    count = sum(len(request.lines) for request in requests)
    if count > BATCH_LINE_COUNT_MAX:
        raise BatchTooLarge(
            f"{count} lines in one batch", line_count=count, line_count_max=BATCH_LINE_COUNT_MAX
        )


def _check_bytes(size: int) -> None:
    if size > MESSAGE_BYTES_MAX:
        raise BatchTooLarge(
            "the batch is too large in bytes, with its answer; split it",
            size_bytes=size,
            size_bytes_max=MESSAGE_BYTES_MAX,
        )


def _deadline(context: Context, *, count: int) -> _Deadline:
    """When ``count`` results must be known so that the answer is there before the caller leaves.

    Raise ``DeadlineTooShort`` when that is now.
    """
    remaining_s: float | None = context.time_remaining()
    if remaining_s is None:
        return _Deadline(None)
    left_s = remaining_s - DEADLINE_MARGIN_S - count * _ITEM_MARGIN_S
    if left_s < 0:
        raise DeadlineTooShort("the deadline leaves no time to issue")
    return _Deadline(asyncio.get_running_loop().time() + left_s)


def _not_found(request: pb2.GetInvoiceRequest) -> InvoiceNotFound:
    if request.WhichOneof("key") == "name":
        return InvoiceNotFound("no such invoice", name=request.name)
    return InvoiceNotFound(
        "no number was taken under this request id yet", request_id=request.request_id
    )
