"""The device is pulled out while the gateway runs: refused by name, and signing again by itself."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.e2e.platform import Platform
from tests.e2e.sellers import ticket
from tests.e2e.wire import eventually, refusal_of
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

# R8 of the project's promises: signing again within 5 s, without a restart.
BACK_S = 5.0


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with (
        SimulatorProcess(tmp_path / "simulator", arguments=["--windows", ""]) as simulator,
        GatewayProcess(tmp_path / "gateway", authority=simulator.target) as gateway,
    ):
        yield gateway


def test_a_device_that_goes_and_comes_back_loses_no_invoice(gateway: GatewayProcess) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=50)
    platform.issue(ticket(seller))
    objects, away = gateway.folder / "token" / "tokens", gateway.folder / "token" / "away"
    requests = [ticket(seller) for _ in range(5)]

    objects.rename(away)
    reasons = set()
    for request in requests:
        with pytest.raises(grpc.RpcError) as raised:
            platform.issue(request)
        reasons.add(refusal_of(raised.value).reason)
    eventually(lambda: _health(gateway, "taxcontrol.v1.InvoiceService") == "NOT_SERVING")
    stock_health = _health(gateway, "taxcontrol.v1.StockService")
    away.rename(objects)
    eventually(
        lambda: _health(gateway, "taxcontrol.v1.InvoiceService") == "SERVING", within_s=BACK_S
    )
    issued = [platform.issue(request) for request in requests]

    assert reasons == {"HSM_UNAVAILABLE"}
    assert stock_health == "SERVING"
    assert len({one.number for one in issued}) == 5
    assert platform.available(seller) == 50 - 6
    assert platform.books().findings == []


def _health(gateway: GatewayProcess, service: str) -> str:
    answer = health_pb2_grpc.HealthStub(gateway.channel).Check(
        health_pb2.HealthCheckRequest(service=service)
    )
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
