"""Lists over the wire: pages, filters, what has become of each invoice."""

import grpc
import pytest

from taxcontrol.v1 import invoice_pb2, invoice_query_pb2, invoice_service_pb2
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, ticket
from tests.e2e.wire import eventually, refusal_of, refused

ListInvoicesRequest = invoice_query_pb2.ListInvoicesRequest
BUYER = "91330102RH1NBN3K10"


@pytest.fixture(scope="module")
def shop(platform: Platform) -> Seller:
    """A seller of its own with ten accepted invoices, five at each of two points."""
    seller = platform.new_seller("026", "007", stock=20, points=(0, 1))
    for at in range(10):
        request = ticket(seller, point=at % 2, type_=("026", "007")[at % 5 == 0])
        if at == 3:
            request.buyer.tax_number = BUYER
        platform.issue(request)
    eventually(lambda: platform.drained(seller))
    return seller


def listed(platform: Platform, seller: Seller, **fields: object) -> list[invoice_pb2.Invoice]:
    """All pages."""
    request = ListInvoicesRequest(**{"parent": seller.name, **fields})  # type: ignore[arg-type]
    found: list[invoice_pb2.Invoice] = []
    while True:
        page = platform.invoices.ListInvoices(request)
        found += page.invoices
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return found


def test_pages_hold_every_invoice_once_in_order(platform: Platform, shop: Seller) -> None:
    whole = listed(platform, shop)

    assert len(whole) == 10
    assert listed(platform, shop, page_size=3) == whole
    assert listed(platform, shop, page_size=4, newest_first=True) == whole[::-1]
    times = [invoice.issued.issue_time.seconds for invoice in whole]
    assert times == sorted(times)


def test_a_listed_invoice_is_the_one_that_is_got(platform: Platform, shop: Seller) -> None:
    for invoice in listed(platform, shop):
        got = platform.get(name=invoice.issued.name)
        assert got.certificate
        got.certificate = b""
        assert invoice == got


def test_filters_are_combined(platform: Platform, shop: Seller) -> None:
    states = invoice_pb2.Invoice

    def count(**fields: object) -> int:
        return len(listed(platform, shop, **fields))

    assert count(parent=shop.point(0)) == 5
    assert count(type="007") == 2
    assert count(parent=shop.point(1), type="007") == 1
    assert count(buyer_tax_number=BUYER) == 1
    assert count(buyer_tax_number=BUYER, parent=shop.point(0)) == 0
    assert count(upload_state=states.UPLOAD_STATE_ACCEPTED) == 10
    assert count(upload_state=states.UPLOAD_STATE_PENDING) == 0
    assert count(state=states.STATE_VOIDED) == 0
    first = listed(platform, shop, type="026")[0].issued
    assert count(code=first.code, first_number=first.number, last_number=first.number) == 1


def test_nobody_elses_invoices_are_listed(platform: Platform, shop: Seller) -> None:
    stranger = platform.new_seller("026")

    assert listed(platform, stranger) == []
    assert len(listed(platform, shop)) == 10


def test_refusals_are_named(platform: Platform, shop: Seller) -> None:
    def ask(**fields: object) -> None:
        listed(platform, shop, **fields)

    with refused("TAXPAYER_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
        ask(parent="taxpayers/91310115X12J2H3L49")
    with refused("POINT_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
        ask(parent=shop.point(9))
    with refused("INVALID_REQUEST") as caught:
        ask(first_number="00000001")
    assert caught[0].violations == {("FIELD_REQUIRED", "code")}
    token = platform.invoices.ListInvoices(
        ListInvoicesRequest(parent=shop.name, page_size=1)
    ).next_page_token
    with refused("INVALID_REQUEST") as caught:
        ask(page_token=token, type="026")
    assert caught[0].violations == {("TOKEN_MISMATCH", "page_token")}


def test_too_many_lists_at_once_are_refused_by_name_and_others_get_theirs(
    platform: Platform,
) -> None:
    """More than may wait, of pages that take a while, and from callers who do not stay."""
    seller, other = platform.new_seller("026", stock=200), platform.new_seller("026")
    requests = [ticket(seller, lines=60) for _ in range(100)]
    batch = invoice_service_pb2.BatchIssueInvoicesRequest(requests=requests)
    platform.invoices.BatchIssueInvoices(batch)
    request = ListInvoicesRequest(parent=seller.name, page_size=500)

    asked = [platform.invoices.ListInvoices.future(request) for _ in range(100)]
    theirs = listed(platform, other)
    for call in asked[::2]:
        call.cancel()
    ended = [call.exception() for call in asked[1::2]]

    refusals = [refusal_of(error) for error in ended if isinstance(error, grpc.RpcError)]
    assert theirs == []
    assert 0 < len(refusals) < len(ended)
    assert {refusal.reason for refusal in refusals} == {"OVERLOADED"}
    assert all(refusal.retry_s for refusal in refusals)
    assert len(platform.invoices.ListInvoices(request).invoices) == 100
