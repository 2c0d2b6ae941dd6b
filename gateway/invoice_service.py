"""The servicer of ``InvoiceService``: requests to reservations, outcomes to answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from gateway import convert, status
from gateway.authority_time import AuthorityTime
from gateway.issue import (
    DEADLINE_MARGIN_S,
    Issued,
    Issuer,
    StaleTaxpayer,
    Waiter,
    in_progress,
)
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
from ledger.port import Ledger
from ledger.records import Entry, Reservation
from taxcontrol.v1 import invoice_service_pb2 as pb2
from taxcontrol.v1 import invoice_service_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]

BATCH_COUNT_MAX = 500
MESSAGE_BYTES_MAX = 8 * 1024 * 1024
# Name, id, signature, key id, marks: what an answer carries beside the content, rounded up.
_ANSWER_BYTES = 1024
# A registration rarely changes twice while one request is under way.
_STALE_TRIES = 3


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A checked request: what to reserve, and why it is refused today (None: it is not)."""

    reservation: Reservation
    refusal: InvoiceError | None


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
        remaining_s = _remaining_s(context)
        self._issuer.admit(1)
        outcome = (await self._issue([request], remaining_s))[0]
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
        _check_bytes(request.ByteSize())
        remaining_s = _remaining_s(context)
        self._issuer.admit(count)
        outcomes = await self._issue(request.requests, remaining_s)
        return pb2.BatchIssueInvoicesResponse(
            results=[
                await self._result(item, outcome)
                for item, outcome in zip(request.requests, outcomes, strict=True)
            ]
        )

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
        self, requests: Sequence[pb2.IssueInvoiceRequest], remaining_s: float | None
    ) -> list[Issued | Exception]:
        """Issue each; an outcome or a failure per item, in order. Nothing is raised for an item."""
        prepared = [await self._prepare(request, reload=False) for request in requests]
        # The answer carries every content, so it is weighed before a number is taken.
        _check_bytes(sum(_answer_bytes(item) for item in prepared))
        started = [await self._begin(item) for item in prepared]
        waiters = [item for item in started if not isinstance(item, Issued | Exception)]
        timer = None if remaining_s is None else self._issuer.expire(waiters, remaining_s)
        try:
            return [
                await self._outcome(request, item)
                for request, item in zip(requests, started, strict=True)
            ]
        finally:
            if timer is not None:
                timer.cancel()
            for waiter in waiters:  # only when the caller hung up: nobody will look any more
                waiter.cancel()

    async def _prepare(
        self, request: pb2.IssueInvoiceRequest, *, reload: bool
    ) -> _Prepared | Exception:
        """Check one request without any effect."""
        try:
            check_request_id(request.request_id)
            place = parse_point_name(request.point)
            if reload:
                await self._registry.reload(self._tenant, place.taxpayer)
            seat = await self._registry.seat(self._tenant, place.taxpayer, place.point)
            draft, unknown = convert.draft(request)
            refusal = _broken(draft, unknown, seat) or self._closed(seat)
            return _Prepared(self._reservation(request.request_id, draft, seat), refusal)
        except Exception as error:  # noqa: BLE001 - one bad item never spoils another
            return error

    async def _begin(self, prepared: _Prepared | Exception) -> Waiter | Issued | Exception:
        """Hand a checked request to the issuer, or answer it from what is issued already."""
        if isinstance(prepared, Exception):
            return prepared
        if prepared.refusal is None:
            return self._issuer.submit(prepared.reservation)
        try:
            return await self._replay_or(prepared.reservation, prepared.refusal)
        except InvoiceError as error:
            return error

    async def _outcome(
        self, request: pb2.IssueInvoiceRequest, item: Waiter | Issued | Exception
    ) -> Issued | Exception:
        for _ in range(_STALE_TRIES):
            if isinstance(item, Issued | Exception):
                return item
            try:
                return await item
            except StaleTaxpayer:
                item = await self._begin(await self._prepare(request, reload=True))
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

    async def _replay_or(self, reservation: Reservation, refusal: InvoiceError) -> Issued:
        """What is issued already is answered even where the same request is refused today."""
        entry = await self._ledger.find_request(reservation.tenant, reservation.request_id)
        if entry is None:
            raise refusal
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


def _answer_bytes(prepared: _Prepared | Exception) -> int:
    if isinstance(prepared, Exception):
        return _ANSWER_BYTES
    return len(prepared.reservation.tail) + _ANSWER_BYTES


def _check_bytes(size: int) -> None:
    if size > MESSAGE_BYTES_MAX:
        raise BatchTooLarge(
            "the batch is too large in bytes, with its answer; split it",
            size_bytes=size,
            size_bytes_max=MESSAGE_BYTES_MAX,
        )


def _remaining_s(context: Context) -> float | None:
    """What the caller's deadline leaves; None without one. Raise ``DeadlineTooShort``."""
    remaining_s: float | None = context.time_remaining()
    if remaining_s is not None and remaining_s < DEADLINE_MARGIN_S:
        raise DeadlineTooShort("the deadline leaves no time to issue")
    return remaining_s


def _not_found(request: pb2.GetInvoiceRequest) -> InvoiceNotFound:
    if request.WhichOneof("key") == "name":
        return InvoiceNotFound("no such invoice", name=request.name)
    return InvoiceNotFound(
        "no number was taken under this request id yet", request_id=request.request_id
    )
