"""What comes with every gRPC service of ours: health per service, and reflection."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tests.e2e.conftest import System

SERVING = health_pb2.HealthCheckResponse.SERVING
SERVICES = (
    "taxcontrol.v1.InvoiceService",
    "taxcontrol.v1.StockService",
    "taxcontrol.admin.v1.TaxpayerService",
    "taxcontrol.admin.v1.StockAdminService",
    "taxcontrol.admin.v1.UploadAdminService",
    "taxcontrol.admin.v1.AuditService",
)


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_each_service_is_serving(system: System, service: str) -> None:
    stub = health_pb2_grpc.HealthStub(system.gateway.channel)

    answer = stub.Check(health_pb2.HealthCheckRequest(service=service))

    assert answer.status == SERVING


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_health_can_be_watched(system: System, service: str) -> None:
    stub = health_pb2_grpc.HealthStub(system.gateway.channel)

    watch = stub.Watch(health_pb2.HealthCheckRequest(service=service))
    first = next(watch)
    watch.cancel()

    assert first.status == SERVING


def test_the_health_of_an_unknown_service_is_not_found(system: System) -> None:
    stub = health_pb2_grpc.HealthStub(system.gateway.channel)

    with pytest.raises(grpc.RpcError) as raised:
        stub.Check(health_pb2.HealthCheckRequest(service="taxcontrol.v1.Nothing"))

    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_every_service_and_describes_its_methods(system: System) -> None:
    database = ProtoReflectionDescriptorDatabase(system.gateway.channel)

    listed = set(database.get_services())
    described = database.FindFileContainingSymbol("taxcontrol.v1.InvoiceService")

    assert {*SERVICES, "grpc.health.v1.Health"} <= listed
    assert [method.name for method in described.service[0].method] == [
        "IssueInvoice",
        "BatchIssueInvoices",
        "IssueInvoices",
        "ReverseInvoice",
        "VoidInvoice",
        "GetInvoice",
        "ListInvoices",
        "WatchInvoices",
        "VerifyInvoice",
    ]
