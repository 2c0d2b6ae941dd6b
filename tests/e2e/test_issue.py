"""One invoice over the wire: numbered, replayed, refused by name; and bytes that are no request.

Every refusal goes through ``refused``, which shows that it carries exactly one ErrorInfo of our domain.
"""

import grpc
import pytest

from taxcontrol.v1 import invoice_pb2, invoice_service_pb2
from tests.e2e.conftest import System
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_tax_number, ticket
from tests.e2e.wire import raw, refusal_of, refused

BatchIssueInvoicesRequest = invoice_service_pb2.BatchIssueInvoicesRequest
GetInvoiceRequest = invoice_service_pb2.GetInvoiceRequest


def nothing_taken(platform: Platform, request_id: str) -> None:
    with refused("INVOICE_NOT_FOUND"):
        platform.get(request_id=request_id)


# --- one ------------------------------------------------------------------------------------


def test_numbers_follow_one_another(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=10)

    numbers = [int(platform.issue(ticket(seller)).number) for _ in range(5)]

    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert platform.available(seller) == 5


def test_the_same_request_again_answers_the_same_bytes(platform: Platform, seller: Seller) -> None:
    request = ticket(seller)
    first = platform.invoices.IssueInvoice(request)
    again = platform.invoices.IssueInvoice(request)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.issued.SerializeToString() == first.issued.SerializeToString()


def test_priority_is_no_part_of_the_request(platform: Platform, seller: Seller) -> None:
    request = ticket(seller)
    first = platform.invoices.IssueInvoice(request)
    request.priority = invoice_pb2.PRIORITY_BULK

    assert platform.invoices.IssueInvoice(request).issued == first.issued


def test_another_request_under_the_id_is_told_what_differs(
    platform: Platform, seller: Seller
) -> None:
    request = ticket(seller)
    platform.issue(request)
    other = ticket(seller, request.request_id, buyer="另一人", point=1)

    with refused("REQUEST_ID_REUSED", grpc.StatusCode.ALREADY_EXISTS) as found:
        platform.issue(other)

    assert found[0].facts["request_id"] == request.request_id
    assert set(found[0].facts["fields"].split(",")) == {"point", "buyer.name"}


def test_an_id_of_120_characters_is_taken_and_one_more_is_not(
    platform: Platform, seller: Seller
) -> None:
    longest = ("Aa0._:-" * 20)[:120]

    assert platform.issue(ticket(seller, longest)).request_id == longest
    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as found:
        platform.issue(ticket(seller, longest + "x"))

    assert found[0].violations == {("FIELD_FORMAT", "request_id")}


@pytest.mark.parametrize("request_id", ["", "a b", "编号", "a/b", "a\n", "x" * 10_000])
def test_a_malformed_id_is_refused_by_name(
    platform: Platform, seller: Seller, request_id: str
) -> None:
    request = ticket(seller)
    request.request_id = request_id

    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as found:
        platform.issue(request)

    assert found[0].facts["field"] == "request_id"


@pytest.mark.parametrize(
    "point",
    [
        "",
        "taxpayers",
        "taxpayers/91310115X12J2H3L4B",
        "taxpayers/91310115X12J2H3L4B/points/",
        "taxpayers/91310115X12J2H3L4B/points/01",
        "taxpayers/91310115X12J2H3L4B/points/-1",
        "taxpayers/91310115X12J2H3L4B/points/65536",
        "taxpayers/91310115X12J2H3L4B/points/0/",
        "taxpayers/9131 0115/points/0",
        "/taxpayers/91310115X12J2H3L4B/points/0",
    ],
)
def test_a_malformed_point_is_refused_by_name(
    platform: Platform, seller: Seller, point: str
) -> None:
    request = ticket(seller)
    request.point = point

    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as found:
        platform.issue(request)

    assert found[0].facts["field"] == "point"


def test_an_unknown_taxpayer_and_an_unknown_point_are_not_found(
    platform: Platform, seller: Seller
) -> None:
    stranger = Seller(tax_number=new_tax_number())

    with refused("TAXPAYER_NOT_FOUND", grpc.StatusCode.NOT_FOUND) as unknown_taxpayer:
        platform.issue(ticket(stranger))
    with refused("POINT_NOT_FOUND", grpc.StatusCode.NOT_FOUND) as unknown_point:
        platform.issue(ticket(seller, point=65535))

    assert unknown_taxpayer[0].facts == {"taxpayer": stranger.tax_number}
    assert unknown_point[0].facts == {"taxpayer": seller.tax_number, "point": "65535"}


