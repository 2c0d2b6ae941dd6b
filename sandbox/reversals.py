"""Taking back what was issued: reds in part and in full, a void, a blank void."""

from typing import Final

from sandbox.stage import DIGITAL, DONATION, ELECTRONIC, Disagreement, Stage, short
from taxcontrol.admin.v1.stock_admin_service_pb2 import VoidBlankNumberRequest
from taxcontrol.admin.v1.stock_admin_service_pb2_grpc import StockAdminServiceStub
from taxcontrol.v1.invoice_pb2 import (
    INVOICE_KIND_RED,
    Invoice,
    IssuedInvoice,
    OriginalInvoice,
)
from taxcontrol.v1.invoice_reversal_pb2 import ReverseInvoiceRequest, VoidInvoiceRequest
from taxcontrol.v1.invoice_service_pb2 import GetInvoiceRequest, IssueInvoiceRequest
from taxcontrol.v1.stock_service_pb2 import GetStockRequest
from taxcontrol.v1.stock_service_pb2_grpc import StockServiceStub

_WHY: Final = "演示:客户退货"


def reverse(stage: Stage) -> list[IssuedInvoice]:
    """Reverse one blue in part and two in full; answer them in this order."""
    wanted = stage.make(stage.place(DIGITAL))
    partly = stage.issue(wanted)
    stage.issue(red_of_first_line(wanted, partly, request_id=stage.request_id()))
    stage.expect_state(partly, Invoice.STATE_PARTLY_REVERSED)
    too_much = ReverseInvoiceRequest(request_id=stage.request_id(), name=partly.name)
    stage.expect_refusal(stage.invoices.ReverseInvoice, too_much, "RED_EXCEEDS_BLUE")
    whole = [stage.issue(stage.make(stage.place(one))) for one in (ELECTRONIC, DONATION)]
    for blue in whole:
        _reverse_in_full(stage, blue)
    stage.deeds.reds += 1 + len(whole)
    stage.tell(
        "red",
        f"one line of {short(partly.name)} reversed; more than is left: RED_EXCEEDS_BLUE",
        f"{short(whole[0].name)} and the receipt {short(whole[1].name)} reversed in full",
    )
    return [partly, *whole]


def void(stage: Stage, reversed_blue: IssuedInvoice) -> IssuedInvoice:
    """Void an invoice, which a reversed one does not allow; answer it."""
    issued = stage.issue(stage.make(stage.place(ELECTRONIC, 1)))
    request = VoidInvoiceRequest(request_id=stage.request_id(), name=issued.name, reason=_WHY)
    first = stage.connection.call(stage.invoices.VoidInvoice, request)
    again = stage.connection.call(stage.invoices.VoidInvoice, request)
    if not again.replayed or again.void_statement != first.void_statement:
        raise Disagreement("a void sent again did not get the same statement")
    stage.deeds.voids.append(first.void_statement)
    stage.expect_state(issued, Invoice.STATE_VOIDED)
    too_late = VoidInvoiceRequest(
        request_id=stage.request_id(), name=reversed_blue.name, reason=_WHY
    )
    stage.expect_refusal(stage.invoices.VoidInvoice, too_late, "INVOICE_NOT_VOIDABLE")
    stage.tell(
        "void",
        f"{short(issued.name)} voided by a signed statement, asked again the same bytes;",
        "a reversed one: INVOICE_NOT_VOIDABLE",
    )
    return issued


def void_blank(stage: Stage) -> None:
    """Void the next number of a point before anybody takes it."""
    place = stage.place(ELECTRONIC, 1)
    stock = StockServiceStub(stage.connection.channel)
    wanted = GetStockRequest(parent=place.point_name, type=place.grant.type)
    [level] = stage.connection.call(stock.GetStock, wanted).levels
    request = VoidBlankNumberRequest(
        request_id=stage.request_id(),
        point=place.point_name,
        type=place.grant.type,
        code=level.next_code,
        number=level.next_number,
        reason="演示:纸张损坏",
    )
    admin = StockAdminServiceStub(stage.connection.channel)
    statement = stage.connection.call(admin.VoidBlankNumber, request).void_statement
    stage.deeds.blank_voids.append(statement)
    found = stage.connection.call(
        stage.invoices.GetInvoice, GetInvoiceRequest(name=statement.invoice)
    ).invoice
    if found.state != Invoice.STATE_BLANK_VOIDED:
        raise Disagreement(f"{statement.invoice} was voided blank, and does not say so")
    follows = stage.issue(stage.make(place))
    if int(follows.number) != int(level.next_number) + 1:
        raise Disagreement(f"{follows.name} does not follow the blank {level.next_number}")
    stage.tell(
        "blank void",
        f"the unused number {short(statement.invoice)}; the next invoice has {follows.number}",
    )


def red_of_first_line(
    blue: IssueInvoiceRequest, issued: IssuedInvoice, *, request_id: str
) -> IssueInvoiceRequest:
    """Make the red that takes back the first line of an issued blue."""
    red = IssueInvoiceRequest()
    red.CopyFrom(blue)
    del red.lines[1:]
    line = red.lines[0]
    line.quantity = f"-{line.quantity}"
    line.amount_fen, line.tax_fen = -line.amount_fen, -line.tax_fen
    red.request_id, red.kind = request_id, INVOICE_KIND_RED
    red.net_fen, red.tax_fen = line.amount_fen, line.tax_fen
    red.gross_fen = red.net_fen + red.tax_fen
    red.original.CopyFrom(OriginalInvoice(code=issued.code, number=issued.number))
    return red


def _reverse_in_full(stage: Stage, blue: IssuedInvoice) -> None:
    request = ReverseInvoiceRequest(request_id=stage.request_id(), name=blue.name, red_reason=_WHY)
    red = stage.connection.call(stage.invoices.ReverseInvoice, request).issued
    stage.deeds.issued.append(red)
    stage.expect_state(blue, Invoice.STATE_REVERSED)
