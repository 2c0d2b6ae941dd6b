"""A gateway of a few lines for the client's own promises: it numbers, replays and fails on request.

It keeps what a real one keeps about request ids, so a client that changed an id on a retry, or
forgot a result, would be seen to issue twice.
"""

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from taxcontrol.v1 import invoice_service_pb2
from taxcontrol.v1.error_reason_pb2 import ErrorReason
from taxcontrol.v1.invoice_pb2 import Invoice, IssuedInvoice
from taxcontrol.v1.invoice_service_pb2 import (
    BatchIssueInvoicesRequest,
    BatchIssueInvoicesResponse,
    BatchIssueResult,
    Failure,
    GetInvoiceRequest,
    GetInvoiceResponse,
    IssueInvoiceRequest,
    IssueInvoiceResponse,
)
from tests.taxctl.handlers import add_service


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What befalls a call: a status of the gateway, or of nobody when ``reason`` is empty.

    ``late``: the call takes effect first, and its answer is lost.
    """

    code: int
    reason: str = ""
    retry_s: float | None = None
    violations: tuple[tuple[str, str], ...] = ()
    message: str = "trouble"
    late: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)

    def status(self) -> status_pb2.Status:
        """The rich status, as the gateway makes it."""
        details: list[Any] = []
        if self.reason:
            info = error_details_pb2.ErrorInfo(
                reason=self.reason, domain="taxcontrol", metadata=self.facts
            )
            details.append(_packed(info))
        if self.violations:
            rules = error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(field=name, reason=rule)
                    for name, rule in self.violations
                ]
            )
            details.append(_packed(rules))
        if self.retry_s is not None:
            advice = error_details_pb2.RetryInfo()
            advice.retry_delay.FromMilliseconds(round(self.retry_s * 1000))
            details.append(_packed(advice))
        return status_pb2.Status(code=self.code, message=self.message, details=details)

    def failure(self) -> Failure:
        """The same as a batch item's failure."""
        failure = Failure(code=self.code, message=self.message)
        if self.reason:
            failure.reason = ErrorReason.Value(f"ERROR_REASON_{self.reason}")
        if self.retry_s is not None:
            failure.retry_delay.FromMilliseconds(round(self.retry_s * 1000))
        return failure


@dataclass
class Desk:
    """Numbers from 1 up, one per request id, whatever comes between.

    ``calls`` are the ids of each call; ``troubles`` befall the next calls in turn, ``items`` the
    items of those ids once each.
    """

    troubles: deque[Trouble] = field(default_factory=deque)
    items: dict[str, deque[Trouble]] = field(default_factory=dict)
    count_max: int = 500
    calls: list[list[str]] = field(default_factory=list)
    issued: dict[str, IssuedInvoice] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def IssueInvoice(  # noqa: N802 - the contract's name
        self, request: IssueInvoiceRequest, context: grpc.ServicerContext
    ) -> IssueInvoiceResponse:
        with self._lock:
            [result] = self._serve([request], context)
        if result.HasField("failure"):
            _abort(context, Trouble(code=result.failure.code, reason="OVERLOADED"))
        return IssueInvoiceResponse(issued=result.issued, replayed=result.replayed)

    def BatchIssueInvoices(  # noqa: N802 - the contract's name
        self, request: BatchIssueInvoicesRequest, context: grpc.ServicerContext
    ) -> BatchIssueInvoicesResponse:
        with self._lock:
            return BatchIssueInvoicesResponse(results=self._serve(request.requests, context))

    def GetInvoice(  # noqa: N802 - the contract's name
        self, request: GetInvoiceRequest, context: grpc.ServicerContext
    ) -> GetInvoiceResponse:
        if request.request_id not in self.issued:
            _abort(context, Trouble(code=code_pb2.NOT_FOUND, reason="INVOICE_NOT_FOUND"))
        return GetInvoiceResponse(invoice=Invoice(issued=self.issued[request.request_id]))

    def _serve(
        self, requests: Sequence[IssueInvoiceRequest], context: grpc.ServicerContext
    ) -> list[BatchIssueResult]:
        self.calls.append([request.request_id for request in requests])
        trouble = self.troubles.popleft() if self.troubles else None
        if trouble is not None and not trouble.late:
            _abort(context, trouble)
        if len(requests) > self.count_max:
            _abort(context, Trouble(code=code_pb2.INVALID_ARGUMENT, reason="BATCH_TOO_LARGE"))
        results = [self._issue(request) for request in requests]
        if trouble is not None:
            _abort(context, trouble)
        return results

    def _issue(self, request: IssueInvoiceRequest) -> BatchIssueResult:
        request_id = request.request_id
        if self.items.get(request_id):
            failure = self.items[request_id].popleft().failure()
            return BatchIssueResult(request_id=request_id, failure=failure)
        replayed = request_id in self.issued
        if not replayed:
            number = f"{len(self.issued) + 1:08}"
            issued = IssuedInvoice(request_id=request_id, code="011002600111", number=number)
            self.issued[request_id] = issued
        return BatchIssueResult(
            request_id=request_id, issued=self.issued[request_id], replayed=replayed
        )


@contextmanager
def serving(desk: Desk) -> Iterator[str]:
    """Serve ``desk`` on a free port; the value is its target."""
    server = grpc.server(ThreadPoolExecutor(4))
    add_service(server, invoice_service_pb2.DESCRIPTOR.services_by_name["InvoiceService"], desk)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def request(request_id: str) -> IssueInvoiceRequest:
    """A request of which only the id matters here."""
    return IssueInvoiceRequest(request_id=request_id, point="taxpayers/T/points/0")


def _abort(context: grpc.ServicerContext, trouble: Trouble) -> NoReturn:
    context.abort_with_status(rpc_status.to_status(trouble.status()))


def _packed(message: error_details_pb2.ErrorInfo) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