def test_enum_values_that_mean_nothing_are_named(platform: Platform, seller: Seller) -> None:
    request = ticket(seller)
    request.kind = 77  # type: ignore[assignment]
    request.lines[0].nature = 78  # type: ignore[assignment]
    request.lines[0].zero_rate_flag = 79  # type: ignore[assignment]

    with refused("INVALID_INVOICE") as found:
        platform.issue(request)

    assert found[0].violations >= {
        ("FIELD_FORMAT", "kind"),
        ("FIELD_FORMAT", "lines[0].nature"),
        ("FIELD_FORMAT", "lines[0].zero_rate_flag"),
    }
    nothing_taken(platform, request.request_id)


def test_a_kind_left_out_is_required(platform: Platform, seller: Seller) -> None:
    request = ticket(seller)
    request.ClearField("kind")

    with refused("INVALID_INVOICE") as found:
        platform.issue(request)

    assert found[0].violations == {("FIELD_REQUIRED", "kind")}


def test_a_sellers_fields_must_equal_the_registration(platform: Platform, seller: Seller) -> None:
    request = ticket(seller)
    request.seller.bank_account = "别的银行 1"

    with refused("INVALID_INVOICE") as found:
        platform.issue(request)

    assert found[0].violations == {("SELLER_MISMATCH", "seller.bank_account")}


def test_more_violations_than_a_trailer_holds_are_counted(
    platform: Platform, seller: Seller
) -> None:
    request = ticket(seller, lines=100)
    for line in request.lines:
        line.classification_code = "1"
        line.name = ""

    with refused("INVALID_INVOICE") as found:
        platform.issue(request)

    assert int(found[0].facts["violation_count"]) >= 200
    assert 0 < len(found[0].violations) < 200


def test_more_differences_than_a_trailer_holds_are_counted(
    platform: Platform, seller: Seller
) -> None:
    request = ticket(seller, lines=100)
    platform.issue(request)
    other = ticket(seller, request.request_id, lines=100, net_fen=20_000)
    for line in other.lines:
        line.name = "*信息技术服务*别的服务"

    with refused("REQUEST_ID_REUSED", grpc.StatusCode.ALREADY_EXISTS) as found:
        platform.issue(other)

    named = found[0].facts["fields"].split(",")
    assert 0 < len(named) < int(found[0].facts["field_count"])
    assert int(found[0].facts["field_count"]) >= 200


def test_a_point_without_stock_takes_nothing(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=1)
    platform.issue(ticket(seller))
    request = ticket(seller)

    with refused("STOCK_EXHAUSTED", grpc.StatusCode.RESOURCE_EXHAUSTED) as found:
        platform.issue(request)
    platform.supply(seller, "026", 1)
    issued = platform.invoices.IssueInvoice(request)

    assert found[0].facts == {
        "taxpayer": seller.tax_number,
        "type": "026",
        "point": "0",
        "available_count": "0",
    }
    assert not issued.replayed


def test_a_content_over_its_limit_is_refused_by_name(platform: Platform, seller: Seller) -> None:
    request = ticket(seller, lines=100)
    for line in request.lines:
        line.quantity = "1." + "0" * 15
        line.unit_price = "100." + "0" * 600

    with pytest.raises(grpc.RpcError) as raised:
        platform.issue(request)

    assert refusal_of(raised.value).reason in ("CONTENT_TOO_LARGE", "INVALID_INVOICE")
    nothing_taken(platform, request.request_id)


# --- not ours at all ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x03\xff\xfe\xfd", b"\x00"],
    ids=["noise", "length beyond the end", "text that is no UTF-8", "field number 0"],
)
def test_bytes_that_are_no_request_are_refused_without_a_trace(system: System, body: bytes) -> None:
    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as found:
        raw(system.gateway.channel)(body)

    assert found[0].violations == {("FIELD_FORMAT", "request")}


def test_an_unknown_method_is_unimplemented(system: System) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        raw(system.gateway.channel, "/taxcontrol.v1.InvoiceService/VoidEverything")(b"")

    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_unknown_fields_are_ignored(system: System, seller: Seller) -> None:
    request = ticket(seller)

    # Field 1000, length-delimited: from a newer client.
    answer = raw(system.gateway.channel)(request.SerializeToString() + b"\xc2\x3e\x03new")
    response = invoice_service_pb2.IssueInvoiceResponse.FromString(answer)

    assert response.issued.request_id == request.request_id
    assert system.platform.issue(request) == response.issued
