"""Looking an invoice up by name and by request id."""

import pytest

from taxcontrol.v1 import invoice_pb2, invoice_service_pb2
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, ticket
from tests.e2e.wire import refused

BatchIssueInvoicesRequest = invoice_service_pb2.BatchIssueInvoicesRequest
GetInvoiceRequest = invoice_service_pb2.GetInvoiceRequest


def test_an_invoice_is_found_by_name_and_by_id(platform: Platform, seller: Seller) -> None:
    issued = platform.issue(ticket(seller, point=1))

    by_name, by_id = platform.get(name=issued.name), platform.get(request_id=issued.request_id)

    assert by_name.issued == by_id.issued == issued
    assert by_name.point == seller.point(1)
    assert by_name.state == invoice_pb2.Invoice.STATE_ISSUED
    assert by_name.kind == invoice_pb2.INVOICE_KIND_BLUE
    assert (by_name.net_fen, by_name.tax_fen) == (10_000, 600)


@pytest.mark.parametrize(
    ("request_", "reason_"),
    [
        (GetInvoiceRequest(), "INVALID_REQUEST"),
        (GetInvoiceRequest(name="taxpayers/x/invoices/y"), "INVALID_REQUEST"),
        (GetInvoiceRequest(name=""), "INVALID_REQUEST"),
        (GetInvoiceRequest(request_id=""), "INVALID_REQUEST"),
        (GetInvoiceRequest(request_id="a b"), "INVALID_REQUEST"),
        (GetInvoiceRequest(request_id="never-used"), "INVOICE_NOT_FOUND"),
        (
            GetInvoiceRequest(name="taxpayers/91310115X12J2H3L4B/invoices/031002600111-99999999"),
            "INVOICE_NOT_FOUND",
        ),
        (
            GetInvoiceRequest(name="taxpayers/91310115X12J2H3L4B/invoices/12345678901234567890"),
            "INVOICE_NOT_FOUND",
        ),
    ],
)
def test_a_look_that_finds_nothing_says_why(
    platform: Platform, request_: invoice_service_pb2.GetInvoiceRequest, reason_: str
) -> None:
    with refused(reason_):
        platform.invoices.GetInvoice(request_)


def test_one_sellers_invoice_is_not_found_under_anothers_name(
    platform: Platform, seller: Seller
) -> None:
    issued = platform.issue(ticket(seller))
    stranger = platform.new_seller("026")

    with refused("INVOICE_NOT_FOUND"):
        platform.get(name=issued.name.replace(seller.tax_number, stranger.tax_number))
