"""Many invoices in one call: each on its own, in order, all or none where the whole is refused.

Every refusal goes through ``refused``, which shows that it carries exactly one ErrorInfo of our domain.
"""

import grpc

from taxcontrol.v1 import error_reason_pb2, invoice_service_pb2
from tests.e2e.platform import Platform
from tests.e2e.sellers import IssueInvoiceRequest, Seller, new_tax_number, ticket
from tests.e2e.wire import refused

MIB = 1024 * 1024
BatchIssueInvoicesRequest = invoice_service_pb2.BatchIssueInvoicesRequest
GetInvoiceRequest = invoice_service_pb2.GetInvoiceRequest


def batch(
    platform: Platform, *requests: IssueInvoiceRequest
) -> list[invoice_service_pb2.BatchIssueResult]:
    response = platform.invoices.BatchIssueInvoices(BatchIssueInvoicesRequest(requests=requests))
    return list(response.results)


def reason(result: invoice_service_pb2.BatchIssueResult) -> str:
    """The reason an item failed for; empty when it was issued."""
    if result.WhichOneof("outcome") == "issued":
        return ""
    name = error_reason_pb2.ErrorReason.Name(result.failure.reason)
    return name.removeprefix("ERROR_REASON_")


def nothing_taken(platform: Platform, request_id: str) -> None:
    with refused("INVOICE_NOT_FOUND"):
        platform.get(request_id=request_id)


def test_a_batch_answers_each_item_in_its_place(platform: Platform, seller: Seller) -> None:
    stranger = Seller(tax_number=new_tax_number())
    wrong = ticket(seller)
    wrong.gross_fen += 1
    nameless = ticket(seller)
    nameless.request_id = ""
    requests = [ticket(seller), wrong, ticket(stranger), nameless, ticket(seller, point=1)]

    results = batch(platform, *requests)

    assert [result.request_id for result in results] == [one.request_id for one in requests]
    assert [reason(result) for result in results] == [
        "",
        "INVALID_INVOICE",
        "TAXPAYER_NOT_FOUND",
        "INVALID_REQUEST",
        "",
    ]
    [violation] = results[1].failure.violations
    assert (violation.rule, violation.field) == ("TOTAL_MISMATCH", "gross_fen")
    assert results[1].failure.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_a_batch_of_500_takes_consecutive_numbers_in_its_order(
    platform: Platform, seller: Seller
) -> None:
    results = batch(platform, *(ticket(seller) for _ in range(500)))

    numbers = [int(result.issued.number) for result in results]
    assert numbers == list(range(numbers[0], numbers[0] + 500))


def test_one_id_twice_in_a_batch_replays(platform: Platform, seller: Seller) -> None:
    request = ticket(seller)

    first, second = batch(platform, request, request)

    assert (first.replayed, second.replayed) == (False, True)
    assert first.issued == second.issued


def test_one_id_for_two_requests_in_a_batch_is_refused_the_second_time(
    platform: Platform, seller: Seller
) -> None:
    request = ticket(seller)

    first, second = batch(platform, request, ticket(seller, request.request_id, net_fen=20_000))

    assert reason(first) == ""
    assert reason(second) == "REQUEST_ID_REUSED"
    assert "net_fen" in second.failure.metadata["fields"].split(",")


def test_a_batch_again_replays_what_was_issued_and_issues_the_rest(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=2)
    requests = [ticket(seller) for _ in range(4)]
    first = batch(platform, *requests)
    platform.supply(seller, "026", 2)

    again = batch(platform, *requests)

    assert [reason(result) for result in first] == ["", "", "STOCK_EXHAUSTED", "STOCK_EXHAUSTED"]
    assert [result.replayed for result in again] == [True, True, False, False]
    assert [result.issued for result in again[:2]] == [result.issued for result in first[:2]]


def test_an_empty_batch_and_one_of_501_are_refused(platform: Platform, seller: Seller) -> None:
    requests = [ticket(seller) for _ in range(501)]

    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as empty:
        batch(platform)
    with refused("BATCH_TOO_LARGE", grpc.StatusCode.INVALID_ARGUMENT) as large:
        batch(platform, *requests)

    assert empty[0].violations == {("FIELD_REQUIRED", "requests")}
    assert large[0].facts == {"count": "501", "count_max": "500"}
    nothing_taken(platform, requests[0].request_id)


def test_a_batch_over_8_mib_is_refused_by_name(platform: Platform, seller: Seller) -> None:
    requests = [ticket(seller, remark="x" * MIB) for _ in range(9)]

    with refused("BATCH_TOO_LARGE", grpc.StatusCode.INVALID_ARGUMENT) as found:
        batch(platform, *requests)

    assert int(found[0].facts["size_bytes"]) > int(found[0].facts["size_bytes_max"]) == 8 * MIB


def test_a_batch_whose_answer_would_pass_8_mib_takes_no_number(platform: Platform) -> None:
    seller = platform.new_seller("007", stock=40, invoice_limit_fen=10**12)
    requests = [ticket(seller, type_="007", lines=2000) for _ in range(30)]
    assert sum(request.ByteSize() for request in requests) < 8 * MIB

    with refused("BATCH_TOO_LARGE") as found:
        batch(platform, *requests)

    assert int(found[0].facts["size_bytes"]) > 8 * MIB
    # Numbers taken behind the refusal would show here: work is done in the order it came.
    part = batch(platform, *requests[:2])
    assert [(reason(result), result.replayed) for result in part] == [("", False)] * 2
    assert platform.available(seller, "007") == 38
