"""The fake gateway's invoices: got, reversed, voided, listed, watched, verified as the contract says."""

import copy
import hashlib
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import grpc
from google.rpc import code_pb2
from grpc_status import rpc_status

from taxcontrol.v1.invoice_pb2 import INVOICE_KIND_RED, Invoice, VoidStatement
from taxcontrol.v1.invoice_query_pb2 import (
    InvoiceChange,
    ListInvoicesRequest,
    ListInvoicesResponse,
    VerifyInvoiceRequest,
    VerifyInvoiceResponse,
    WatchInvoicesRequest,
    WatchInvoicesResponse,
)
from taxcontrol.v1.invoice_reversal_pb2 import (
    ReverseInvoiceRequest,
    ReverseInvoiceResponse,
    VoidInvoiceRequest,
    VoidInvoiceResponse,
)
from taxcontrol.v1.invoice_service_pb2 import GetInvoiceRequest, GetInvoiceResponse
from taxctl.times import month
from tests.taxctl.books import Books, refuse
from tests.taxctl.desk import Trouble

_RED_NUMBERS = 90_000_000
_GOING = Trouble(code=code_pb2.UNAVAILABLE, reason="SHUTTING_DOWN")


@dataclass
class Office:
    """Serves :class:`Books`. ``troubles`` end the next lists and watches in turn, None lets one pass.

    ``page_max``: how many a page may hold; every second page is empty, as the contract allows.
    ``lasts``: after so many changes a watch ends; None lets it last.
    """

    books: Books
    page_max: int = 3
    troubles: deque[Trouble | None] = field(default_factory=deque)
    lasts: int | None = None
    watching: int = 0
    _cut: int = 0

    def GetInvoice(  # noqa: N802 - the contract's name
        self, request: GetInvoiceRequest, context: grpc.ServicerContext
    ) -> GetInvoiceResponse:
        self.books.seen.append(request)
        return GetInvoiceResponse(invoice=self._found(request.name, context))

    def ReverseInvoice(  # noqa: N802 - the contract's name
        self, request: ReverseInvoiceRequest, context: grpc.ServicerContext
    ) -> ReverseInvoiceResponse:
        def act(_: bool) -> ReverseInvoiceResponse:
            blue = self._found(request.name, context)
            if blue.state == Invoice.STATE_VOIDED:
                refuse(context, code_pb2.FAILED_PRECONDITION, "INVOICE_NOT_REVERSIBLE")
            if blue.reversed_net_fen:
                refuse(context, code_pb2.FAILED_PRECONDITION, "RED_EXCEEDS_BLUE")
            name = self.books.issue(
                _RED_NUMBERS + len(self.books.invoices),
                net_fen=-blue.net_fen,
                kind=INVOICE_KIND_RED,
                original=request.name,
            )
            blue.reversed_net_fen, blue.reversed_tax_fen = blue.net_fen, blue.tax_fen
            blue.state = Invoice.STATE_REVERSED
            self.books.change(request.name, InvoiceChange.TYPE_REVERSED)
            return ReverseInvoiceResponse(issued=self.books.invoices[name].issued)

        return self.books.once(request, context, act)

    def VoidInvoice(  # noqa: N802 - the contract's name
        self, request: VoidInvoiceRequest, context: grpc.ServicerContext
    ) -> VoidInvoiceResponse:
        def act(_: bool) -> VoidInvoiceResponse:
            invoice = self._found(request.name, context)
            if month(invoice.issued.issue_time) != month(
                datetime.fromtimestamp(self.books.now, UTC)
            ):
                refuse(
                    context, code_pb2.FAILED_PRECONDITION, "INVOICE_NOT_VOIDABLE", "OTHER_PERIOD"
                )
            if invoice.state != Invoice.STATE_ISSUED:
                refuse(context, code_pb2.FAILED_PRECONDITION, "INVOICE_NOT_VOIDABLE")
            content = json.dumps({"schema": "taxcontrol.void.v1", "reason": request.reason})
            statement = VoidStatement(
                invoice=request.name,
                request_id=request.request_id,
                machine_number=invoice.issued.machine_number,
                content=content.encode(),
                signature=b"\xa5" * 64,
                key_id="k1",
                signature_algorithm="P-256",
            )
            statement.void_time.seconds = self.books.now
            invoice.state = Invoice.STATE_VOIDED
            invoice.void_statement.CopyFrom(statement)
            self.books.change(request.name, InvoiceChange.TYPE_VOIDED)
            return VoidInvoiceResponse(void_statement=statement)

        return self.books.once(request, context, act)

    def ListInvoices(  # noqa: N802 - the contract's name
        self, request: ListInvoicesRequest, context: grpc.ServicerContext
    ) -> ListInvoicesResponse:
        self._stumble(context)
        self.books.seen.append(request)
        bound = _bound(request)
        start, empty = 0, False
        if request.page_token:
            owner, _, rest = request.page_token.partition(":")
            if owner != bound:
                refuse(context, code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST", "another filter's")
            start, empty = int(rest.rstrip("e")), rest.endswith("e")
        if empty:
            return ListInvoicesResponse(next_page_token=f"{bound}:{start}")
        fitting = [one for one in self.books.invoices.values() if _fits(one, request)]
        fitting.sort(key=lambda one: one.issued.issue_time.seconds, reverse=request.newest_first)
        end = start + min(request.page_size or 50, self.page_max)
        token = f"{bound}:{end}e" if end < len(fitting) else ""
        return ListInvoicesResponse(invoices=fitting[start:end], next_page_token=token)

    def WatchInvoices(  # noqa: N802 - the contract's name
        self, request: WatchInvoicesRequest, context: grpc.ServicerContext
    ) -> Iterator[WatchInvoicesResponse]:
        self._stumble(context)
        self.books.seen.append(request)
        bound = _bound(request)
        with self.books.changed:
            self.watching += 1
            cut = self._cut
            self.books.changed.notify_all()
        place, sent = 0 if request.from_beginning else len(self.books.changes), 0
        if request.resume_token:
            owner, _, rest = request.resume_token.partition(":")
            if owner != bound:
                refuse(context, code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST", "another watch's")
            place = int(rest)
        context.add_callback(self._wake)
        yield WatchInvoicesResponse(resume_token=f"{bound}:{place}")
        while True:
            found = self._after(place, cut, context)
            if not context.is_active():
                return
            if self._cut > cut:
                context.abort_with_status(rpc_status.to_status(_GOING.status()))
            for change in found:
                if self.lasts is not None and sent >= self.lasts:
                    context.abort_with_status(rpc_status.to_status(_GOING.status()))
                place, sent = place + 1, sent + 1
                if _watched(change, request):
                    yield WatchInvoicesResponse(change=change, resume_token=f"{bound}:{place}")

    def _after(self, place: int, cut: int, context: grpc.ServicerContext) -> list[InvoiceChange]:
        """Wait for changes behind ``place``, for the end of the watch, or for its caller to go."""

        def something() -> bool:
            behind = len(self.books.changes) > place
            return behind or self._cut > cut or not context.is_active()

        with self.books.changed:
            self.books.changed.wait_for(something)
            return self.books.changes[place:]

    def VerifyInvoice(  # noqa: N802 - the contract's name
        self, request: VerifyInvoiceRequest, _: grpc.ServicerContext
    ) -> VerifyInvoiceResponse:
        self.books.seen.append(request)
        verdicts = {
            Invoice.STATE_ISSUED: VerifyInvoiceResponse.VERDICT_GENUINE,
            Invoice.STATE_VOIDED: VerifyInvoiceResponse.VERDICT_VOIDED,
            Invoice.STATE_REVERSED: VerifyInvoiceResponse.VERDICT_REVERSED,
        }
        for invoice in self.books.invoices.values():
            if _as_printed(invoice, request):
                return VerifyInvoiceResponse(verdict=verdicts[invoice.state])
        return VerifyInvoiceResponse(verdict=VerifyInvoiceResponse.VERDICT_NOT_OURS)

    def after(self, count: int, trouble: Trouble) -> None:
        """Let ``count`` lists and watches pass before ``trouble`` ends one."""
        self.troubles.extend([None] * count)
        self.troubles.append(trouble)

    def cut(self) -> None:
        """End every watch that runs, as a gateway does that goes away."""
        with self.books.changed:
            self._cut += 1
            self.books.changed.notify_all()

    def wait_for_watch(self, count: int) -> None:
        """Return once ``count`` watches have begun."""
        with self.books.changed:
            assert self.books.changed.wait_for(lambda: self.watching >= count, timeout=30)

    def _wake(self) -> None:
        with self.books.changed:
            self.books.changed.notify_all()

    def _stumble(self, context: grpc.ServicerContext) -> None:
        trouble = self.troubles.popleft() if self.troubles else None
        if trouble is not None:
            context.abort_with_status(rpc_status.to_status(trouble.status()))

    def _found(self, name: str, context: grpc.ServicerContext) -> Invoice:
        if name not in self.books.invoices:
            refuse(context, code_pb2.NOT_FOUND, "INVOICE_NOT_FOUND")
        return self.books.invoices[name]


def _bound(request: ListInvoicesRequest | WatchInvoicesRequest) -> str:
    """What a token is bound to: all of the request but how far it is."""
    kept = copy.deepcopy(request)
    for name in ("page_size", "page_token", "resume_token", "from_beginning"):
        if name in {one.name for one in request.DESCRIPTOR.fields}:
            kept.ClearField(name)  # type: ignore[arg-type]
    return hashlib.sha256(kept.SerializeToString(deterministic=True)).hexdigest()[:16]


def _fits(invoice: Invoice, request: ListInvoicesRequest) -> bool:
    issued = invoice.issued
    at = issued.issue_time.seconds
    first, last = request.first_number or "0" * 8, request.last_number or "9" * 8
    return all(
        (
            invoice.point.startswith(request.parent),
            request.type in ("", issued.type),
            request.code in ("", issued.code),
            first <= issued.number <= last,
            at >= request.issued_from.seconds,
            not request.HasField("issued_before") or at < request.issued_before.seconds,
            request.state in (Invoice.STATE_UNSPECIFIED, invoice.state),
            request.upload_state in (Invoice.UPLOAD_STATE_UNSPECIFIED, invoice.upload_state),
        )
    )


def _watched(change: InvoiceChange, request: WatchInvoicesRequest) -> bool:
    invoice = change.invoice
    return invoice.point.startswith(request.parent) and request.type in ("", invoice.issued.type)


def _as_printed(invoice: Invoice, request: VerifyInvoiceRequest) -> bool:
    if request.WhichOneof("key") == "qr_text":
        return bool(request.qr_text) and request.qr_text == invoice.issued.qr_text
    printed, issued = request.printed, invoice.issued
    return (
        (printed.code, printed.number) == (issued.code, issued.number)
        and printed.issue_date == "2026-11-22"
        and printed.net_fen == invoice.net_fen
        and printed.check_code in (issued.check_code, issued.check_code[-6:])
    )
