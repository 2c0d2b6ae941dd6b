"""One stream of many invoices over the wire, and what its caller may do to it half-way."""

import json
import queue
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from taxcontrol.v1 import error_reason_pb2
from taxcontrol.v1.invoice_service_pb2 import (
    BatchIssueResult,
    IssueInvoicesRequest,
    IssueInvoicesResponse,
)
from tests.e2e.conftest import System
from tests.e2e.platform import Platform
from tests.e2e.sellers import IssueInvoiceRequest, Seller, ticket
from tests.e2e.wire import eventually, refusal_of, refused
from tests.fakes.gateway_process import CHANNEL_OPTIONS, GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

MANY = 10_000
_METHOD = "/taxcontrol.v1.InvoiceService/IssueInvoices"


class Sender:
    """What one caller sends, when it wants to. Iterating ends with ``end``."""

    def __init__(self, *requests: IssueInvoiceRequest) -> None:
        self.sent_count = 0
        self._waiting: queue.SimpleQueue[IssueInvoiceRequest | None] = queue.SimpleQueue()
        for request in requests:
            self.send(request)

    def send(self, request: IssueInvoiceRequest) -> None:
        self._waiting.put(request)

    def end(self) -> None:
        self._waiting.put(None)

    def __iter__(self) -> Iterator[IssueInvoicesRequest]:
        while (request := self._waiting.get()) is not None:
            self.sent_count += 1
            yield IssueInvoicesRequest(request=request)


def stream(platform: Platform, *requests: IssueInvoiceRequest) -> list[BatchIssueResult]:
    """Send everything, end the stream, take everything."""
    wire = (IssueInvoicesRequest(request=request) for request in requests)
    return [response.result for response in platform.invoices.IssueInvoices(wire)]


def reason(result: BatchIssueResult) -> str:
    """The reason an item failed for; empty when it was issued."""
    if result.HasField("issued"):
        return ""
    name = error_reason_pb2.ErrorReason.Name(result.failure.reason)
    return name.removeprefix("ERROR_REASON_")


def test_10_000_items_go_through_one_stream(system: System) -> None:
    platform = system.platform
    seller = platform.new_seller("026", stock=MANY)
    results = stream(platform, *(ticket(seller, f"many-{at}") for at in range(MANY)))

    assert {one.request_id for one in results} == {f"many-{at}" for at in range(MANY)}
    assert {reason(one) for one in results} == {""}
    assert len({one.issued.number for one in results}) == MANY
    assert platform.available(seller) == 0
    lines = [
        json.loads(line) for line in system.gateway.log.read_text().splitlines() if _METHOD in line
    ]
    assert [line["issued"] for line in lines if line.get("issued") == MANY] == [MANY]


def test_each_item_gets_what_a_call_would_get(platform: Platform, seller: Seller) -> None:
    wrong = ticket(seller)
    wrong.gross_fen += 1
    twice = ticket(seller)
    other = ticket(seller, twice.request_id, net_fen=20_000)
    results = stream(platform, wrong, twice, twice, other, IssueInvoiceRequest())

    by_reason: dict[str, list[BatchIssueResult]] = {}
    for one in results:
        by_reason.setdefault(reason(one), []).append(one)
    issued = by_reason.pop("")
    assert sorted(one.replayed for one in issued) == [False, True]
    assert issued[0].issued == issued[1].issued == platform.issue(twice)
    assert {name: len(found) for name, found in by_reason.items()} == {
        "INVALID_INVOICE": 1,
        "REQUEST_ID_REUSED": 1,
        "INVALID_REQUEST": 1,
    }


def test_answers_come_while_the_caller_still_sends(platform: Platform, seller: Seller) -> None:
    sender = Sender()
    responses = platform.invoices.IssueInvoices(iter(sender))
    numbers = []
    for _ in range(5):
        sender.send(ticket(seller))
        numbers.append(int(next(responses).result.issued.number))
    sender.end()

    assert list(responses) == []
    assert numbers == sorted(numbers)
    assert responses.code() is grpc.StatusCode.OK


