"""Requests far too large are refused by name, without stopping the service for everybody else."""

import threading
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from taxcontrol.v1 import invoice_pb2
from tests.e2e.conftest import System
from tests.e2e.platform import Platform
from tests.e2e.sellers import IssueInvoiceRequest, Seller, ticket
from tests.e2e.test_batch import BatchIssueInvoicesRequest, batch, nothing_taken, reason
from tests.e2e.wire import refused

_LINE = invoice_pb2.Line()


def with_empty_lines(seller: Seller, count: int) -> IssueInvoiceRequest:
    request = ticket(seller)
    del request.lines[:]
    request.lines.extend([_LINE] * count)
    return request


def test_a_million_lines_are_refused_unread(platform: Platform, seller: Seller) -> None:
    request = with_empty_lines(seller, 1_000_000)

    with refused("INVALID_INVOICE", grpc.StatusCode.INVALID_ARGUMENT) as caught:
        platform.invoices.IssueInvoice(request)

    assert ("LINE_COUNT", "lines") in caught[0].violations
    nothing_taken(platform, request.request_id)


def test_health_answers_while_a_huge_batch_is_judged(system: System, seller: Seller) -> None:
    platform = system.platform
    health = health_pb2_grpc.HealthStub(system.gateway.connect())
    request = BatchIssueInvoicesRequest(
        requests=[with_empty_lines(seller, 2_000) for _ in range(40)]
    )
    waits: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            began = time.monotonic()
            health.Check(health_pb2.HealthCheckRequest(), timeout=30)
            waits.append(time.monotonic() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        results = platform.invoices.BatchIssueInvoices(request).results
    finally:
        done.set()
        asking.join()

    assert {reason(result) for result in results} == {"INVALID_INVOICE"}
    # The whole takes seconds; nobody else waits for more than a fraction of it.
    assert max(waits) < 0.5, f"the longest of {len(waits)} answers took {max(waits):.2f} s"


def test_items_with_thousands_of_faults_do_not_spoil_a_good_one(
    platform: Platform, seller: Seller
) -> None:
    good = ticket(seller)

    results = batch(platform, good, *(with_empty_lines(seller, 2_000) for _ in range(40)))

    assert reason(results[0]) == ""
    assert results[0].issued.request_id == good.request_id
    for result in results[1:]:
        assert reason(result) == "INVALID_INVOICE"
        listed, found = len(result.failure.violations), result.failure.metadata["violation_count"]
        assert 100 < listed < int(found)


def test_more_lines_than_a_batch_may_have_are_refused_as_a_whole(
    platform: Platform, seller: Seller
) -> None:
    good = ticket(seller)
    request = BatchIssueInvoicesRequest(
        requests=[good, *(with_empty_lines(seller, 2_000) for _ in range(51))]
    )

    with refused("BATCH_TOO_LARGE") as caught:
        platform.invoices.BatchIssueInvoices(request)

    assert caught[0].facts["line_count_max"] == "100000"
    nothing_taken(platform, good.request_id)


def test_a_field_that_makes_the_content_too_large_is_named_as_too_long(
    platform: Platform, seller: Seller
) -> None:
    request = ticket(seller)
    request.remark = "长" * 70_000

    with refused("INVALID_INVOICE") as caught:
        platform.invoices.IssueInvoice(request)

    assert ("FIELD_TOO_LONG", "remark") in caught[0].violations
