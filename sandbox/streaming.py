"""Issuing over one bidirectional stream."""

from collections.abc import Iterator, Sequence
from typing import Final, cast

import grpc

from sandbox.invoices import counters, requests
from sandbox.stage import Disagreement, Stage
from taxcontrol.v1.invoice_service_pb2 import (
    BatchIssueResult,
    IssueInvoiceRequest,
    IssueInvoicesRequest,
)
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.connection import Connection
from taxctl.failure import CallFailed, from_call, reason_name

_COUNT: Final = 100
_TWICE_COUNT: Final = 10


def stream(stage: Stage) -> None:
    """Issue over a stream, some of them twice: answers as they are done, the same id the same bytes."""
    wanted = list(requests(counters(stage.taxpayers), _COUNT, prefix="stream"))
    twice = wanted[:_TWICE_COUNT]
    results = list(issue_stream(stage.connection, [*wanted, *twice]))
    failed = [result for result in results if not result.HasField("issued")]
    if failed:
        raise Disagreement(
            f"{len(failed)} of a stream failed, first {reason_name(failed[0].failure)}"
        )
    issued = {result.request_id: result.issued for result in results}
    replayed = [result for result in results if result.replayed]
    if len(results) != len(wanted) + len(twice) or len(issued) != len(wanted):
        raise Disagreement(f"{len(wanted)} were sent, {len(issued)} came back")
    if len(replayed) != len(twice) or any(issued[one.request_id] != one.issued for one in results):
        raise Disagreement("what came twice over a stream did not get the same invoice")
    stage.deeds.issued += issued.values()
    stage.tell(
        "stream",
        f"{len(wanted)} over one bidirectional stream, each answered as it was done; {len(twice)} sent"
        " twice: the same bytes",
    )


def issue_stream(
    connection: Connection, wanted: Sequence[IssueInvoiceRequest]
) -> Iterator[BatchIssueResult]:
    """Send everything over one stream; yield the results as they come. Raises ``CallFailed``."""
    stub = InvoiceServiceStub(connection.channel)
    messages = (IssueInvoicesRequest(request=one) for one in wanted)
    try:
        for answer in stub.IssueInvoices(messages, timeout=connection.timeout_s):
            yield answer.result
    except grpc.RpcError as error:
        raise CallFailed(from_call(cast("grpc.Call", error))) from error
