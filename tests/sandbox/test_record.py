"""The authority's record is compared both ways and byte by byte; each kind of difference is named."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256

import grpc
import pytest

from sandbox.record import differences
from taxcontrol.authority.v1.authority_pb2 import ItemResult, RecordedEvent, UploadItem
from taxcontrol.authority.v1.simulator_service_pb2 import (
    ExportRecordRequest,
    ExportRecordResponse,
    SetFaultsRequest,
    SetFaultsResponse,
    SetPolicyRequest,
    SetPolicyResponse,
)
from taxcontrol.authority.v1.simulator_service_pb2_grpc import (
    SimulatorServiceServicer,
    add_SimulatorServiceServicer_to_server,
)
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxctl.connection import Connection, connect


class Record(SimulatorServiceServicer):
    """A record of given events."""

    def __init__(self, events: list[RecordedEvent]) -> None:
        self._events = events

    def ExportRecord(  # noqa: N802 - the contract's name
        self, request: ExportRecordRequest, context: grpc.ServicerContext
    ) -> Iterator[ExportRecordResponse]:
        del request, context
        return (ExportRecordResponse(event=event) for event in self._events)

    def SetFaults(  # noqa: N802 - the contract's name
        self, request: SetFaultsRequest, context: grpc.ServicerContext
    ) -> SetFaultsResponse:
        del request
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "this record takes no orders")

    def SetPolicy(  # noqa: N802 - the contract's name
        self, request: SetPolicyRequest, context: grpc.ServicerContext
    ) -> SetPolicyResponse:
        del request
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "this record takes no orders")


@contextmanager
def record(*events: RecordedEvent) -> Iterator[Connection]:
    server = grpc.server(ThreadPoolExecutor(1))
    add_SimulatorServiceServicer_to_server(Record(list(events)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection = connect(f"127.0.0.1:{port}")
    with connection.channel:
        yield connection
    server.stop(None).wait()


def invoice(number: str, content: bytes = b"content") -> IssuedInvoice:
    return IssuedInvoice(code="c", number=number, content=content, signature=b"signature")


def event(
    issued: IssuedInvoice,
    verdict: "ItemResult.Verdict.ValueType" = ItemResult.VERDICT_ACCEPTED,
    what: "UploadItem.Event.ValueType" = UploadItem.EVENT_ISSUE,
) -> RecordedEvent:
    return RecordedEvent(
        result=ItemResult(code=issued.code, number=issued.number, event=what, verdict=verdict),
        content_digest=sha256(issued.content).digest(),
        signature_digest=sha256(issued.signature).digest(),
    )


def test_the_same_invoices_are_no_difference() -> None:
    issued = [invoice("1"), invoice("2")]

    with record(event(issued[1]), event(issued[0])) as simulator:
        assert differences(simulator, issued) == []


@pytest.mark.parametrize(
    ("events", "named"),
    [
        ([], "c-1: issued, and not on the authority's record"),
        ([event(invoice("1")), event(invoice("2"))], "c-2: on the authority's record, and not"),
        ([event(invoice("1")), event(invoice("1"))], "c-1: on the authority's record twice"),
        ([event(invoice("1", b"other"))], "c-1: issued, and not on the authority's record"),
        (
            [event(invoice("1")), event(invoice("1"), ItemResult.VERDICT_REJECTED)],
            "c-1: refused by the authority",
        ),
        (
            [event(invoice("1")), event(invoice("1"), what=UploadItem.EVENT_VOID)],
            "c-1: the authority has an event that nobody made",
        ),
    ],
)
def test_each_difference_is_named(events: list[RecordedEvent], named: str) -> None:
    with record(*events) as simulator:
        found = differences(simulator, [invoice("1")])

    assert any(named in one for one in found)
