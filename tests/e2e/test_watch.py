"""A watch over the wire: what happens is told once, over restarts of the gateway too."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from taxcontrol.v1 import invoice_query_pb2, invoice_service_pb2
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, ticket
from tests.e2e.wire import eventually, refusal_of, refused
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

Change = invoice_query_pb2.InvoiceChange
WatchInvoicesRequest = invoice_query_pb2.WatchInvoicesRequest
BATCHES, BATCH_COUNT = 2, 100
WATCH_COUNT_MAX = 3
# A connection that takes 64 KiB ahead of its reader, and never more.
SMALL_WINDOW = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536)]
ISSUED_AND_ACCEPTED = {Change.TYPE_ISSUED, Change.TYPE_UPLOAD_ACCEPTED}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with (
        SimulatorProcess(tmp_path / "simulator", arguments=["--windows", ""]) as simulator,
        GatewayProcess(
            tmp_path / "gateway",
            authority=simulator.target,
            settings=f"[watch]\ncount_max = {WATCH_COUNT_MAX}\n",
        ) as gateway,
    ):
        yield gateway


def test_what_happens_is_told_as_it_happens(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=10)
    watch = platform.invoices.WatchInvoices(WatchInvoicesRequest(parent=seller.name))
    first = next(watch)
    issued = platform.issue(ticket(seller))

    told = [next(watch).change for _ in range(2)]
    watch.cancel()

    assert not first.HasField("change")
    assert {change.type for change in told} == ISSUED_AND_ACCEPTED
    assert {change.invoice.issued.SerializeToString() for change in told} == {
        issued.SerializeToString()
    }


def test_a_watch_of_a_point_is_told_of_that_point(platform: Platform) -> None:
    seller = platform.new_seller("026", stock=10, points=(0, 1))
    watch = platform.invoices.WatchInvoices(WatchInvoicesRequest(parent=seller.point(1)))
    next(watch)
    platform.issue(ticket(seller, point=0))
    mine = platform.issue(ticket(seller, point=1))

    assert next(watch).change.invoice.issued == mine
    watch.cancel()


def test_refusals_are_named(platform: Platform) -> None:
    with refused("TAXPAYER_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
        next(
            platform.invoices.WatchInvoices(
                WatchInvoicesRequest(parent="taxpayers/91310115X12J2H3L49")
            )
        )
    with refused("INVALID_REQUEST") as caught:
        next(
            platform.invoices.WatchInvoices(
                WatchInvoicesRequest(parent=platform.new_seller("026").name, resume_token="x")
            )
        )
    assert caught[0].violations == {("FIELD_FORMAT", "resume_token")}


def test_nothing_is_missed_or_told_twice_over_restarts(gateway: GatewayProcess) -> None:
    """Killed or stopped between messages, while invoices are issued and uploaded."""
    seller = Platform(gateway.channel).new_seller("026", stock=50)
    told: list[tuple[int, str]] = []
    expected: set[str] = set()
    token = ""
    for at, end in enumerate((gateway.stop, gateway.kill, gateway.stop)):
        platform = Platform(gateway.channel)
        expected |= {platform.issue(ticket(seller)).request_id for _ in range(4)}
        watch = platform.invoices.WatchInvoices(
            WatchInvoicesRequest(parent=seller.name, resume_token=token, from_beginning=True)
        )
        token = next(watch).resume_token
        for _ in range(3 - at):
            message = next(watch)
            told.append((message.change.type, message.change.invoice.issued.request_id))
            token = message.resume_token
        end()
        gateway.start()
    platform = Platform(gateway.channel)
    eventually(lambda: platform.drained(seller))
    watch = platform.invoices.WatchInvoices(
        WatchInvoicesRequest(parent=seller.name, resume_token=token)
    )
    next(watch)
    while len(told) < 2 * len(expected):
        change = next(watch).change
        told.append((change.type, change.invoice.issued.request_id))
    watch.cancel()

    assert sorted(told) == sorted((kind, one) for kind in ISSUED_AND_ACCEPTED for one in expected)
    assert platform.books().findings == []


def test_draining_ends_watches_by_name_and_does_not_wait_for_a_slow_one(
    gateway: GatewayProcess,
) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=400)
    _fill(platform, seller)
    ended: list[str] = []
    idle = platform.invoices.WatchInvoices(WatchInvoicesRequest(parent=seller.name))
    next(idle)

    def listen() -> None:
        try:
            for _ in idle:
                pass
        except grpc.RpcError as error:
            ended.append(refusal_of(error).reason)

    listener = threading.Thread(target=listen)
    listener.start()
    # It takes the first message and no more: what follows fills its connection.
    with grpc.insecure_channel(gateway.target, options=SMALL_WINDOW) as channel:
        slow = Platform(channel).invoices.WatchInvoices(
            WatchInvoicesRequest(parent=seller.name, from_beginning=True)
        )
        next(slow)
        # Meanwhile another takes them all: by then the slow one has been sent what it takes.
        quick = platform.invoices.WatchInvoices(
            WatchInvoicesRequest(parent=seller.name, from_beginning=True)
        )
        for _ in range(BATCHES * BATCH_COUNT + 1):
            next(quick)
        quick.cancel()
        began = time.monotonic()
        gateway.send(signal.SIGTERM)
        status = gateway.wait()
        elapsed_s = time.monotonic() - began
    listener.join(10)

    assert status == 0
    assert ended == ["SHUTTING_DOWN"]
    assert elapsed_s < 4  # drain_s is 5


def test_so_many_watches_and_no_more(gateway: GatewayProcess) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026")
    request = WatchInvoicesRequest(parent=seller.name)
    watches = [platform.invoices.WatchInvoices(request) for _ in range(WATCH_COUNT_MAX)]
    for watch in watches:
        next(watch)

    with refused("OVERLOADED", grpc.StatusCode.RESOURCE_EXHAUSTED) as caught:
        next(platform.invoices.WatchInvoices(request))
    assert caught[0].retry_s
    watches[0].cancel()

    def let_in() -> bool:
        try:
            next(platform.invoices.WatchInvoices(request))
        except grpc.RpcError:
            return False
        return True

    eventually(let_in)
    for watch in watches:
        watch.cancel()


def _fill(platform: Platform, seller: Seller) -> None:
    """More changes than a connection holds while nobody reads."""
    for _ in range(BATCHES):
        requests = [ticket(seller, lines=60) for _ in range(BATCH_COUNT)]
        answer = platform.invoices.BatchIssueInvoices(
            invoice_service_pb2.BatchIssueInvoicesRequest(requests=requests)
        )
        assert all(result.HasField("issued") for result in answer.results)
