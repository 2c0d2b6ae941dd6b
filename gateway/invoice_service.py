"""The servicer of ``InvoiceService``: requests to use cases, outcomes to answers."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from functools import partial
from typing import Any

import grpc

from gateway import convert
from gateway.deadline import deadline_of
from gateway.issue_stream import IssueStreams
from gateway.issuing import Ask, Breather, Issuing, check_bytes
from gateway.job import Issued, in_progress
from gateway.list_invoices import Lister
from gateway.prepare import Preparer
from gateway.reverse import Reversal
from gateway.verify_invoice import Verifier
from gateway.voids import Voids
from gateway.watch_invoices import Watcher
from invoice.errors import BatchTooLarge, InvalidRequest, InvoiceNotFound, NumberBlankVoided
from invoice.identifiers import check_request_id, parse_invoice_name
from invoice.lifecycle import InvoiceState
from ledger.port import Ledger
from ledger.records import InvoiceRecord
from taxcontrol.v1 import invoice_query_pb2, invoice_reversal_pb2, invoice_service_pb2_grpc
from taxcontrol.v1 import invoice_service_pb2 as pb2

Context = grpc.aio.ServicerContext[Any, Any]

BATCH_COUNT_MAX = 500
BATCH_LINE_COUNT_MAX = 100_000


class InvoiceServicer(invoice_service_pb2_grpc.InvoiceServiceServicer):
    """Issues invoices and answers for them."""

    def __init__(
        self,
        *,
        issuing: Issuing,
        preparer: Preparer,
        streams: IssueStreams,
        reversal: Reversal,
        voids: Voids,
        lister: Lister,
        watcher: Watcher,
        verifier: Verifier,
        ledger: Ledger,
        tenant: str,
    ) -> None:
        self._issuing = issuing
        self._preparer = preparer
        self._streams = streams
        self._reversal = reversal
        self._voids = voids
        self._lister = lister
        self._watcher = watcher
        self._verifier = verifier
        self._ledger = ledger
        self._tenant = tenant

    async def IssueInvoice(
        self, request: pb2.IssueInvoiceRequest, context: Context
    ) -> pb2.IssueInvoiceResponse:
        """Number, sign and record one invoice."""
        issued = await self._one(self._ask(request), context)
        return pb2.IssueInvoiceResponse(
            issued=convert.issued(issued.entry, await self._issuing.algorithm(issued.entry)),
            replayed=issued.replayed,
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
        deadline = deadline_of(context, count=count)
        check_bytes(request.ByteSize())
        _check_lines(request.requests)
        outcomes = await self._issuing.all([self._ask(one) for one in request.requests], deadline)
        response = pb2.BatchIssueInvoicesResponse()
        breather = Breather()
        for item, outcome in zip(request.requests, outcomes, strict=True):
            response.results.append(await self._issuing.result(item.request_id, outcome))
            await breather.after(1 + len(item.lines))
        return response

    def IssueInvoices(
        self, requests: AsyncIterator[pb2.IssueInvoicesRequest], context: Context
    ) -> AsyncGenerator[pb2.IssueInvoicesResponse, None]:
        """Issue what comes, and answer each as soon as it is done."""
        return self._streams.serve(
            requests, deadline_of(context, count=self._streams.unanswered_max)
        )

    async def ReverseInvoice(
        self, request: invoice_reversal_pb2.ReverseInvoiceRequest, context: Context
    ) -> invoice_reversal_pb2.ReverseInvoiceResponse:
        """Issue the full red of a blue."""
        prepare = partial(self._reversal.prepare, request)
        ask = Ask(request.request_id, prepare, bulk=convert.bulk(request.priority))
        issued = await self._one(ask, context)
        return invoice_reversal_pb2.ReverseInvoiceResponse(
            issued=convert.issued(issued.entry, await self._issuing.algorithm(issued.entry)),
            replayed=issued.replayed,
        )

    async def VoidInvoice(
        self, request: invoice_reversal_pb2.VoidInvoiceRequest, context: Context
    ) -> invoice_reversal_pb2.VoidInvoiceResponse:
        """Void an invoice by a signed statement."""
        stated = await self._voids.invoice(request, deadline_of(context))
        return invoice_reversal_pb2.VoidInvoiceResponse(
            void_statement=convert.void_statement(stated.record, stated.algorithm),
            replayed=stated.replayed,
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
                record = await self._by_request(request.request_id)
            case _:
                raise InvalidRequest("key", "FIELD_REQUIRED", "name or request_id")
        if record is None:
            raise _not_found(request)
        if record.entry.state is InvoiceState.RESERVED:
            raise in_progress(record.entry.request_id)
        return pb2.GetInvoiceResponse(invoice=convert.invoice(record))

    async def ListInvoices(
        self, request: invoice_query_pb2.ListInvoicesRequest, context: Context
    ) -> invoice_query_pb2.ListInvoicesResponse:
        """Answer one page of the invoices that fit a filter."""
        del context
        return await self._lister.page(request)

    def WatchInvoices(
        self, request: invoice_query_pb2.WatchInvoicesRequest, context: Context
    ) -> AsyncGenerator[invoice_query_pb2.WatchInvoicesResponse, None]:
        """Stream changes from a resume token on."""
        del context
        return self._watcher.watch(request)

    async def VerifyInvoice(
        self, request: invoice_query_pb2.VerifyInvoiceRequest, context: Context
    ) -> invoice_query_pb2.VerifyInvoiceResponse:
        """Tell a stranger whether an invoice is genuine."""
        return await self._verifier.verify(request, context.peer())

    async def _by_request(self, request_id: str) -> InvoiceRecord | None:
        check_request_id(request_id)
        entry = await self._ledger.find_request(self._tenant, request_id)
        if entry is None:
            return None
        if entry.state is InvoiceState.BLANK_VOIDED:
            raise NumberBlankVoided(request_id, entry.code, entry.number)
        return await self._ledger.invoice_of(entry)

    def _ask(self, request: pb2.IssueInvoiceRequest) -> Ask:
        prepare = partial(self._preparer.issue, request)
        bulk = convert.bulk(request.priority)
        return Ask(request.request_id, prepare, line_count=len(request.lines), bulk=bulk)

    async def _one(self, ask: Ask, context: Context) -> Issued:
        return await self._issuing.one(ask, deadline_of(context))


def _check_lines(requests: Sequence[pb2.IssueInvoiceRequest]) -> None:
    count = sum(len(request.lines) for request in requests)
    if count > BATCH_LINE_COUNT_MAX:
        raise BatchTooLarge(
            f"{count} lines in one batch", line_count=count, line_count_max=BATCH_LINE_COUNT_MAX
        )


def _not_found(request: pb2.GetInvoiceRequest) -> InvoiceNotFound:
    if request.WhichOneof("key") == "name":
        return InvoiceNotFound("no such invoice", name=request.name)
    return InvoiceNotFound(
        "no number was taken under this request id yet", request_id=request.request_id
    )