def test_a_slow_reader_stops_its_own_stream_only(system: System, platform: Platform) -> None:
    slow_seller = platform.new_seller("026", stock=2_000)
    quick_seller = platform.new_seller("026", stock=500)
    # Answers of some 15 KB and a small window, so that little of it lies in buffers on the way.
    sender = Sender(*(ticket(slow_seller, lines=50) for _ in range(2_000)))
    sender.end()
    options = [*CHANNEL_OPTIONS, ("grpc.http2.bdp_probe", 0)]
    with grpc.insecure_channel(system.gateway.target, options=options) as channel:
        slow = Platform(channel)
        responses = slow.invoices.IssueInvoices(iter(sender))
        next(responses)

        quick = stream(slow, *(ticket(quick_seller) for _ in range(500)))
        eventually(_standing_still(lambda: platform.available(slow_seller)))
        taken = 2_000 - platform.available(slow_seller)
        sent = sender.sent_count
        rest = [one for one in responses if one.result.HasField("issued")]

    assert {reason(one) for one in quick} == {""}
    assert 256 <= taken < 300
    assert sent < 700, sent
    assert len(rest) == 1_999


def test_a_caller_that_hangs_up_finds_everything_on_a_new_stream(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=600)
    requests = [ticket(seller) for _ in range(500)]
    sender = Sender(*requests)
    responses = platform.invoices.IssueInvoices(iter(sender))
    first = [next(responses).result for _ in range(100)]
    responses.cancel()
    sender.end()
    results = stream(platform, *requests)

    by_id = {one.request_id: one for one in results}
    assert {reason(one) for one in results} == {""}
    assert all(by_id[one.request_id].replayed for one in first)
    assert all(by_id[one.request_id].issued == one.issued for one in first)
    assert platform.available(seller) == 100


def test_a_deadline_ends_a_stream_that_nobody_ends(platform: Platform, seller: Seller) -> None:
    sender = Sender(ticket(seller))
    responses = platform.invoices.IssueInvoices(iter(sender), timeout=1.0)
    answered = next(responses)

    with pytest.raises(grpc.RpcError) as raised:
        next(responses)
    sender.end()

    assert answered.result.HasField("issued")
    assert refusal_of(raised.value).reason == "DEADLINE_TOO_SHORT"
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_bytes_that_are_no_request_end_the_stream_behind_the_answers(
    system: System, seller: Seller
) -> None:
    request = IssueInvoicesRequest(request=ticket(seller)).SerializeToString()
    method: Any = system.gateway.channel.stream_stream(_METHOD)
    responses = method(iter([request, b"\xff" * 40, request]))
    answered = IssueInvoicesResponse.FromString(next(responses))

    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as found:
        next(responses)

    assert reason(answered.result) == ""
    assert found[0].violations == {("FIELD_FORMAT", "request")}


def test_a_gateway_that_stops_answers_what_it_has_read(tmp_path: Path) -> None:
    with (
        SimulatorProcess(tmp_path / "simulator", arguments=["--windows", ""]) as simulator,
        GatewayProcess(tmp_path / "gateway", authority=simulator.target) as gateway,
    ):
        with gateway.connect() as channel:
            platform = Platform(channel)
            seller = platform.new_seller("026", stock=5_000)
            sender = Sender(*(ticket(seller) for _ in range(200)))
            responses = platform.invoices.IssueInvoices(iter(sender))
            results = [next(responses).result for _ in range(50)]
            idle = platform.invoices.IssueInvoices(iter(Sender()))
            feeding = threading.Thread(target=_feed, args=(sender, seller))
            stopping = threading.Thread(target=gateway.stop)
            stopping.start()
            feeding.start()
            for call in (responses, idle):
                with pytest.raises(grpc.RpcError) as raised:
                    _take_all(call, results)
                assert refusal_of(raised.value).reason == "SHUTTING_DOWN"
            feeding.join(20)
            stopping.join(20)
        gateway.start()
        platform = Platform(gateway.channel)

        # How much of it the gateway has read by then is its own business.
        assert len(results) > 50
        assert {reason(one) for one in results} == {""}
        for one in results:
            assert platform.get(request_id=one.request_id).issued == one.issued
        # What was answered is all there is: nothing was read and left without an answer.
        assert 5_000 - platform.available(seller) == len(results)


def _take_all(call: Iterable[IssueInvoicesResponse], into: list[BatchIssueResult]) -> None:
    for response in call:
        into.append(response.result)  # noqa: PERF401 - what came before the failure counts


def _feed(sender: Sender, seller: Seller) -> None:
    for _ in range(1_000):
        sender.send(ticket(seller))
    sender.end()


def _standing_still(count: Any) -> Any:
    """Whether a count is what it was at the last ten looks."""
    seen: list[int] = []

    def still() -> bool:
        seen.append(count())
        return len(seen) > 10 and len(set(seen[-10:])) == 1

    return still
