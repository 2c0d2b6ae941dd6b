"""Health says what callers would meet: also while nobody calls, and when something only hangs."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.e2e.platform import Platform
from tests.e2e.sellers import ticket
from tests.e2e.wire import eventually
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

INVOICES = "taxcontrol.v1.InvoiceService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with (
        SimulatorProcess(tmp_path / "simulator", arguments=["--windows", ""]) as simulator,
        GatewayProcess(tmp_path / "gateway", authority=simulator.target) as gateway,
    ):
        yield gateway


def health(gateway: GatewayProcess, service: str = INVOICES) -> int:
    stub = health_pb2_grpc.HealthStub(gateway.channel)
    status: int = stub.Check(health_pb2.HealthCheckRequest(service=service)).status
    return status


@pytest.mark.parametrize("issued", [False, True])
def test_a_token_that_goes_and_comes_back_shows_while_nobody_calls(
    gateway: GatewayProcess, *, issued: bool
) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=10)
    if issued:
        platform.issue(ticket(seller))
    else:
        gateway.stop()
        gateway.start()
    tokens = gateway.folder / "token" / "tokens"
    away = tokens.with_name("tokens.away")

    tokens.rename(away)
    eventually(lambda: health(gateway) == NOT_SERVING)
    assert health(gateway, "taxcontrol.v1.StockService") == SERVING
    away.rename(tokens)

    eventually(lambda: health(gateway) == SERVING)
    assert Platform(gateway.channel).issue(ticket(seller)).number


def test_a_ledger_that_hangs_is_not_serving_before_it_fails(gateway: GatewayProcess) -> None:
    with closing(apsw.Connection(str(gateway.folder / "ledger" / "ledger.db"))) as other:
        other.execute("BEGIN IMMEDIATE")
        # A write waits five seconds for the lock; health says so earlier.
        eventually(lambda: health(gateway) == NOT_SERVING, within_s=4.5)
        other.execute("ROLLBACK")

    eventually(lambda: health(gateway) == SERVING)
