"""What a platform and an operator do over the wire.

    from tests.e2e.platform import Platform
    from tests.e2e.sellers import ticket

    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=100)
    issued = platform.invoices.IssueInvoice(ticket(seller, "my-id")).issued

Only stubs and messages: nothing of the gateway's own code is used to judge the gateway.
"""

from dataclasses import dataclass, field
from typing import Any

import grpc

from taxcontrol.admin.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    segment_pb2,
    stock_admin_service_pb2,
    stock_admin_service_pb2_grpc,
    taxpayer_service_pb2_grpc,
    upload_admin_service_pb2,
    upload_admin_service_pb2_grpc,
    upload_pb2,
)
from taxcontrol.v1 import (
    invoice_pb2,
    invoice_service_pb2,
    invoice_service_pb2_grpc,
    stock_service_pb2,
    stock_service_pb2_grpc,
)
from tests.e2e.sellers import IssueInvoiceRequest, Seller, new_id, new_tax_number
from tests.e2e.wire import eventually, refusal_of


@dataclass(frozen=True, slots=True)
class Books:
    """What ``CheckBooks`` says at its end, with all findings on the way."""

    last: audit_service_pb2.CheckBooksResponse
    findings: list[str] = field(default_factory=list)


class Platform:
    """Stubs of one gateway, and the operators' way to a seller that can issue."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.invoices = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        self.stock = stock_service_pb2_grpc.StockServiceStub(channel)
        self.taxpayers = taxpayer_service_pb2_grpc.TaxpayerServiceStub(channel)
        self.stock_admin = stock_admin_service_pb2_grpc.StockAdminServiceStub(channel)
        self.uploads = upload_admin_service_pb2_grpc.UploadAdminServiceStub(channel)
        self.audit = audit_service_pb2_grpc.AuditServiceStub(channel)

    def register(self, seller: Seller) -> Seller:
        """Register a seller under an id of its own."""
        self.taxpayers.RegisterTaxpayer(seller.registration(f"register-{seller.tax_number}"))
        return seller

    def supply(self, seller: Seller, type_: str, count: int, *points: int) -> None:
        """Draw what the points get, ``count`` each, and assign it."""
        points = points or seller.points
        request_id = new_id("supply")
        self.draw(seller, type_, count * len(points), request_id=f"{request_id}-draw")
        for point in points:
            self.assign(seller, type_, count, point, request_id=f"{request_id}-{point}")

    def draw(
        self, seller: Seller, type_: str, count: int, *, request_id: str
    ) -> stock_admin_service_pb2.DrawStockResponse:
        """Draw numbers into the pool."""
        response: stock_admin_service_pb2.DrawStockResponse = self.stock_admin.DrawStock(
            stock_admin_service_pb2.DrawStockRequest(
                request_id=request_id, parent=seller.name, type=type_, count=count
            )
        )
        return response

    def assign(
        self, seller: Seller, type_: str, count: int, point: int, *, request_id: str
    ) -> stock_admin_service_pb2.AssignStockResponse:
        """Move numbers to a point."""
        response: stock_admin_service_pb2.AssignStockResponse = self.stock_admin.AssignStock(
            stock_admin_service_pb2.AssignStockRequest(
                request_id=request_id, point=seller.point(point), type=type_, count=count
            )
        )
        return response

    def new_seller(self, *types: str, stock: int = 0, **facts: Any) -> Seller:
        """Register a seller nobody else uses, and supply each point with ``stock`` of each type."""
        seller = Seller(tax_number=new_tax_number(), types=types or ("026",), **facts)
        self.register(seller)
        for type_ in seller.types:
            if stock:
                self.supply(seller, type_, stock)
        return seller

    def issue(self, request: IssueInvoiceRequest) -> invoice_pb2.IssuedInvoice:
        """Issue one invoice."""
        issued: invoice_pb2.IssuedInvoice = self.invoices.IssueInvoice(request).issued
        return issued

    def get(self, *, name: str = "", request_id: str = "") -> invoice_pb2.Invoice:
        """One invoice, by name or by request id."""
        request = (
            invoice_service_pb2.GetInvoiceRequest(name=name)
            if name
            else invoice_service_pb2.GetInvoiceRequest(request_id=request_id)
        )
        invoice: invoice_pb2.Invoice = self.invoices.GetInvoice(request).invoice
        return invoice

    def found(self, request_id: str) -> invoice_pb2.Invoice | None:
        """The invoice of a request id once it is decided; None when no number was taken."""
        settled: list[invoice_pb2.Invoice | None] = []

        def decided() -> bool:
            try:
                settled.append(self.get(request_id=request_id))
            except grpc.RpcError as error:
                reason = refusal_of(error).reason
                if reason == "INVOICE_NOT_FOUND":
                    settled.append(None)
                else:
                    assert reason == "IN_PROGRESS", reason
            return bool(settled)

        eventually(decided)
        return settled[0]

    def available(self, seller: Seller, type_: str = "026", point: int = 0) -> int:
        """How many numbers a point has left."""
        response = self.stock.GetStock(
            stock_service_pb2.GetStockRequest(parent=seller.point(point), type=type_)
        )
        return sum(level.available_count for level in response.levels)

    def segments(self, seller: Seller) -> list[segment_pb2.Segment]:
        """Every segment of a seller, page by page."""
        found: list[segment_pb2.Segment] = []
        token = ""
        while True:
            page = self.stock_admin.ListSegments(
                stock_admin_service_pb2.ListSegmentsRequest(parent=seller.name, page_token=token)
            )
            found += page.segments
            token = page.next_page_token
            if not token:
                return found

    def upload_status(self, seller: Seller) -> upload_pb2.UploadStatus:
        """Where its uploads stand."""
        status: upload_pb2.UploadStatus = self.uploads.GetUploadStatus(
            upload_admin_service_pb2.GetUploadStatusRequest(parent=seller.name)
        ).status
        return status

    def unuploaded(self, seller: Seller) -> list[upload_pb2.UnuploadedEvent]:
        """Everything without acceptance, page by page."""
        events: list[upload_pb2.UnuploadedEvent] = []
        token = ""
        while True:
            page = self.uploads.ListUnuploaded(
                upload_admin_service_pb2.ListUnuploadedRequest(
                    parent=seller.name, page_size=1000, page_token=token
                )
            )
            events += page.events
            token = page.next_page_token
            if not token:
                return events

    def drained(self, seller: Seller) -> bool:
        """Whether every event has its final word."""
        status = self.upload_status(seller)
        return not status.pending_count + status.submitted_count + status.in_doubt_count

    def books(self) -> Books:
        """Check the books."""
        findings: list[str] = []
        last = audit_service_pb2.CheckBooksResponse()
        for last in self.audit.CheckBooks(audit_service_pb2.CheckBooksRequest()):
            findings += [f"{one.check} {one.subject}: {one.message}" for one in last.findings]
        assert last.done, "the check of the books did not come to its end"
        return Books(last, findings)
