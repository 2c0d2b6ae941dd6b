"""SIGTERM under load: health first, running calls end, every answer is in the books, exit 0."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, ticket
from tests.e2e.wire import eventually, lost, refusal_of, refused, unavailable
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

CALLERS = 8
# The two arrive on two connections and are read by two threads.
SAME_MOMENT_S = 0.2
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with (
        SimulatorProcess(tmp_path / "simulator", arguments=["--windows", ""]) as simulator,
        GatewayProcess(tmp_path / "gateway", authority=simulator.target) as gateway,
    ):
        yield gateway


class _Health:
    """Watches the gateway's health: what it said, and when it said that it stops."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.said: list[int] = []
        self.stops_at = 0.0
        self._watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        self._first = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        assert self._first.wait(10)

    def end(self) -> None:
        """Wait for the end of the stream, which is the gateway's."""
        self._thread.join(20)

    def _listen(self) -> None:
        try:
            for answer in self._watch:
                self.said.append(answer.status)
                if answer.status == NOT_SERVING:
                    self.stops_at = self.stops_at or time.monotonic()
                self._first.set()
        except grpc.RpcError:
            self._first.set()


class _Caller:
    """Issues until it is turned away; keeps what it was answered and how it ended."""

    def __init__(self, gateway: GatewayProcess, seller: Seller) -> None:
        self.answers: list[IssuedInvoice] = []
        self.ended = ""
        self.refused_at = 0.0
        self._gateway = gateway
        self._seller = seller

    def run(self) -> None:
        with self._gateway.connect() as channel:
            platform = Platform(channel)
            while not self.ended:
                try:
                    self.answers.append(platform.issue(ticket(self._seller)))
                except grpc.RpcError as error:
                    self.refused_at = time.monotonic()
                    self.ended = "LOST" if lost(error) else refusal_of(error).reason
                    unavailable(error)


def test_sigterm_under_load_ends_what_runs_and_keeps_what_was_answered(
    gateway: GatewayProcess,
) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=20_000)
    watching = gateway.connect()
    health = _Health(watching)
    callers = [_Caller(gateway, seller) for _ in range(CALLERS)]

    with ThreadPoolExecutor(CALLERS) as pool:
        running = [pool.submit(caller.run) for caller in callers]
        eventually(lambda: all(len(caller.answers) > 20 for caller in callers))
        status = gateway.stop()
        for one in running:
            one.result(20)
    health.end()
    watching.close()

    assert status == 0
    assert (health.said[0], health.said[-1]) == (SERVING, NOT_SERVING)
    assert {caller.ended for caller in callers} <= {"SHUTTING_DOWN", "LOST"}
    # Balancers hear of it no later than the first caller that is turned away by name.
    named = [one.refused_at for one in callers if one.ended == "SHUTTING_DOWN"]
    assert all(health.stops_at <= at + SAME_MOMENT_S for at in named)
    gateway.start()
    platform = Platform(gateway.channel)
    for caller in callers:
        for answer in caller.answers:
            assert platform.get(request_id=answer.request_id).issued == answer
    books = platform.books()
    assert books.findings == []
    assert books.last.reserved_count == 0
    assert books.last.issued_count >= sum(len(caller.answers) for caller in callers)


def test_a_gateway_that_was_told_to_stop_comes_back_with_everything(
    gateway: GatewayProcess,
) -> None:
    seller = Platform(gateway.channel).new_seller("026", stock=10)
    request = ticket(seller)
    issued = Platform(gateway.channel).issue(request)
    assert gateway.stop() == 0
    gateway.start()
    platform = Platform(gateway.channel)

    again = platform.invoices.IssueInvoice(request)

    assert again.replayed
    assert again.issued == issued
    with refused("REQUEST_ID_REUSED"):
        platform.issue(ticket(seller, request.request_id, net_fen=20_000))
    assert platform.available(seller) == 9
