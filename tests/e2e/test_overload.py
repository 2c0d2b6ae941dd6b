"""More work than is admitted: refused at once, by name, with advice; what was admitted is finished."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from taxcontrol.v1.invoice_service_pb2 import BatchIssueInvoicesRequest
from tests.e2e.platform import Platform
from tests.e2e.sellers import ticket
from tests.e2e.wire import eventually, refusal_of
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

BATCHES = 6
BATCH = 500


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway that lets one batch wait at a time."""
    settings = f"[issue]\nwaiting_count_max = {BATCH}\n"
    with (
        SimulatorProcess(tmp_path / "simulator", arguments=["--windows", ""]) as simulator,
        GatewayProcess(
            tmp_path / "gateway", authority=simulator.target, settings=settings
        ) as gateway,
    ):
        yield gateway


def test_what_is_refused_under_overload_is_issued_once_by_a_retry(gateway: GatewayProcess) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=BATCHES * BATCH)
    batches = [
        BatchIssueInvoicesRequest(requests=[ticket(seller) for _ in range(BATCH)])
        for _ in range(BATCHES)
    ]
    reasons: list[tuple[str, bool]] = []
    names: set[str] = set()

    def issued(batch: BatchIssueInvoicesRequest) -> bool:
        try:
            results = platform.invoices.BatchIssueInvoices(batch).results
        except grpc.RpcError as error:
            refusal = refusal_of(error)
            reasons.append((refusal.reason, refusal.retry_s is not None))
            return False
        names.update(result.issued.name for result in results if result.HasField("issued"))
        return True

    with ThreadPoolExecutor(BATCHES) as pool:
        list(pool.map(lambda batch: eventually(lambda: issued(batch)), batches))
    health = health_pb2_grpc.HealthStub(gateway.channel).Check(health_pb2.HealthCheckRequest())

    assert set(reasons) == {("OVERLOADED", True)}
    assert len(names) == BATCHES * BATCH
    assert platform.available(seller) == 0
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    assert platform.books().findings == []
