"""Blank voids over the wire: the point's next number, and no other, is given up for good."""

import json

import grpc
import pytest

from taxcontrol.v1 import invoice_pb2, stock_service_pb2
from tests.e2e.conftest import System
from tests.e2e.platform import Platform
from tests.e2e.reds import blank_void_of
from tests.e2e.sellers import Seller, ticket
from tests.e2e.wire import eventually, refused

Invoice = invoice_pb2.Invoice


def next_number(platform: Platform, seller: Seller) -> tuple[str, str]:
    [level] = platform.stock.GetStock(
        stock_service_pb2.GetStockRequest(parent=seller.point(), type="026")
    ).levels
    return level.next_code, level.next_number


@pytest.fixture
def shop(platform: Platform) -> Seller:
    return platform.new_seller("026", stock=5)


def test_the_next_number_is_given_up_and_the_authority_hears_of_it(
    system: System, shop: Seller
) -> None:
    platform = system.platform
    first = platform.issue(ticket(shop))
    code, number = next_number(platform, shop)
    request = blank_void_of(shop, code, number)
    answer = platform.stock_admin.VoidBlankNumber(request)
    again = platform.stock_admin.VoidBlankNumber(request)
    last = platform.issue(ticket(shop))
    eventually(lambda: platform.drained(shop))

    blank = platform.get(name=f"{shop.name}/invoices/{code}-{number}")
    assert [int(one) for one in (first.number, number, last.number)] == list(
        range(int(first.number), int(first.number) + 3)
    )
    assert (answer.replayed, again.replayed) == (False, True)
    assert again.void_statement == answer.void_statement
    assert json.loads(answer.void_statement.content)["schema"] == "taxcontrol.blank-void.v1"
    assert blank.state == Invoice.STATE_BLANK_VOIDED
    assert blank.upload_state == Invoice.UPLOAD_STATE_ACCEPTED
    assert blank.void_statement == answer.void_statement
    assert not blank.issued.content + blank.issued.signature
    assert platform.available(shop) == 2
    with refused("INVOICE_NOT_FOUND"):
        platform.get(request_id=request.request_id)
    with refused("REQUEST_ID_REUSED"):
        platform.issue(ticket(shop, request.request_id))


def test_a_preview_changes_nothing(platform: Platform, shop: Seller) -> None:
    code, number = next_number(platform, shop)
    answer = platform.stock_admin.VoidBlankNumber(
        blank_void_of(shop, code, number, validate_only=True)
    )

    assert answer.void_statement.invoice == f"{shop.name}/invoices/{code}-{number}"
    assert not answer.void_statement.signature
    assert next_number(platform, shop) == (code, number)
    assert platform.available(shop) == 5


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("number", "", "FIELD_REQUIRED"),
        ("number", "1", "FIELD_FORMAT"),
        ("code", "", "FIELD_FORMAT"),
        ("type", "", "FIELD_REQUIRED"),
        ("type", "999", "FIELD_FORMAT"),
        ("reason", "", "FIELD_REQUIRED"),
        ("point", "points/0", "FIELD_FORMAT"),
        ("request_id", "", "FIELD_FORMAT"),
    ],
)
def test_a_malformed_wish_is_refused_by_name(
    platform: Platform, seller: Seller, field: str, value: str, rule: str
) -> None:
    code, number = next_number(platform, seller)
    request = blank_void_of(seller, code, number)
    setattr(request, field, value)

    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as found:
        platform.stock_admin.VoidBlankNumber(request)

    assert {name for _, name in found[0].violations} == {field}
    assert {one for one, _ in found[0].violations} <= {rule, "FIELD_REQUIRED"}
    assert next_number(platform, seller) == (code, number)


def test_the_books_balance_with_given_up_numbers_in_them(platform: Platform) -> None:
    assert platform.books().findings == []
