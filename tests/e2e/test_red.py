"""Reds over the wire: what they take of a blue, how often, and what reaches the authority when."""

import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from taxcontrol.v1 import error_reason_pb2, invoice_pb2
from taxcontrol.v1.invoice_service_pb2 import BatchIssueInvoicesRequest, BatchIssueResult
from tests.e2e.conftest import System
from tests.e2e.platform import Platform
from tests.e2e.reds import full_red_of, red_of, void_of
from tests.e2e.sellers import Seller, ticket
from tests.e2e.wire import eventually, refusal_of

State = invoice_pb2.Invoice.State


@pytest.fixture(scope="module")
def papers(platform: Platform) -> Seller:
    """A seller of general paper invoices, which may be reversed in part."""
    return platform.new_seller("007", stock=500)


def state(platform: Platform, name: str) -> str:
    return State.Name(platform.get(name=name).state).removeprefix("STATE_")


def reason(result: BatchIssueResult) -> str:
    """The reason an item failed for; empty when it was issued."""
    if result.HasField("issued"):
        return ""
    name = error_reason_pb2.ErrorReason.Name(result.failure.reason)
    return name.removeprefix("ERROR_REASON_")


def test_a_red_reverses_its_blue_and_both_reach_the_authority_in_order(system: System) -> None:
    platform = system.platform
    seller = platform.new_seller("026", stock=10)
    blue = platform.issue(ticket(seller))
    red = platform.issue(red_of(seller, blue))
    eventually(lambda: platform.drained(seller))

    found, reversed_ = platform.get(name=red.name), platform.get(name=blue.name)
    assert found.kind == invoice_pb2.INVOICE_KIND_RED
    assert (found.original, found.net_fen, found.tax_fen) == (blue.name, -10_000, -600)
    assert reversed_.state == State.STATE_REVERSED
    assert (reversed_.reversed_net_fen, reversed_.reversed_tax_fen) == (10_000, 600)
    for one in (found, reversed_):
        assert one.upload_state == invoice_pb2.Invoice.UPLOAD_STATE_ACCEPTED
    events = [event.result.number for event in system.simulator.events(seller.tax_number)]
    assert events == [blue.number, red.number]
    assert platform.unuploaded(seller) == []


def test_the_same_red_again_answers_the_same_bytes_though_nothing_is_left(
    platform: Platform, seller: Seller
) -> None:
    blue = platform.issue(ticket(seller))
    request = red_of(seller, blue)
    first = platform.invoices.IssueInvoice(request)
    again = platform.invoices.IssueInvoice(request)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.issued.SerializeToString() == first.issued.SerializeToString()


def test_reds_in_part_add_up_to_their_blue(platform: Platform, papers: Seller) -> None:
    blue = platform.issue(ticket(papers, type_="007"))
    platform.issue(red_of(papers, blue, net_fen=4_000))
    partly = state(platform, blue.name)
    last = platform.issue(red_of(papers, blue, net_fen=6_000))
    whole = state(platform, blue.name)
    platform.invoices.VoidInvoice(void_of(last))

    assert (partly, whole) == ("PARTLY_REVERSED", "REVERSED")
    assert state(platform, blue.name) == "PARTLY_REVERSED"
    assert platform.issue(red_of(papers, blue, net_fen=6_000)).number > last.number


def test_a_batch_answers_each_red_for_itself(platform: Platform, papers: Seller) -> None:
    blue = platform.issue(ticket(papers, type_="007"))
    unknown = red_of(papers, blue)
    unknown.original.number = "99999999"
    requests = [
        red_of(papers, blue, net_fen=6_000),
        red_of(papers, blue, net_fen=6_000),
        unknown,
        ticket(papers, type_="007"),
        red_of(papers, blue, net_fen=4_000),
    ]

    batch = BatchIssueInvoicesRequest(requests=requests)
    results = platform.invoices.BatchIssueInvoices(batch).results
    again = platform.invoices.BatchIssueInvoices(batch).results

    assert [reason(one) for one in results] == [
        "",
        "RED_EXCEEDS_BLUE",
        "RED_ORIGINAL_NOT_FOUND",
        "",
        "",
    ]
    assert dict(results[1].failure.metadata) == {
        "remaining_net_fen": "4000",
        "remaining_tax_fen": "240",
    }
    assert [one.replayed for one in again] == [True, False, False, True, True]


def test_64_callers_who_reverse_one_blue_get_one_red(platform: Platform, seller: Seller) -> None:
    blue = platform.issue(ticket(seller))

    def reverse(at: int) -> str:
        try:
            return str(platform.invoices.ReverseInvoice(full_red_of(blue, f"{blue.number}-{at}")))
        except grpc.RpcError as error:
            return refusal_of(error).reason

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(reverse, range(64)))

    assert sorted(answers)[:63] == ["RED_EXCEEDS_BLUE"] * 63
    assert state(platform, blue.name) == "REVERSED"


def test_64_callers_with_reds_in_part_take_no_more_than_there_is(
    platform: Platform, papers: Seller
) -> None:
    blue = platform.issue(ticket(papers, type_="007"))

    def reverse(_: int) -> str:
        try:
            platform.issue(red_of(papers, blue, net_fen=700))
        except grpc.RpcError as error:
            return refusal_of(error).reason
        return "ISSUED"

    with ThreadPoolExecutor(64) as pool:
        answers = sorted(pool.map(reverse, range(64)))

    assert answers == ["ISSUED"] * 14 + ["RED_EXCEEDS_BLUE"] * 50
    assert platform.get(name=blue.name).reversed_net_fen == 9_800


def test_a_full_red_is_made_from_the_blue_and_made_once(platform: Platform, seller: Seller) -> None:
    request = ticket(seller, lines=3)
    request.remark = "备注"
    blue = platform.issue(request)
    asked = full_red_of(blue)
    first = platform.invoices.ReverseInvoice(asked)
    again = platform.invoices.ReverseInvoice(asked)
    content, original = json.loads(first.issued.content), json.loads(blue.content)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.issued == first.issued
    assert [line["amount_fen"] for line in content["lines"]] == [-10_000] * 3
    assert content["gross_fen"] == -original["gross_fen"]
    assert content["original"] == {"code": blue.code, "number": blue.number}
    assert "remark" not in content
    assert platform.get(request_id=asked.request_id).original == blue.name


def test_the_books_balance_with_reds_in_them(platform: Platform) -> None:
    books = platform.books()

    assert books.findings == []
    assert books.last.balanced
