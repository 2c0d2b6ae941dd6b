"""Callers at once with one id, and callers that give up half-way: each id is issued once, or free."""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from taxcontrol.v1 import invoice_pb2, invoice_service_pb2
from tests.e2e.conftest import System
from tests.e2e.platform import Platform
from tests.e2e.sellers import IssueInvoiceRequest, Seller, ticket
from tests.e2e.wire import refusal_of, rich

ROOT = Path(__file__).resolve().parents[2]
BatchIssueInvoicesRequest = invoice_service_pb2.BatchIssueInvoicesRequest
GetInvoiceRequest = invoice_service_pb2.GetInvoiceRequest


def test_a_hundred_callers_in_two_processes_with_one_id_get_the_same_bytes(
    system: System, seller: Seller
) -> None:
    before = system.platform.available(seller)
    request = ticket(seller)
    callers = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.e2e.callers"),
                *("--target", system.gateway.target, "--count", "50"),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]

    with ThreadPoolExecutor(2) as pool:
        said = pool.map(lambda one: one.communicate(request.SerializeToString(), 60), callers)
        answers = [line.split() for out, _ in said for line in out.decode().splitlines()]

    assert len(answers) == 100
    assert len({digest for _, digest in answers}) == 1
    assert sum(replayed == "False" for replayed, _ in answers) == 1
    assert system.platform.available(seller) == before - 1


def test_many_callers_with_many_ids_lose_and_double_nothing(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=300)
    requests = [ticket(seller) for _ in range(100)]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(platform.invoices.IssueInvoice, requests * 3))

    names = {answer.issued.name for answer in answers}
    assert len(names) == 100
    assert sum(not answer.replayed for answer in answers) == 100
    assert platform.available(seller) == 200


# --- given up half-way ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", [20261122])
def test_callers_that_hang_up_at_random_leave_each_id_issued_once_or_free(
    platform: Platform, seed: int
) -> None:
    print(f"seed={seed}")
    rng = random.Random(seed)
    seller = platform.new_seller("026", stock=400)
    requests = [ticket(seller) for _ in range(200)]
    answered = {}

    for request in requests:
        call = platform.invoices.IssueInvoice.future(request)
        try:
            answered[request.request_id] = call.result(timeout=rng.uniform(0, 0.02)).issued
        except grpc.FutureTimeoutError:
            call.cancel()

    _each_is_issued_once_or_free(platform, seller, requests, answered)


@pytest.mark.parametrize("seed", [20261123])
def test_short_deadlines_leave_each_id_issued_once_or_free(platform: Platform, seed: int) -> None:
    print(f"seed={seed}")
    rng = random.Random(seed)
    seller = platform.new_seller("026", stock=400)
    requests = [ticket(seller) for _ in range(200)]
    answered = {}
    reasons = set()

    for request in requests:
        try:
            response = platform.invoices.IssueInvoice(request, timeout=rng.uniform(0.001, 0.08))
            answered[request.request_id] = response.issued
        except grpc.RpcError as error:
            # The client's own clock may run out before the gateway's answer is there.
            reasons.add(refusal_of(error).reason if rich(error) else error.code().name)

    assert reasons <= {"DEADLINE_TOO_SHORT", "IN_PROGRESS", "DEADLINE_EXCEEDED"}
    _each_is_issued_once_or_free(platform, seller, requests, answered)


def test_a_deadline_below_20_ms_is_refused_before_anything_happens(
    platform: Platform, seller: Seller
) -> None:
    request = ticket(seller)
    platform.issue(ticket(seller))

    # Either side may notice first; what counts is that no number was taken.
    with pytest.raises(grpc.RpcError) as raised:
        platform.invoices.IssueInvoice(request, timeout=0.015)

    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert platform.found(request.request_id) is None


def _each_is_issued_once_or_free(
    platform: Platform,
    seller: Seller,
    requests: list[IssueInvoiceRequest],
    answered: dict[str, invoice_pb2.IssuedInvoice],
) -> None:
    """Some were given up, some were not; all end as one invoice each under their first id."""
    assert 0 < len(answered) < len(requests), f"{len(answered)} answered: the seed shows nothing"
    # A call of the same connection handled to its end: what was sent before has been taken up.
    platform.issue(ticket(seller))
    found = {one.request_id: platform.found(one.request_id) for one in requests}
    retried = {one.request_id: platform.invoices.IssueInvoice(one) for one in requests}

    for request_id, answer in retried.items():
        seen = found[request_id]
        if seen is not None:
            assert answer.replayed
            assert seen.issued == answer.issued
        assert answered.get(request_id, answer.issued) == answer.issued
    assert len({answer.issued.name for answer in retried.values()}) == len(requests)
    assert platform.available(seller) == 400 - len(requests) - 1
    assert not platform.books().findings


def test_after_all_of_it_the_books_balance(platform: Platform) -> None:
    books = platform.books()

    assert books.findings == []
    assert books.last.balanced
    # Voids are signed too.
    assert books.last.signature_count >= books.last.issued_count > 0
