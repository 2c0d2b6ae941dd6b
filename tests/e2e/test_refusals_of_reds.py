"""Reds and voids that are refused, each for its own reason, over the wire."""

import grpc
import pytest

from taxcontrol.admin.v1 import stock_admin_service_pb2
from taxcontrol.v1 import invoice_pb2, invoice_reversal_pb2
from tests.e2e.platform import Platform
from tests.e2e.sellers import IssueInvoiceRequest, Seller, new_id, ticket
from tests.e2e.wire import refused

BLUE_FEN = 10_000
# 16 digits, the last one the sum of the others modulo 10.
NOTICE = "3101000000000016"


@pytest.fixture(scope="module")
def papers(platform: Platform) -> Seller:
    """A seller of general paper invoices, which may be reversed in part."""
    return platform.new_seller("007", stock=100)


def red_of(
    seller: Seller, blue: invoice_pb2.IssuedInvoice, net_fen: int = BLUE_FEN
) -> IssueInvoiceRequest:
    """A red of ``net_fen`` of a blue, by a request that breaks no rule."""
    request = ticket(seller, type_=blue.type, net_fen=net_fen)
    request.kind = invoice_pb2.INVOICE_KIND_RED
    request.original.code, request.original.number = blue.code, blue.number
    request.red_reason = "销货退回"
    for line in request.lines:
        line.amount_fen, line.tax_fen = -line.amount_fen, -line.tax_fen
    request.net_fen, request.tax_fen = -request.net_fen, -request.tax_fen
    request.gross_fen = -request.gross_fen
    return request


def void(platform: Platform, name: str) -> None:
    platform.invoices.VoidInvoice(
        invoice_reversal_pb2.VoidInvoiceRequest(
            request_id=new_id("void"), name=name, reason="开票有误"
        )
    )


def test_a_red_of_an_invoice_nobody_issued_is_refused(platform: Platform, seller: Seller) -> None:
    red = red_of(seller, platform.issue(ticket(seller)))
    red.original.number = "99999999"

    with refused("RED_ORIGINAL_NOT_FOUND", grpc.StatusCode.NOT_FOUND) as found:
        platform.issue(red)

    assert found[0].facts == {"code": red.original.code, "number": "99999999"}


def test_a_red_of_a_red_is_refused(platform: Platform, seller: Seller) -> None:
    first = platform.issue(red_of(seller, platform.issue(ticket(seller))))

    with refused("RED_TYPE_MISMATCH", grpc.StatusCode.FAILED_PRECONDITION) as found:
        platform.issue(red_of(seller, first))

    assert found[0].facts == {"type": "026", "original_type": "026", "original_kind": "red"}


def test_a_red_of_a_voided_invoice_is_refused(platform: Platform, seller: Seller) -> None:
    blue = platform.issue(ticket(seller))
    void(platform, blue.name)

    with refused("INVOICE_NOT_REVERSIBLE", grpc.StatusCode.FAILED_PRECONDITION) as found:
        platform.issue(red_of(seller, blue))

    assert found[0].facts == {"code": blue.code, "number": blue.number, "state": "VOIDED"}


def test_reds_of_more_than_the_blue_are_refused(platform: Platform, papers: Seller) -> None:
    blue = platform.issue(ticket(papers, type_="007"))
    platform.issue(red_of(papers, blue, 6_000))

    with refused("RED_EXCEEDS_BLUE", grpc.StatusCode.FAILED_PRECONDITION) as found:
        platform.issue(red_of(papers, blue, 4_100))

    assert found[0].facts == {"remaining_net_fen": "4000", "remaining_tax_fen": "240"}
    assert platform.issue(red_of(papers, blue, 4_000)).number


def test_a_red_in_part_of_what_is_reversed_in_full_only_is_refused(
    platform: Platform, seller: Seller
) -> None:
    blue = platform.issue(ticket(seller))

    with refused("RED_NOT_FULL", grpc.StatusCode.FAILED_PRECONDITION) as found:
        platform.issue(red_of(seller, blue, 5_000))

    assert found[0].facts == {"net_fen": "10000", "tax_fen": "600"}


def test_a_red_notice_is_good_for_one_red(platform: Platform, papers: Seller) -> None:
    blue = platform.issue(ticket(papers, type_="007"))
    first, second = red_of(papers, blue, 1_000), red_of(papers, blue, 2_000)
    first.red_notice_number = second.red_notice_number = NOTICE
    platform.issue(first)

    with refused("RED_NOTICE_USED", grpc.StatusCode.ALREADY_EXISTS) as found:
        platform.issue(second)

    assert found[0].facts == {"red_notice_number": NOTICE}


def test_what_is_voided_cannot_be_voided_by_another(platform: Platform, seller: Seller) -> None:
    issued = platform.issue(ticket(seller))
    void(platform, issued.name)

    with refused("INVOICE_NOT_VOIDABLE", grpc.StatusCode.FAILED_PRECONDITION) as found:
        void(platform, issued.name)

    assert found[0].facts == {"code": issued.code, "number": issued.number, "cause": "VOIDED"}


def test_a_number_that_is_not_the_next_one_is_not_voided_blank(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=10)
    issued = platform.issue(ticket(seller))

    with refused("NUMBER_NOT_BLANK", grpc.StatusCode.FAILED_PRECONDITION) as found:
        platform.stock_admin.VoidBlankNumber(
            stock_admin_service_pb2.VoidBlankNumberRequest(
                request_id=new_id("blank"),
                point=seller.point(),
                type="026",
                code=issued.code,
                number=issued.number,
                reason="打印机故障",
            )
        )

    following = f"{int(issued.number) + 1:08d}"
    assert found[0].facts == {
        "next_code": issued.code,
        "next_number": following,
        "state": "ISSUED",
    }
