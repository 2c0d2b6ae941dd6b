"""Reds of what ``sellers.ticket`` asks for, and requests to reverse and to void."""

from taxcontrol.admin.v1.stock_admin_service_pb2 import VoidBlankNumberRequest
from taxcontrol.v1 import invoice_pb2
from taxcontrol.v1.invoice_reversal_pb2 import ReverseInvoiceRequest, VoidInvoiceRequest
from tests.e2e.sellers import IssueInvoiceRequest, Seller, new_id, ticket

REASON = "开票有误"


def red_of(
    seller: Seller, blue: invoice_pb2.IssuedInvoice, *, net_fen: int = 10_000, request_id: str = ""
) -> IssueInvoiceRequest:
    """A red of ``net_fen`` of a blue ticket."""
    red = ticket(seller, request_id, type_=blue.type, net_fen=net_fen)
    red.kind = invoice_pb2.INVOICE_KIND_RED
    red.original.code, red.original.number = blue.code, blue.number
    red.red_reason = REASON
    for part in (red, red.lines[0]):
        part.tax_fen = -part.tax_fen
    red.lines[0].amount_fen = -red.lines[0].amount_fen
    red.net_fen, red.gross_fen = -red.net_fen, -red.gross_fen
    return red


def full_red_of(blue: invoice_pb2.IssuedInvoice, request_id: str = "") -> ReverseInvoiceRequest:
    """The request to reverse a blue in full."""
    return ReverseInvoiceRequest(
        request_id=request_id or new_id("reverse"), name=blue.name, red_reason=REASON
    )


def void_of(invoice: invoice_pb2.IssuedInvoice, request_id: str = "") -> VoidInvoiceRequest:
    """The request to void an invoice."""
    return VoidInvoiceRequest(
        request_id=request_id or new_id("void"), name=invoice.name, reason=REASON
    )


def blank_void_of(seller: Seller, code: str, number: str, **facts: bool) -> VoidBlankNumberRequest:
    """The request to void a number of 026 at point 0 that is no invoice."""
    return VoidBlankNumberRequest(
        request_id=new_id("blank"),
        point=seller.point(),
        type="026",
        code=code,
        number=number,
        reason="纸张污损",
        **facts,
    )
